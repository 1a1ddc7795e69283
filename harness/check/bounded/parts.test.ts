/** The explorer's parts: memory that goes back, its hash, the table of states, schedules as text. */
import { describe, expect, it } from 'vitest';
import { Outcome } from '../../../fusee/ops/index.js';
import { UsageError } from '../../../fusee/verbs/index.js';
import { Operation } from '../linearizability/index.js';
import { Random } from '../strategies/seeded.js';
import { formatChoices, parseChoices } from './choice.js';
import { Digest } from './digest.js';
import { HashedNodes } from './hashed-nodes.js';
import { BoundedPool, HistoryRecorder } from './index.js';
import { Seen } from './seen.js';

const hashOf = (nodes: HashedNodes): string => {
  const digest = new Digest().reset();
  nodes.addTo(digest);
  return `${digest.a} ${digest.b}`;
};

describe('nodes', () => {
  it('hash what they hold, whatever their history, and come back to the mark', () => {
    const random = new Random(1);
    const nodes = new HashedNodes([8192, 8192]);
    const bytes = Uint8Array.from({ length: 64 }, () => random.below(256));
    for (let i = 0; i < 50; i++) nodes.write(i % 2, random.below(4000), bytes, 0, 1 + random.below(60));
    nodes.mark();
    const marked = hashOf(nodes);
    const { changes } = nodes;
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 20; i++) {
        nodes.write(i % 2, random.below(8000), bytes, 0, 1 + random.below(60));
        nodes.store(i % 2, 8 * random.below(1000), random.below(3), random.below(3));
      }
      nodes.kill(1);
      expect(hashOf(nodes)).not.toBe(marked);
      // The same contents in other words, by another way.
      const copy = new HashedNodes([8192, 8192]);
      const whole = new Uint8Array(8192);
      for (let mn = 0; mn < 2; mn++) {
        nodes.read(mn, 0, whole, 0, 8192);
        copy.write(mn, 0, whole, 0, 8192);
      }
      copy.kill(1);
      expect(hashOf(copy)).toBe(hashOf(nodes));
      nodes.rollback();
      expect([hashOf(nodes), nodes.changes, nodes.isAlive(1)]).toEqual([marked, changes, true]);
    }
  });

  it('count changes only: what was there already wakes no poller', () => {
    const nodes = new HashedNodes([4096]);
    nodes.store(0, 8, 1, 2);
    const { changes } = nodes;
    nodes.store(0, 8, 1, 2);
    nodes.write(0, 8, Uint8Array.of(1, 0, 0, 0, 2), 0, 5);
    expect(nodes.changes).toBe(changes);
    nodes.write(0, 8, Uint8Array.of(2), 0, 1);
    expect(nodes.changes).toBe(changes + 1);
  });
});

it('a pool is the same at the beginning of each run, its weak CPUs too', () => {
  const pool = new BoundedPool({ setUp: (p) => p.insert(0, 7) });
  const start = hashOf(pool.begin().nodes);
  const request = new Uint8Array(32);
  new Uint32Array(request.buffer).set([1]);
  const answers = [0, 1].map(() => [pool.begin().nodes.call(0, request), hashOf(pool.nodes)]);
  expect(answers[0]).toEqual(answers[1]);
  expect(hashOf(pool.begin().nodes)).toBe(start);
  const memory = pool.memory();
  memory.bytes.fill(255);
  expect(pool.begin().memory().bytes.some(Boolean)).toBe(false);
});

it('the table of states knows each with its largest budget', () => {
  const seen = new Seen();
  const known = new Map<string, number>();
  const random = new Random(3);
  let wrong = 0;
  for (let i = 0; i < 10_000; i++) {
    const digest = new Digest().reset().add(random.below(5000));
    const name = `${digest.a} ${digest.b}`;
    const budget = random.below(4);
    if (seen.covers(digest, budget) !== (known.get(name) ?? -1) >= budget) wrong++;
    known.set(name, Math.max(budget, known.get(name) ?? -1));
  }
  expect([wrong, seen.count]).toEqual([0, known.size]);
});

it('a schedule is read as it was written, and what is none is refused', () => {
  const text = '>1 1.0 1.1/2 0~3 0! 2!7/1 0.3- 0.3? 0.3+ 0.3= 12. .';
  expect(formatChoices(parseChoices(text))).toBe(text);
  for (const wrong of ['1', '>x', '0.3/', '0~', '0!3']) expect(() => parseChoices(wrong)).toThrow(UsageError);
});

it('histories that differ in real time alone have different digests', () => {
  const digestOf = (overlap: boolean): string => {
    const recorder = new HistoryRecorder({ initial: new Map() });
    const write = { asker: 1, key: 0, operation: Operation.INSERT, value: 3 };
    const read = { asker: 2, key: 0, operation: Operation.SEARCH, value: 0 };
    const first = recorder.begin(write);
    if (!overlap) recorder.end(first, Outcome.OK);
    const second = recorder.begin(read);
    if (overlap) recorder.end(first, Outcome.OK);
    recorder.end(second, Outcome.NOT_FOUND);
    expect(recorder.wrong(new Map([[0, 3]])) === undefined).toBe(overlap);
    const digest = new Digest().reset();
    recorder.addTo(digest);
    return `${digest.a} ${digest.b}`;
  };
  expect(digestOf(true)).not.toBe(digestOf(false));
});
