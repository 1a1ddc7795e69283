import { describe, expect, it } from 'vitest';
import { executeVerb } from '../fabric/execute-verb.js';
import { DIRECTORY_VERSION_OFFSET, directoryOffset, entryOf, lockedEntryOf } from '../layout/index.js';
import { NO_PERIOD } from '../memory/index.js';
import { type Op, VerbBatch, word } from '../verbs/index.js';
import { type ByHand, poolByHand } from './by-hand.js';
import { advancePeriod, DIRECTORY_READ_BYTES, DIRECTORY_READ_VERBS, enterPool, Outcome } from './index.js';

/** A pool of one subtable, which may become `subtablesMax`. */
function growing(subtablesMax = 4) {
  const pool = poolByHand({ indexReplicas: 2, subtables: 1, subtablesMax, groupsPerSubtable: 2 });
  const rooms = pool.clients.map(({ cx: { client } }) => ({
    batch: new VerbBatch(client.local, DIRECTORY_READ_VERBS),
    into: client.local.reserve(DIRECTORY_READ_BYTES),
  }));
  /** Runs an operation to its end; `beforeStep` is told each batch before it is executed. */
  const run = <T>(op: Op<T>, beforeStep: (n: number) => void = () => {}): T => {
    let step = op.next();
    for (let n = 0; !step.done; n++) {
      beforeStep(n);
      for (let i = 0; i < step.value.count; i++) executeVerb(pool.nodes, step.value, i);
      step = op.next();
    }
    return step.value;
  };
  const set = (s: number, lo: number, hi: number): void => {
    const mn = pool.view.directoryMn(0);
    pool.nodes.store(mn, directoryOffset(s), lo, hi);
    const { lo: version, hi: depth } = pool.nodes.load(mn, DIRECTORY_VERSION_OFFSET, word());
    pool.nodes.store(mn, DIRECTORY_VERSION_OFFSET, version + 1, depth);
  };
  const [a, b] = pool.clients;
  const advance = (client: ByHand, beforeStep?: (n: number) => void): boolean =>
    run(advancePeriod(client.cx.client, rooms[pool.clients.indexOf(client)]), beforeStep);
  for (const [i, { cx }] of pool.clients.entries()) run(enterPool(cx.client, rooms[i]));
  return { ...pool, a, b, advance, set };
}

const polls = ({ batch }: ByHand): boolean => batch?.count === 0 && batch.isPoll;

describe('a period', () => {
  it('is taken with the directory at one stroke: who begins while it is loaded belongs to the one before', () => {
    const { a, advance, set } = growing();
    const { grace, directory } = a.cx.client;
    const before = grace.period;
    set(0, lockedEntryOf(0, false, 1), 99);
    expect(
      advance(a, (n) => {
        // The announcement has been answered, and the directory is on its way.
        if (n === 1) a.search('k');
      }),
    ).toBe(true);
    expect([a.cx.period, grace.period, directory.version]).toEqual([before, before + 1, 1]);
    // So others wait for it: the next period is not announced before it has ended.
    expect(advance(a)).toBe(false);
    a.finish();
    expect([a.cx.period, advance(a), grace.period]).toEqual([NO_PERIOD, true, before + 2]);
  });

  it('costs one round trip, and two when the directory has changed', () => {
    const { a, advance, set } = growing();
    const steps = (): number => {
      let count = 0;
      advance(a, () => count++);
      return count;
    };
    expect(steps()).toBe(1);
    set(0, lockedEntryOf(0, false, 1), 99);
    expect([steps(), steps()]).toEqual([2, 1]);
  });
});

describe('while a subtable is locked', () => {
  it.each(['insert', 'update', 'delete', 'put'] as const)('%s waits, with no verb and no period', (kind) => {
    const { a, advance, set } = growing();
    a.insert('k', 'old').finish();
    set(0, lockedEntryOf(0, false, 1), 99);
    advance(a);
    a[kind]('k', 'new');
    for (let i = 0; i < 5; i++) {
      expect([polls(a), a.cx.period, a.cx.client.waiting]).toEqual([true, NO_PERIOD, 1]);
      expect(advance(a)).toBe(true);
      a.answer();
    }
    set(0, entryOf(0), 0);
    advance(a);
    expect(a.answer().cx.period).toBe(a.cx.client.grace.period);
    expect([a.finish(), a.cx.client.waiting]).toEqual([kind === 'insert' ? Outcome.EXISTS : Outcome.OK, 0]);
  });

  it('a writer whose deadline passes is UNAVAILABLE, and has done nothing', () => {
    const { a, b, advance, set } = growing();
    set(0, lockedEntryOf(0, false, 1), 99);
    advance(a);
    a.insert('k', 'v').answer();
    a.cx.write.expired = true;
    expect([a.finish(), a.cx.client.waiting, b.search('k').finish()]).toEqual([
      Outcome.UNAVAILABLE,
      0,
      Outcome.NOT_FOUND,
    ]);
  });

  it('SEARCH costs what it costs: one round trip on a hit, two on a miss', () => {
    const { a, b, advance, set } = growing();
    a.insert('k', 'v').finish();
    set(0, lockedEntryOf(0, false, 1), 99);
    for (const client of [a, b]) advance(client);
    expect([a.search('k').finish(), a.ledger.rtts]).toEqual([Outcome.OK, 1]);
    expect([b.search('k').finish(), b.ledger.rtts]).toEqual([Outcome.OK, 2]);
  });
});

