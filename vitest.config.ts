import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Forks: tests map shared memory and end processes.
    pool: 'forks',
    include: ['**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**'],
    testTimeout: 30_000,
  },
});
