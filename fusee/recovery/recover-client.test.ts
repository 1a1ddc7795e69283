/** A client dies after each of its batches; whoever recovers it may die too; nothing is lost or left over. */
import { describe, expect, it } from 'vitest';
import { stage } from '../client/sequential.js';
import type { PoolReport } from '../fsck/index.js';
import { Outcome, RequestKind } from '../ops/index.js';
import { DONE, type Op, type VerbBatch } from '../verbs/index.js';
import { run, SmallPool } from './by-hand.js';
import { RECOVERY_STEPS, type RecoveryStep, recoverClient } from './index.js';

const VICTIM = 1;

/** The requests and rounds that a victim dies of, one batch after the other. */
function* life({ c, janitor }: ReturnType<SmallPool['client']>): Op<void> {
  const { cx, loops } = c.coroutine;
  function* request(kind: RequestKind, key: string, value = ''): Op<void> {
    stage(c.coroutine, Buffer.from(key), Buffer.from(value));
    for (let batch = loops[kind].next().value; batch !== DONE; batch = loops[kind].next().value) yield batch;
    expect(cx.outcome).toBe(Outcome.OK);
  }
  for (const value of ['first', 'second']) yield* request(RequestKind.UPDATE, 'k', value);
  yield* janitor.round();
  yield* request(RequestKind.DELETE, 'k');
  yield* request(RequestKind.INSERT, 'mine', 'v'.repeat(200));
  yield* request(RequestKind.INSERT, 'k', 'third');
  for (let i = 0; i < 4; i++) yield* janitor.round();
  yield* request(RequestKind.UPDATE, 'k', 'fourth');
  yield* janitor.blocks.leave();
}

const unfreed = ({ nodes }: PoolReport): number =>
  nodes.reduce((sum, { bytes }) => sum + (bytes?.unfreed ?? 0), 0);

describe.each([1, 2, 3])('a client that dies after any of its batches, with %i index replicas', (r) => {
  it.each([0, 1])('leaves nothing behind, %i recoverers having died too', (deaths) => {
    let recoveries = 0;
    for (let batches = 0; ; batches += r === 2 ? 1 : 5) {
      const pool = new SmallPool({ indexReplicas: r });
      const other = pool.client(2);
      expect(other.c.insert('k', 'before')).toBe(Outcome.OK);
      const victim = pool.client(VICTIM);
      if (run(victim.c.fabric, life(victim), batches) !== undefined || batches > 400) break;
      const recover = (cid: number, limit?: number): boolean | undefined => {
        const { fabric, coroutine } = pool.outsider(cid);
        return run(fabric, recoverClient(coroutine.cx, { cid: VICTIM, index: VICTIM - 1 }), limit);
      };
      // Another place each time, so that all are tried over the batches of the victim.
      for (let death = 0; death < deaths; death++) recover(10 + death, (batches * 7) % 40);
      expect(recover(20)).toBe(true);
      expect(recover(21)).toBe(true);
      recoveries++;
      const value = other.c.search('k');
      expect(other.c.put('k', 'after')).toBe(Outcome.OK);
      expect(other.c.search('k'), `${value}`).toBe('after');
      run(other.c.fabric, other.janitor.blocks.leave());
      run(other.c.fabric, other.janitor.rest());
      const report = pool.walk();
      const where = `after ${batches} batches`;
      const findings = report.findings.filter(({ kind }) => r > 1 || kind !== 'bitmap');
      expect([where, findings, report.clients]).toEqual([where, [], []]);
      if (r > 1) expect([where, unfreed(report)]).toEqual([where, 0]);
      // Every block is somebody else's to take, and everything in it but what slots name.
      const next = pool.client(3);
      for (let i = 0; i < 8; i++) expect(next.c.put('k', `again ${i}`)).toBe(Outcome.OK);
      expect(next.c.search('k')).toBe('again 7');
    }
    expect(recoveries).toBeGreaterThan(r === 2 ? 60 : 12);
  });
});

it('tells its steps in order, each once', () => {
  const pool = new SmallPool();
  const victim = pool.client(VICTIM);
  expect(victim.c.insert('k', 'v')).toBe(Outcome.OK);
  const { c } = pool.client(2);
  const steps: RecoveryStep[] = [];
  const walked: number[] = [];
  const options = {
    onStep: (step: RecoveryStep) => steps.push(step),
    onWalked: (n: number) => walked.push(n),
  };
  const dead = { cid: VICTIM, index: VICTIM - 1 };
  expect(run(c.fabric, recoverClient(c.coroutine.cx, dead, options))).toBe(true);
  expect([steps, walked]).toEqual([[...RECOVERY_STEPS], [1]]);
});

it('takes as long after a thousand requests as after a few, but for what it scans', () => {
  const batchesOf = (requests: number): number => {
    const pool = new SmallPool();
    const victim = pool.client(VICTIM);
    expect(victim.c.insert('k', 'v')).toBe(Outcome.OK);
    for (let i = 0; i < requests; i++) {
      expect(victim.c.update('k', `${i}`)).toBe(Outcome.OK);
      if (i % 8 === 7) run(victim.c.fabric, victim.janitor.round());
    }
    const { c } = pool.client(2);
    let batches = 0;
    let isWaitedFor = true;
    const op = recoverClient(
      c.coroutine.cx,
      { cid: VICTIM, index: VICTIM - 1 },
      {
        onStep: (step) => {
          if (step === 'blocks') isWaitedFor = false;
        },
      },
    );
    const done: VerbBatch[] = [];
    for (let step = op.next(); !step.done; step = op.next()) {
      if (isWaitedFor) batches++;
      c.fabric.post(step.value);
      c.fabric.poll(done);
    }
    return batches;
  };
  expect(batchesOf(1000)).toBeLessThan(batchesOf(40) + 20);
});
