/** A failing plan made small, told verb by verb, and run again from its text. */
import { describe, expect, it, vi } from 'vitest';
import { RequestKind } from '../../fusee/ops/index.js';
import { replayCommand, tellShrunk } from './failure.js';
import { planOf, runPlan, type SeedReport, type SwarmHooks } from './index.js';
import { parsePlan } from './plan-text.js';
import { busy, deadly, hunt, noCommit, noFix, withInsert, withModify } from './planted.js';
import { runRepeatably } from './seed.js';
import { shrinkPlan } from './shrink.js';
import { Trace } from './trace.js';
import { runSeeds } from './worker.js';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const timeless = ({ runMs: _run, checkMs: _check, ...rest }: SeedReport): object => rest;

interface Bug {
  readonly name: string;
  readonly hooks: SwarmHooks;
  /** Requests that suffice. */
  readonly requests: number;
  /** Lines of the trace that name the harm. */
  readonly says: readonly RegExp[];
}

const BUGS: readonly Bug[] = [
  {
    name: 'a log commit that never lands',
    hooks: noCommit,
    requests: 1,
    says: [
      /INSERT key 0 +READ MN 1: log entry of object o1/,
      /CAS MN 0: slot \d+ on the primary, EMPTY -> KV\(o1\): done/,
    ],
  },
  {
    name: 'a losing INSERT that says OK (H1)',
    hooks: withInsert({ loser: 'says OK' }),
    requests: 3,
    says: [
      /CAS MN \d: slot \d+ on backup 1, EMPTY -> KV\(o2\): FAILS, found KV\(o1\)/,
      /INSERT key 0 +answers OK/,
    ],
  },
  {
    name: 'a losing DELETE that says OK (H3)',
    hooks: withModify({ vOld: 'read', loser: 'says OK' }, [RequestKind.DELETE]),
    requests: 6,
    says: [/DELETE key 0 .* KV\(o\d\) -> TOMB\(o\d\): FAILS, found TOMB\(o\d\)/, /DELETE key 0 +answers OK/],
  },
];

describe.each(BUGS)('$name', ({ hooks, requests, says }) => {
  const { plan, report } = hunt(hooks, busy);
  const { shrunk, text } = tellShrunk(plan, report, { hooks });

  it('needs few requests, and nothing that goes wrong beside it', () => {
    expect(report.requests).toBeGreaterThan(100);
    expect(shrunk.report.requests).toBeLessThanOrEqual(requests);
    const { faults, keys, thinkNs, crashes, pool } = shrunk.plan;
    expect([keys.length, thinkNs, crashes, pool.nodes, pool.dataReplicas]).toEqual([1, 0, 0, 2, 1]);
    expect([faults.tear, faults.delay, faults.rpcLoss, faults.rpcDuplication]).toEqual([0, 0, 0, 0]);
    expect(shrunk.isCutShort).toBe(false);
  });

  it('still fails with the same kind of finding', () => {
    expect(shrunk.report.findings[0].kind).toBe(report.findings[0].kind);
  });

  it('comes to the same digest when the printed command is run', () => {
    const command = /replay it with: fusee verify --seed (\d+) --plan '([^']*)'$/.exec(text);
    const again = parsePlan(Number(command?.[1]), command?.[2] ?? '');
    expect(again).toEqual(shrunk.plan);
    const repeated = runPlan(again, { hooks });
    expect(timeless(repeated)).toEqual(timeless(shrunk.report));
    expect(text).toContain(`digest ${repeated.digest};`);
  });

  it('is told verb by verb, and names the verbs that do the harm', () => {
    for (const line of says) expect(text).toMatch(line);
    expect(text.split('\n').length).toBeLessThan(80);
  });

  it('comes out the same every time', () => {
    expect(tellShrunk(plan, report, { hooks }).text).toBe(text);
  });
});

describe('a winner that does not fix the other backups', () => {
  it('is shrunk within its bounds, to less than a tenth', () => {
    const { plan, report } = hunt(noFix, busy);
    const shrunk = shrinkPlan(plan, report, { hooks: noFix, attemptsMax: 1500 });
    expect(shrunk.attempts).toBeLessThanOrEqual(1500);
    expect(shrunk.report.requests).toBeLessThan(report.requests / 10);
    expect(shrunk.report.findings[0].kind).toBe(report.findings[0].kind);
    expect(shrinkPlan(plan, report, { hooks: noFix, attemptsMax: 0 }).plan).toBe(plan);
    expect(shrinkPlan(plan, report, { hooks: noFix, secondsMax: 0 }).isCutShort).toBe(true);
  });
});

