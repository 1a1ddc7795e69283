// Tests that need RDMA devices, compiled: the guest is too slow for TypeScript.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export default {
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  test: {
    pool: 'forks',
    // To start another process for each file would take the guest seconds.
    isolate: false,
    include: [
      'dist/fusee/fabric/verbs*.test.js',
      'dist/fusee/client/differential.test.js',
      'dist/harness/rdma/*.test.js',
    ],
    exclude: ['**/node_modules/**'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    // Node loads what is compiled by itself; to transform it all would take the guest a minute.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js)/] } },
    reporters: ['verbose', 'json'],
    outputFile: { json: join(process.env.FUSEE_GUEST_OUT ?? '.', 'results') },
  },
};
