/**
 * Bundles the entry points whose speed is measured, each into one module: `node harness/bundle.mjs`, after
 * tsc.
 *
 * V8 reads an imported binding from its cell at every use and checks that it is initialised; the constants
 * and functions of one module it knows. On the hot path, which touches a hundred of them for a request, this
 * is a third of the time (`npm run bench:hotpath` shows it). Types stay what tsc made of them.
 */
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
/**
 * Source, and output in dist. A process loads one of them and nothing beside it: two copies of a class
 * differ. Packages are bundled too where a bench starts many processes: a third of their start is reading
 * two hundred files.
 */
const ENTRIES = [
  ['fusee/client/index', 'fusee'],
  ['harness/run/client-process', 'harness/run/client-process', { isWhole: true }],
  // These start often, and one file is read faster than many.
  ['harness/run/node-process', 'harness/run/node-process'],
  ['harness/run/master-process', 'harness/run/master-process'],
  ['harness/run/hotpath', 'harness/run/hotpath'],
  ['harness/run/overhead', 'harness/run/overhead'],
  // Beside the processes that it starts.
  ['harness/rdma/figures', 'harness/run/rdma-figures'],
  ['harness/endurance/client-process', 'harness/endurance/client-process'],
  ['harness/swarm/speed-process', 'harness/swarm/speed-process'],
  ['harness/swarm/worker', 'harness/swarm/worker'],
  // The guest with RDMA devices is slow to read files, and slower to look for them.
  ['harness/rdma/guest/tests', 'fusee/fabric/conformance/in-guest', { isWhole: true }],
  ['fusee/fabric/conformance/verbs-process', 'fusee/fabric/conformance/verbs-process'],
];
/** What the command loads where it is installed: large, with files of its own, and few commands need it. */
const LARGE = /^(@duckdb|@resvg|dejavu-fonts-ttf|fontkit|pdfkit|svg-to-pdfkit|vega)/;

for (const [entry, output, { isWhole = false } = {}] of ENTRIES) {
  const bundle = await rolldown({
    input: join(root, `${entry}.ts`),
    platform: 'node',
    // Tests and their runner share one copy of it.
    external: (id) => (isWhole ? isBuiltin(id) || id === 'vitest' : !/^[./]/.test(id)),
    // A package looks for Node's own modules that way.
    checks: { eval: !isWhole },
    optimization: { inlineConst: true },
    logLevel: 'warn',
  });
  await bundle.write({ file: join(root, 'dist', `${output}.js`), format: 'esm' });
  await bundle.close();
}

// The command, with a part for whatever it loads when it is asked for. Parts lie where they look for their
// like: beside the processes that they start.
const command = await rolldown({
  input: join(root, 'harness/cli/main.ts'),
  platform: 'node',
  external: (id) => isBuiltin(id) || LARGE.test(id),
  checks: { eval: false },
  optimization: { inlineConst: true },
  logLevel: 'warn',
});
await command.write({
  dir: join(root, 'dist', 'harness'),
  format: 'esm',
  entryFileNames: 'cli/main.js',
  chunkFileNames: 'run/cli-[name].js',
});
await command.close();
