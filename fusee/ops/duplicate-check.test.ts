import { describe, expect, it } from 'vitest';
import { executeVerb } from '../fabric/execute-verb.js';
import { CANDIDATES } from '../index/index.js';
import { KIND_MOVED, KIND_TENT, makeSlot } from '../layout/index.js';
import { type Op, type Word, word } from '../verbs/index.js';
import { keysAlike, poolByHand } from './by-hand.js';
import { DuplicateCheck } from './duplicate-check.js';

/** A context that looks for `keys[0]`; objects of both keys, which share the fingerprint, are in memory. */
function fixture() {
  const pool = poolByHand({ indexReplicas: 2, subtables: 1, groupsPerSubtable: 2, clients: 1 });
  const [a] = pool.clients;
  const keys = keysAlike(pool.config, 2);
  const pointers = keys.map((key) => {
    a.insert(key, 'value').finish();
    return a.cx.objectPointer;
  });
  a.search(keys[0]).finish();
  const { cx } = a;
  const { words } = cx.client.local;
  const check = new DuplicateCheck(cx);
  const fill = (at: number, content: (q: number) => Word): void => {
    for (let q = 0; q < CANDIDATES; q++) {
      const w = content(q);
      const i = (at + Math.floor(q / 7) * 64 + 8 + (q % 7) * 8) >>> 2;
      words[i] = w.lo;
      words[i + 1] = w.hi;
    }
  };
  const run = <T>(op: Op<T>): { value: T; rtts: number } => {
    for (let rtts = 0; ; rtts++) {
      const step = op.next();
      if (step.done) return { value: step.value, rtts };
      for (let i = 0; i < step.value.count; i++) executeVerb(pool.nodes, step.value, i);
    }
  };
  const fp = cx.place.fingerprint;
  /** A word that names an object of key `key`; any length from its own on is as true. */
  const names = (key: number, lines = 1, kind = 0): Word => makeSlot(word(), pointers[key] + kind, lines, fp);
  fill(cx.buckets, () => word());
  fill(cx.backupBuckets, () => word());
  check.begin();
  return { cx, check, fill, run, names, fp, pointers, nodes: pool.nodes };
}

const set = (...candidates: number[]): number => candidates.reduce((bits, q) => bits | (1 << q), 0);

describe('suspects', () => {
  it('are KVs and tombstones with the fingerprint that the primary does not hold, own slot excepted', () => {
    const { cx, check, fill, names, fp } = fixture();
    const tomb = makeSlot(word(), 8192, 0, fp);
    const content = new Map<number, Word>([
      [1, names(0)],
      [3, names(1)],
      [6, tomb],
      [8, makeSlot(word(), 4096, 1, fp ^ 1)],
      [10, makeSlot(word(), 4096, 0, fp ^ 1)],
      [13, names(0, 1, KIND_MOVED)],
      [20, names(0, 1, KIND_TENT)],
      [27, names(1, 2)],
    ]);
    fill(cx.backupBuckets, (q) => content.get(q) ?? word());
    expect(check.suspects(0)).toBe(set(1, 3, 6, 20, 27));
    expect(check.suspects(6)).toBe(set(1, 3, 20, 27));
    // What the primary holds too is settled; the same owner in another word is not.
    fill(cx.buckets, (q) => (q === 3 ? names(1) : q === 1 ? names(0, 2) : q === 6 ? tomb : word()));
    expect(check.suspects(0)).toBe(set(1, 20, 27));
  });

  it('are no longer those that are known to name other keys', () => {
    const { cx, check, fill, run, names } = fixture();
    fill(cx.backupBuckets, (q) => (q < 2 ? names(q) : word()));
    expect(check.suspects(27)).toBe(set(0, 1));
    expect(run(check.resolve(cx.backupBuckets, 27))).toEqual({ value: true, rtts: 1 });
    expect(check.suspects(27)).toBe(set(0));
    check.begin();
    expect(check.suspects(27)).toBe(set(0, 1));
  });
});

describe('resolving', () => {
  it('tells visible and tentative words of the key from those of others, and never the own slot', () => {
    const { cx, check, fill, run, names } = fixture();
    const content = [
      names(0),
      names(1),
      names(0, 1, KIND_TENT),
      names(1, 1, KIND_TENT),
      names(0, 1, KIND_MOVED),
    ];
    fill(cx.buckets, (q) => content[q] ?? (q === 9 ? names(0, 3) : word()));
    expect(run(check.resolve(cx.buckets, 9))).toEqual({ value: true, rtts: 1 });
    expect(check.keys(cx.buckets, 9, 'visible')).toBe(set(0));
    expect(check.keys(cx.buckets, 9, 'tentative')).toBe(set(2));
    expect(content.map((w) => check.isKeys(w))).toEqual([true, false, true, false, false]);
    // Known by now: no round trip; and the former own slot is read when another one is.
    expect(run(check.resolve(cx.buckets, 9)).rtts).toBe(0);
    expect(run(check.resolve(cx.buckets, 0)).rtts).toBe(1);
    expect(check.keys(cx.buckets, 0, 'visible')).toBe(set(9));
  });

  it('takes more round trips when the objects exceed the match area', () => {
    const { cx, check, fill, run, names } = fixture();
    fill(cx.buckets, (q) => (q < 6 ? names(0, 250 + q) : word()));
    expect(run(check.resolve(cx.buckets, 27))).toEqual({ value: true, rtts: 2 });
    expect(check.keys(cx.buckets, 27, 'visible')).toBe(0x3f);
  });

  it('fails when a replica is silent', () => {
    const { cx, check, fill, run, names, nodes, pointers } = fixture();
    fill(cx.buckets, (q) => (q === 5 ? names(0) : word()));
    nodes.kill(cx.client.view.dataMn(pointers[0], 0));
    expect(run(check.resolve(cx.buckets, 27))).toEqual({ value: false, rtts: 1 });
  });

  it('forgets nothing within a turn, however many words the turns before brought', () => {
    const { cx, check, fill, run, names } = fixture();
    let lines = 0;
    for (let turn = 0; turn < 9; turn++) {
      check.startTurn();
      // New words, all of the key, on the primary, and as many on the backup. Small turns leave little room.
      const most = [20, 20, 27][turn % 3];
      const first = lines + 1;
      lines += most;
      fill(cx.buckets, (q) => (q < most ? names(0, first + q) : word()));
      fill(cx.backupBuckets, (q) => (q < most ? names(turn % 2, first + q, KIND_TENT) : word()));
      run(check.resolve(cx.buckets, 27));
      run(check.resolve(cx.backupBuckets, 27));
      const all = (1 << most) - 1;
      expect(check.keys(cx.buckets, 27, 'visible')).toBe(all);
      expect(check.keys(cx.backupBuckets, 27, 'tentative')).toBe(turn % 2 === 0 ? all : 0);
    }
  });
});

it('a new attempt knows what the match before it read: matching words of the primary name others', () => {
  const { cx, check, fill, run, names } = fixture();
  fill(cx.buckets, (q) => (q === 4 ? names(1) : q === 5 ? names(1, 1, KIND_TENT) : word()));
  check.begin();
  expect(check.isKeys(names(1))).toBe(false);
  cx.batch.reset();
  // The tentative word was no match, so nobody has read its object.
  expect(check.appendUnknown(cx.buckets, 27)).toBe(1);
  expect(run(check.resolve(cx.buckets, 27)).rtts).toBe(1);
});
