// Tests that need RDMA devices, compiled: the guest is too slow for TypeScript.
import { fileURLToPath } from 'node:url';

export default {
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  test: {
    pool: 'forks',
    include: ['dist/**/verbs*.test.js'],
    exclude: ['**/node_modules/**'],
    testTimeout: 60_000,
    fileParallelism: false,
  },
};
