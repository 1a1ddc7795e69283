// Tests that need RDMA devices, bundled: the guest is too slow for TypeScript.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export default {
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  test: {
    pool: 'forks',
    isolate: false,
    include: ['harness/rdma/guest/tests.mjs'],
    exclude: ['**/node_modules/**'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    server: { deps: { external: [/\/dist\//] } },
    reporters: ['verbose', 'json'],
    outputFile: { json: join(process.env.FUSEE_GUEST_OUT ?? '.', 'results') },
  },
};
