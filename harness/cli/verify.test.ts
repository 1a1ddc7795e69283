/** `fusee verify` as a command: what it prints of a failure, that this runs again, and what it refuses. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Word } from '../../fusee/verbs/index.js';
import { runSeed } from '../swarm/index.js';
import { explain } from './explain.js';
import { verifyCommand } from './verify-command.js';

vi.setConfig({ testTimeout: 180_000 });

const planted = vi.hoisted(() => ({ isOn: false }));

// Half of the votes make a winner, so there can be two.
vi.mock('../../fusee/replication/rules.js', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../fusee/replication/rules.js')>();
  const countVotes = (votes: readonly Word[], count: number, vNew: Word): number => {
    const verdict = original.countVotes(votes, count, vNew);
    const isMine = votes.slice(0, count).some((v) => v.lo === vNew.lo && v.hi === vNew.hi);
    return planted.isOn && isMine && verdict === original.Verdict.TIE ? original.Verdict.RULE_2 : verdict;
  };
  return { ...original, countVotes };
});

let printed = '';

beforeEach(() => {
  printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  planted.isOn = false;
});

/** Runs the command; its exit status. */
async function verify(...args: readonly string[]): Promise<number> {
  process.exitCode = 0;
  try {
    await verifyCommand()
      .exitOverride()
      .parseAsync([...args], { from: 'user' });
    return Number(process.exitCode);
  } catch (error) {
    const { text, status } = explain(error);
    printed += text;
    return status;
  } finally {
    process.exitCode = 0;
  }
}

describe('a failing seed', () => {
  it('prints a shrunk plan, its verbs, and a command that runs exactly that again', async () => {
    planted.isOn = true;
    let seed = 1;
    while (runSeed(seed).findings.length === 0) seed++;
    expect(await verify('--seed', String(seed))).toBe(1);
    expect(printed).toContain(`seed ${seed} fails; replay it with: fusee verify --seed ${seed}`);
    expect(printed).toMatch(/shrunk from \d+ requests to \d+ in \d+ runs \(.*\):/);
    expect(printed).toMatch(/CAS MN \d: slot \d+ on backup \d, .* -> .*: FAILS, found /);
    const told = printed.slice(printed.indexOf('shrunk from'));
    const [, digest, small, plan] =
      /digest (\w+); replay it with: fusee verify --seed (\d+) --plan '([^']*)'/.exec(told) ?? [];
    printed = '';
    expect(await verify('--seed', small, '--plan', plan)).toBe(1);
    expect(printed).toContain(`seed ${small} fails`);
    expect(printed).toContain(`digest ${digest};`);
    // What is told of the shrunk run, and of the run that the command makes, is the same text.
    expect(printed.split('\n').slice(1)).toEqual(told.split('\n').slice(1));
    planted.isOn = false;
    expect(await verify('--seed', small, '--plan', plan)).toBe(0);
  });

  it('is told as it is with --no-shrink, and as JSON with its trace', async () => {
    planted.isOn = true;
    let seed = 1;
    while (runSeed(seed).findings.length === 0) seed++;
    expect(await verify('--seed', String(seed), '--no-shrink')).toBe(1);
    expect(printed).not.toContain('shrunk from');
    printed = '';
    expect(await verify('--seed', String(seed), '--json')).toBe(1);
    const { findings, shrunk, trace, replay } = JSON.parse(printed);
    expect(shrunk.findings[0].kind).toBe(findings[0].kind);
    expect(trace).toContain(replay);
  });
});

describe('a scenario', () => {
  it('is tried by lots and by priorities, and a failing schedule is shrunk and replayed', async () => {
    const scenario = ['--scenario', 'K0: U | U S', '--r', '3'];
    expect(await verify(...scenario, '--random', '30')).toBe(0);
    expect(printed).toContain('30 schedules, each run twice, no violation');
    expect(await verify(...scenario, '--pct', '30', '--seed', '5')).toBe(0);
    planted.isOn = true;
    printed = '';
    expect(await verify(...scenario, '--random', '3000')).toBe(1);
    expect(printed).toMatch(/\(shrunk from \d+ events to \d+, in \d+ attempts\)/);
    const replay = /--replay '([^']*)'/.exec(printed)?.[1] ?? '';
    expect(await verify(...scenario, '--replay', replay)).toBe(1);
    planted.isOn = false;
  });

  it('is replayed, and a schedule in which nothing is wrong ends with 0', async () => {
    expect(await verify('--scenario', 'K0: U | U', '--replay', '0.0')).toBe(0);
    expect(printed).toContain('the schedule ends here, before the clients have');
  });
});

describe('wrong usage', () => {
  it.each([
    [['--plan', '{}'], 'give --seed too'],
    [['--seed', '3', '--seeds', '4', '--plan', '{}'], 'leave --seeds, --crash-runs and --minutes out'],
    [['--seed', '3', '--plan', '{"client":1}'], 'a plan has no "client"'],
    [['--seed', '3', '--plan', 'clients=1'], 'the plan is no JSON'],
    [['--seed', '9007199254740991'], 'give a whole number from 0 to 2^52'],
    [['--scenario', 'K0: U | U', '--replay', '0.0 0.0'], 'cannot happen there'],
    [['--scenario', 'K0: U | U', '--replay', 'zero'], '"zero" is no event'],
    [['--scenario', 'K0: U | U', '--random', '1', '--pct', '1'], 'both --random and --pct are given'],
    [['--short'], '--short belongs to --exhaustive, not to a run of seeds'],
    [['--random', '5'], '--random belongs to --scenario, not to a run of seeds'],
    [['--exhaustive', '--seeds', '3'], '--seeds belongs to a run of seeds, not to --exhaustive'],
    [['--exhaustive', '--short', '--long'], '--short and --long are given; give one'],
    [['--speed', '--exhaustive'], '--exhaustive and --speed are given; give one'],
    [['--speed', '--seed-from', 'x'], '--seed-from belongs to a run of seeds'],
    [['--scenario', 'K9: U'], 'slot "K9": use - for a free one'],
  ])('is refused with status 2: %j', async (args, message) => {
    expect(await verify(...args)).toBe(2);
    expect(printed).toContain(message);
  });
});
