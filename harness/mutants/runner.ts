/**
 * Puts mutants through the gauntlet, one per slot at a time: small scenarios of the explorer, unit tests,
 * larger scenarios, swarm, named hazards. All times are processor seconds.
 */
import { dirname } from 'node:path';
import type { Mutant } from './mutant.js';
import type { Sandbox, Slot } from './sandbox.js';
import { runGauntlet, runTests, type StageResult } from './stage.js';

/** What became of a mutant. */
export interface Verdict {
  readonly mutant: Mutant;
  /** Scenario, seed or test; undefined for a survivor. */
  readonly caughtBy: string | undefined;
  /** Why; of a survivor, `survives` or `undecided`. */
  readonly reason: string;
  readonly seconds: number;
}

/** Seconds that one mutant may take. */
export const MUTANT_SECONDS = 60;
/** Seconds that one scenario or seed may take; the slowest takes one. */
const SILENT_SECONDS = 10;
/** Tests that take this many times as long as they do on the product hang. */
const HANG_FACTOR = 3;
/** Seconds of tests that are never called a hang. */
const TEST_SECONDS_LEAST = 20;

const SEEDS = ['swarm', '1', '150'] as const;
const UNIT_FOLDERS = ['replication', 'ops', 'index', 'layout', 'memory', 'recovery'].map((f) => `fusee/${f}`);
const HAZARD_TESTS = ['harness/check/hazards.test.ts', 'harness/check/rpc.test.ts'];

interface Stage {
  readonly name: string;
  run(slot: Slot, file: string, secondsLeft: number): Promise<StageResult>;
}

/** How long the product's own tests take, seconds by stage; of the unmutated run. */
type Usual = Map<string, number>;

function testStage(name: string, testsFor: (file: string) => readonly string[], usual: Usual): Stage {
  return {
    name,
    run: (slot, file) => {
      const seconds = Math.max(TEST_SECONDS_LEAST, HANG_FACTOR * (usual.get(name) ?? 60));
      return runTests(slot, testsFor(file), { seconds });
    },
  };
}

function gauntletStage(name: string, args: readonly string[]): Stage {
  return {
    name,
    run: (slot, _, seconds) => runGauntlet(slot, args, { seconds, silentSeconds: SILENT_SECONDS }),
  };
}

/** The folder of the mutant first, the others behind it. */
const unitTests = (file: string): string[] => [
  dirname(file),
  ...UNIT_FOLDERS.filter((folder) => folder !== dirname(file)),
];

const stagesOf = (usual: Usual): readonly Stage[] => [
  gauntletStage('explorer', ['quick']),
  testStage('unit tests', unitTests, usual),
  gauntletStage('explorer, larger', ['rest']),
  gauntletStage('swarm', SEEDS),
  testStage('hazards', () => HAZARD_TESTS, usual),
];

/**
 * Runs the product itself through the gauntlet.
 * @returns seconds by stage; the text of what stopped it when it did not pass.
 */
export async function runUnmutated(sandbox: Sandbox): Promise<Usual | string> {
  const usual: Usual = new Map();
  for (const stage of stagesOf(usual)) {
    const result = await stage.run(sandbox.slots[0], 'fusee/replication/snapshot.ts', 300);
    if (result.isUndecided === true) return `${stage.name}: not over after 300 s`;
    if (result.caughtBy !== undefined) return `${result.caughtBy}: ${result.reason}`;
    usual.set(stage.name, result.seconds);
  }
  return usual;
}

/** Runs mutants, as many at once as there are slots, and reports each. */
export async function runMutants(
  sandbox: Sandbox,
  mutants: readonly Mutant[],
  options: { usual: Usual; onVerdict?: (verdict: Verdict) => void },
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  let next = 0;
  const work = async (slot: Slot): Promise<void> => {
    while (next < mutants.length) {
      const at = next++;
      verdicts[at] = await runMutant(slot, mutants[at], options.usual);
      options.onVerdict?.(verdicts[at]);
    }
  };
  await Promise.all(sandbox.slots.map(work));
  return verdicts;
}

async function runMutant(slot: Slot, mutant: Mutant, usual: Usual): Promise<Verdict> {
  const text = slot.text(mutant.file);
  slot.put(mutant);
  let seconds = 0;
  try {
    for (const stage of stagesOf(usual)) {
      const result = await stage.run(slot, mutant.file, Math.max(5, MUTANT_SECONDS - seconds));
      const { caughtBy, reason, isUndecided } = result;
      seconds += result.seconds;
      if (isUndecided === true)
        return { mutant, caughtBy: undefined, reason: `undecided: ${stage.name}`, seconds };
      if (caughtBy !== undefined) return { mutant, caughtBy, reason: reason ?? '', seconds };
    }
    return { mutant, caughtBy: undefined, reason: 'survives', seconds };
  } finally {
    slot.restore(mutant, text);
  }
}
