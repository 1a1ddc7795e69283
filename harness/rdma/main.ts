/**
 * `npm run test:rdma`: the tests that need RDMA devices, in the soft-RoCE guest; `npm run guest -- COMMAND`
 * runs any command there.
 *
 * A guest that does not boot, or does not come to its end, is a failure like any other: nothing was shown
 * then.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FuseeError } from '../../fusee/verbs/index.js';
import { verbsAddon } from '../../native/verbs.js';
import { packageRoot } from '../run/package-root.js';
import { type GuestOutcome, runInGuest } from './guest.js';
import { prepareKernel, prepareNoAtomics } from './kernel.js';

/** Ten times what it takes on an idle machine: others may have the processors. */
const LIMIT_SECONDS = 900;

/**
 * The host's files have other inodes in the guest: git, asked where a result comes from, would read all of
 * them to see whether they have changed. Size and time are enough; where nothing is kept nobody asks.
 */
const GIT = {
  GIT_OPTIONAL_LOCKS: '0',
  GIT_CONFIG_COUNT: '2',
  GIT_CONFIG_KEY_0: 'core.checkStat',
  GIT_CONFIG_VALUE_0: 'minimal',
  GIT_CONFIG_KEY_1: 'core.trustctime',
  GIT_CONFIG_VALUE_1: 'false',
};
const NO_GIT = { GIT_DIR: '/nonexistent' };

/** What this command counts, as test runners do. */
interface Counts {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
}

const NOTHING: Counts = {
  numPassedTests: 0,
  numFailedTests: 1,
  numPendingTests: 0,
  numTodoTests: 0,
  success: false,
};

/** Folders that come to the guest's memory. */
const COPIED = ['dist', join('native', 'build', 'Release')];

/** What of them the tests need: the rest would only be hashed, by each bench that says what it ran. */
function neededByTests(): string[] {
  const run = join('dist', 'harness', 'run');
  const parts = readdirSync(join(packageRoot, run)).filter((name) =>
    /^(command-.*|.*-(process|thread))\.js$/.test(name),
  );
  return [
    ...['dist/fusee/fabric', 'dist/fusee/verbs', 'dist/native', 'dist/harness/cli/main.js', COPIED[1]],
    ...parts.map((name) => join(run, name)),
  ];
}

async function run(
  command: readonly string[],
  given: { files?: string[]; out?: string; environment?: Readonly<Record<string, string>> } = {},
): Promise<GuestOutcome> {
  const seconds = Number(process.env.FUSEE_GUEST_SECONDS ?? LIMIT_SECONDS);
  const outcome = await runInGuest({
    kernel: await prepareKernel(),
    command,
    folder: packageRoot,
    copied: COPIED,
    files: given.files ?? COPIED,
    timeoutMs: seconds * 1000,
    environment: { FUSEE_GUEST: '1', FUSEE_GUEST_PRELOAD: prepareNoAtomics(), ...(given.environment ?? GIT) },
    ...(given.out === undefined ? {} : { out: given.out }),
    onOutput: (text) => process.stdout.write(text),
  });
  if (outcome.status === null) {
    const why = outcome.milliseconds >= seconds * 1000 ? `took more than ${seconds} s` : 'ended';
    process.stderr.write(
      `the guest ${why} without a status of its command; its console:\n${outcome.console}\n`,
    );
  }
  const took = (outcome.milliseconds / 1000).toFixed(0);
  process.stderr.write(`guest: ${took} s; load of this machine: ${loadavg()[0].toFixed(1)}\n`);
  return outcome;
}

/** Runs the tests; what they count is written to `report` too, whatever happened. */
async function test(report: string | undefined): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'fusee-rdma-'));
  let counts = NOTHING;
  try {
    counts = await testIn(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (report !== undefined) writeFileSync(report, JSON.stringify(counts));
    process.stdout.write(
      `rdma: ${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${counts.numPendingTests} skipped\n`,
    );
  }
  return counts.success ? 0 : 1;
}

async function testIn(folder: string): Promise<Counts> {
  if (verbsAddon() === null) {
    process.stderr.write(
      'the verbs fabric was left out of this build: install libibverbs-dev, librdmacm-dev and ' +
        'ibverbs-providers, and run `npm run build`\n',
    );
    return NOTHING;
  }
  const results = join(folder, 'results.json');
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  const config = join('harness', 'rdma', 'guest', 'vitest.config.mjs');
  const { FUSEE_CI } = process.env;
  const outcome = await run([process.execPath, vitest, 'run', '--config', config], {
    out: results,
    files: neededByTests(),
    environment: { ...NO_GIT, ...(FUSEE_CI === undefined ? {} : { FUSEE_CI }) },
  });
  return existsSync(results) ? countsOf(readFileSync(results, 'utf8'), outcome) : NOTHING;
}

/** A run that failed without a failed test, or that passed nothing, counts as one failed test. */
function countsOf(text: string, { status }: GuestOutcome): Counts {
  if (text === '') return NOTHING;
  const counts = JSON.parse(text) as Counts;
  const isGood = status === 0 && counts.success && counts.numPassedTests > 0;
  const numFailedTests = isGood ? 0 : Math.max(1, counts.numFailedTests);
  const { numPassedTests, numPendingTests, numTodoTests } = counts;
  return { numPassedTests, numFailedTests, numPendingTests, numTodoTests, success: isGood };
}

const { values, positionals } = parseArgs({
  options: { report: { type: 'string' } },
  allowPositionals: true,
});
try {
  process.exitCode =
    positionals.length === 0 ? await test(values.report) : ((await run(positionals)).status ?? 125);
} catch (error) {
  if (!(error instanceof FuseeError)) throw error;
  process.stderr.write(`fusee: ${error.message}\n`);
  process.exitCode = 1;
}
