/**
 * Bundles the entry points whose speed is measured, each into one module: `node harness/bundle.mjs`, after
 * tsc.
 *
 * V8 reads an imported binding from its cell at every use and checks that it is initialised; the constants
 * and functions of one module it knows. On the hot path, which touches a hundred of them for a request, this
 * is a third of the time (`npm run bench:hotpath` shows it). Types stay what tsc made of them.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const ENTRIES = [
  'fusee/client/index',
  'harness/run/client-process',
  'harness/run/hotpath',
  'harness/swarm/worker',
];

for (const entry of ENTRIES) {
  const bundle = await rolldown({
    input: join(root, `${entry}.ts`),
    platform: 'node',
    external: (id) => !/^[./]/.test(id),
    optimization: { inlineConst: true },
    logLevel: 'warn',
  });
  await bundle.write({ file: join(root, 'dist', `${entry}.js`), format: 'esm' });
  await bundle.close();
}
