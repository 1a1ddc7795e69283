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

/**
 * The command: a chunk for what each subcommand loads, and for what they share, since reading three hundred
 * files is most of what a short command takes. Chunks stand in harness/run, where what they start stands too.
 */
async function bundleCommand() {
  // Native code, and what reads files of its own package.
  const apart = /^(@resvg|pdfkit|svg-to-pdfkit|fontkit|dejavu|@duckdb|canvas$)/;
  const bundle = await rolldown({
    input: { 'cli/main': join(root, 'harness/cli/main.ts') },
    platform: 'node',
    external: (id) => isBuiltin(id) || apart.test(id),
    checks: { eval: false },
    optimization: { inlineConst: true },
    logLevel: 'warn',
  });
  await bundle.write({
    dir: join(root, 'dist', 'harness'),
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'run/command-[name].js',
  });
  await bundle.close();
}

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
await bundleCommand();
