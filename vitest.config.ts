import { defineConfig } from 'vitest/config';

/** Tests that start processes or look at a clock: one file at a time, or they would wait for each other. */
const CLOCKS = ['harness/run/**/*.test.ts', 'fusee/{client,control,host,node}/**/*.test.ts'];
/** And of those what minds the memory of its own process, or is over before another begins. */
const PROCESSES = [
  'harness/{cli,e2e,endurance,fault,mutants}/**/*.test.ts',
  'fusee/fabric/**/*.test.ts',
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
          exclude: [...NEVER, ...CLOCKS, ...PROCESSES, ...REPLACING],
          maxWorkers: 2,
          // They leave nothing behind: a process for each file was half of what short ones took.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'clocks',
          include: CLOCKS,
          exclude: NEVER,
          maxWorkers: 1,
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'processes',
          include: [...PROCESSES, ...REPLACING],
          exclude: NEVER,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