describe('an INSERT that finds no vacancy', () => {
  /** Fills the one subtable of two groups, and gives a key that finds no vacancy. */
  function full(subtablesMax: number) {
    const pool = growing(subtablesMax);
    for (let i = 0; ; i++) {
      pool.a.insert(`key${i}`, 'v');
      for (let n = 0; n < 20 && pool.a.batch !== undefined && !polls(pool.a); n++) pool.a.step();
      if (pool.a.batch !== undefined || pool.a.cx.outcome !== Outcome.OK) return { ...pool, key: `key${i}` };
    }
  }

  it('is INDEX_FULL where the index does not grow', () => {
    const { a } = full(1);
    expect([a.batch, a.cx.outcome]).toEqual([undefined, Outcome.INDEX_FULL]);
  });

  it('asks for a split and waits for it, holding nothing', () => {
    const { a, set, advance } = full(4);
    const { client } = a.cx;
    expect([...client.splitsWanted]).toEqual([[0, 0]]);
    expect([a.cx.period, client.waiting]).toEqual([NO_PERIOD, 1]);
    a.answer();
    client.splitsWanted.clear();
    // The lock is somebody else's then; when it is lifted without a split, it asks again.
    set(0, lockedEntryOf(0, false, 1), 99);
    advance(a);
    expect([polls(a.answer()), client.splitsWanted.size]).toEqual([true, 0]);
    set(0, entryOf(0), 0);
    advance(a);
    expect([polls(a.answer()), client.splitsWanted.size]).toEqual([true, 1]);
    a.cx.write.expired = true;
    expect(a.finish()).toBe(Outcome.UNAVAILABLE);
  });

  it('is NO_MEMORY when the pool has grown as far as it may', () => {
    const { a, set, nodes, view, geometry, advance, key } = full(2);
    a.cx.write.expired = true;
    a.finish();
    a.cx.client.splitsWanted.clear();
    // As if it had split, and both halves were full.
    nodes.store(view.directoryMn(0), DIRECTORY_VERSION_OFFSET, 0, 1);
    set(1, entryOf(1), 0);
    set(0, entryOf(1), 0);
    for (let at = 0; at < geometry.subtableBytes; at += 8) {
      const w = nodes.load(view.slotMn(0, 0), view.slotOffset(at), word());
      for (const half of [0, 1]) {
        const to = half * geometry.subtableBytes + at;
        const [lo, hi] = at % 64 === 0 ? [1, half] : [w.lo, w.hi];
        nodes.store(view.slotMn(to, 0), view.slotOffset(to), lo, hi);
      }
    }
    advance(a);
    a.insert(key, 'v');
    expect([a.finish(), a.cx.client.splitsWanted.size]).toEqual([Outcome.NO_MEMORY, 0]);
  });
});

describe('a client that announces no periods', () => {
  it('finds by the bucket header that its directory is too old, and looks again', () => {
    const { a, b, nodes, view, geometry, set } = growing();
    const keys = Array.from({ length: 20 }, (_, k) => `key${k}`);
    for (const key of keys) a.insert(key, 'v').finish();
    const moved = keys.filter((key) => {
      a.search(key).finish();
      return (a.cx.place.placeHash & 1) === 1;
    });
    // All of subtable 0 is copied into subtable 1, and the headers tell them apart.
    nodes.store(view.directoryMn(0), DIRECTORY_VERSION_OFFSET, 0, 1);
    for (let at = 0; at < geometry.subtableBytes; at += 8) {
      const w = nodes.load(view.slotMn(0, 0), view.slotOffset(at), word());
      const to = geometry.subtableBytes + at;
      const isHeader = at % 64 === 0;
      nodes.store(view.slotMn(to, 0), view.slotOffset(to), isHeader ? 1 : w.lo, isHeader ? 1 : w.hi);
      if (isHeader) nodes.store(view.slotMn(0, 0), view.slotOffset(at), 1, 0);
    }
    set(1, entryOf(1), 0);
    set(0, entryOf(1), 0);
    expect(moved.length).toBeGreaterThan(2);
    expect(b.search(moved[0]).finish()).toBe(Outcome.OK);
    expect([b.cx.client.staleDirectories, b.ledger.rtts]).toEqual([1, 4]);
    expect([b.search(moved[1]).finish(), b.ledger.rtts, b.cx.client.staleDirectories]).toEqual([
      Outcome.OK,
      2,
      1,
    ]);
    // What is cached from before lies in a subtable that is the key's no more.
    expect([a.search(moved[0]).finish(), a.cx.client.staleDirectories]).toEqual([Outcome.OK, 0]);
  });
});
