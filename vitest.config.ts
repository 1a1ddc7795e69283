import { defineConfig } from 'vitest/config';

/** Tests that start processes or look at a clock: one file at a time, or they would wait for each other. */
const PROCESSES = [
  'harness/{cli,e2e,endurance,fault,mutants,run}/**/*.test.ts',
  'fusee/{client,control,fabric,host,node}/**/*.test.ts',
  'native/**/*.test.ts',
];
const NEVER = ['**/node_modules/**', 'dist/**'];

// Forks: tests map shared memory and end processes.
// No file leaves anything behind that others see: making a process for each was half of what short ones take.
const common = { pool: 'forks' as const, testTimeout: 60_000, isolate: false };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'computing',
          include: ['**/*.test.ts'],
          exclude: [...NEVER, ...PROCESSES],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'processes',
          include: PROCESSES,
          exclude: NEVER,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