describe('a trace', () => {
  it('changes nothing of the run that it tells', () => {
    for (const plan of [planOf(4), planOf(12), planOf(99), deadly(planOf(3))]) {
      const traced = runPlan(plan, { trace: new Trace() });
      expect(timeless(traced)).toEqual(timeless(runPlan(plan)));
    }
  });

  it('tells deaths, recoveries and verbs in two parts', () => {
    const plan = deadly(planOf(3));
    const trace = new Trace();
    runPlan({ ...plan, faults: { ...plan.faults, tear: 0.3, tearNs: 100 } }, { trace });
    const text = trace.format({ linesMax: 1e6 }).join('\n');
    expect(text).toMatch(/client \d+ DIES/);
    expect(text).toMatch(/client \d+ is fenced, and \d requests of it recovered/);
    expect(text).toMatch(/recoverer \d+ .* has recovered: [A-Z_]+/);
    expect(text).toMatch(/WRITE MN \d: bytes 0 to \d+ of \d+ \(torn\) object o\d+ for \w+ \(key \d/);
    expect(text).toMatch(/READ MN \d: bytes 0 to \d+ of 128 \(torn\) buckets \d+ to \d+ on the primary/);
  });

  it('of a long run shows the end, or what concerns one key, and how much is left out', () => {
    const trace = new Trace();
    // No answer is lost, or clients would die of leaving, which concerns all keys.
    const plan = busy(planOf(2));
    runPlan({ ...plan, faults: { ...plan.faults, rpcLoss: 0 } }, { trace });
    const all = trace.format({ linesMax: 1e6 });
    const end = trace.format();
    expect(end).toHaveLength(101);
    expect(end[0]).toBe(`(${all.length - 100} earlier lines left out)`);
    const one = trace.format({ key: 1 });
    expect(one).toHaveLength(102);
    expect(one[0]).toMatch(/^\(\d+ lines of requests on other keys than 1 left out\)$/);
    expect(one.slice(2).every((line) => / key 1 /.test(line))).toBe(true);
  });
});

describe('two runs of one plan', () => {
  /** Posts one READ more now and then, whatever the seed says. */
  const drawsLots = (): SwarmHooks => {
    let lots = 0;
    return {
      posting: (batch) => {
        if (lots++ % 501 === 0 && batch.count > 0 && batch.count < batch.capacity) batch.read8(0, 0);
      },
    };
  };

  it('that differ are a finding, and the first', () => {
    const report = runRepeatably(busy(planOf(1)), { hooks: drawsLots(), isTwice: true });
    expect(report.findings[0].kind).toBe('determinism');
    expect(report.findings[0].message).toMatch(
      /went differently: .*; digest [0-9a-f]{16}, then [0-9a-f]{16}/,
    );
  });

  it('are made of every failing seed, and of every sixteenth', () => {
    const kindsOf = (seed: number, hooks: SwarmHooks): boolean =>
      runSeeds([seed], { hooks }).failures.some(({ text }) => text.includes('determinism: '));
    expect(kindsOf(32, drawsLots())).toBe(true);
    expect(kindsOf(33, drawsLots())).toBe(false);
    const { sum } = runSeeds(Array.from({ length: 17 }, (_, i) => 16 + i));
    expect([sum.seeds, sum.repeated, sum.failures]).toEqual([17, 2, 0]);
    const lots = drawsLots();
    const failing: SwarmHooks = {
      posting: (batch, coroutine) => {
        lots.posting?.(batch, coroutine);
        noCommit.posting?.(batch, coroutine);
      },
    };
    const report = runRepeatably(busy(planOf(1)), { hooks: failing });
    expect(report.findings.map((f) => f.kind)).toContain('log');
    expect(report.findings[0].kind).toBe('determinism');
  });

  it('that are alike say nothing', () => {
    expect(runRepeatably(planOf(7), { isTwice: true }).findings).toEqual([]);
  });
});

describe('a plan as text', () => {
  it('is what differs from the plan of its seed', () => {
    const plan = { ...planOf(7), clients: 2, keys: ["it's", 'k'], crashes: 0, cuts: 0 };
    expect(replayCommand(planOf(7))).toBe("fusee verify --seed 7 --plan '{}'");
    const command = replayCommand(plan);
    const text = /--plan '([^']*)'$/.exec(command)?.[1] ?? '';
    expect(parsePlan(7, text)).toEqual(plan);
  });

  it.each([
    ['{', /the plan is no JSON/],
    ['3', /the plan is 3; give an object/],
    ['{"seed":3}', /a plan has no "seed"; it has pool, clients/],
    ['{"client":3}', /a plan has no "client"/],
    ['{"pool":{"node":3}}', /a plan has no "pool.node"/],
    ['{"pool":3}', /pool of the plan is 3; give an object/],
    ['{"pool":{"nodes":99}}', /nodes is 99/],
    ['{"pool":{"nodes":"3"}}', /pool.nodes of the plan is "3"; give a number/],
    ['{"pool":{"subtables":65536,"subtablesMax":65536,"groupsPerSubtable":32768}}', /slots; at most 1000000/],
    ['{"clients":0}', /clients of the plan is 0; give a whole number from 1 to 64/],
    ['{"clients":1.5}', /clients of the plan is 1.5/],
    ['{"clients":64,"coroutines":64,"requests":1000}', /requests in all; at most/],
    ['{"faults":{"tear":2}}', /faults.tear of the plan is 2; give a number from 0 to 1/],
    ['{"keys":[]}', /keys of the plan must be a list/],
    ['{"keys":["a","a"]}', /keys of the plan must differ/],
    ['{"mix":[0,0,0,0,0]}', /mix of the plan is/],
    ['{"mix":[1,1]}', /give 5 weights/],
    ['{"valueBytesLeast":9,"valueBytesMost":8}', /the least exceeds the most/],
    ['{"valueBytesMost":16320}', /objects of \d+ lines; at most 255/],
    ['{"crashes":1,"cuts":2}', /2 cuts are more than the plan's 1 crashes/],
    ['{"isLoaded":1}', /give true or false/],
  ])('is refused when it cannot be: %s', (text, message) => {
    expect(() => parsePlan(7, text)).toThrow(message);
  });
});
