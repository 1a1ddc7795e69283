import { defineConfig } from 'vitest/config';

/** Tests that start processes or look at a clock: one file at a time, or they would wait for each other. */
const PROCESSES = [
  'harness/{cli,e2e,endurance,fault,mutants,run}/**/*.test.ts',
  'fusee/{client,control,fabric,host,node}/**/*.test.ts',
  'native/**/*.test.ts',
];
/** What replaces modules needs a process of its own. */
const REPLACING = ['harness/check/undone-votes.test.ts'];
const NEVER = ['**/node_modules/**', 'dist/**'];

// Forks: tests map shared memory and end processes.
const common = { pool: 'forks' as const, testTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'computing',
          include: ['**/*.test.ts'],
          exclude: [...NEVER, ...PROCESSES, ...REPLACING],
          maxWorkers: 2,
          // They leave nothing behind: a process for each file was half of what short ones took.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'processes',
          include: [...PROCESSES, ...REPLACING],
          exclude: NEVER,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
