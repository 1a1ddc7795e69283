import { expect, it } from 'vitest';
import { Field, VerbBatch } from './batch.js';
import { Ledger } from './ledger.js';
import { LocalMemory } from './local-memory.js';
import { word } from './word.js';

function batch(): VerbBatch {
  const buffer = new ArrayBuffer(4096);
  return new VerbBatch(new LocalMemory(buffer, () => 0), 8);
}

const counts = (l: Ledger): object => ({ ...l });
const ZERO = {
  rtts: 0,
  verbs: 0,
  bytes: 0,
  casFailures: 0,
  polls: 0,
  backgroundVerbs: 0,
  backgroundBytes: 0,
};

it('a batch is one round trip, whatever its verbs', () => {
  const ledger = new Ledger();
  const b = batch();
  b.read(0, 0, 0, 128);
  b.read(1, 0, 0, 128);
  ledger.add(b);
  expect(counts(ledger)).toEqual({ ...ZERO, rtts: 1, verbs: 2, bytes: 256 });
  ledger.add(b);
  expect(counts(ledger)).toEqual({ ...ZERO, rtts: 2, verbs: 4, bytes: 512 });
});

it('a batch without verbs costs nothing, also when it is a poll', () => {
  const ledger = new Ledger();
  const b = batch();
  ledger.add(b);
  b.isPoll = true;
  ledger.add(b);
  expect(counts(ledger)).toEqual(ZERO);
});

it('polls count apart from round trips', () => {
  const ledger = new Ledger();
  const b = batch();
  b.read8(0, 0);
  b.isPoll = true;
  ledger.add(b);
  expect(counts(ledger)).toEqual({ ...ZERO, polls: 1, verbs: 1, bytes: 8 });
});

it('background verbs count apart, and a batch of nothing else is no round trip', () => {
  const ledger = new Ledger();
  const b = batch();
  b.write(0, 0, 0, 1);
  b.write(1, 0, 0, 1);
  b.markBackground();
  ledger.add(b);
  expect(counts(ledger)).toEqual({ ...ZERO, backgroundVerbs: 2, backgroundBytes: 2 });
  b.read(0, 0, 0, 128);
  ledger.add(b);
  expect(counts(ledger)).toEqual({
    ...ZERO,
    rtts: 1,
    verbs: 1,
    bytes: 128,
    backgroundVerbs: 4,
    backgroundBytes: 4,
  });
});

it('a CAS that found another value is a failure; a READ that did is none', () => {
  const ledger = new Ledger();
  const b = batch();
  const found = [word(1, 2), word(1, 3), word(2, 2)];
  for (const w of found) {
    const i = b.cas(0, 0, word(1, 2), word(5, 5));
    b.setField(i, Field.FOUND_HI, w.hi);
    b.setField(i, Field.FOUND_LO, w.lo);
  }
  b.setField(b.read8(0, 0), Field.FOUND_LO, 77);
  ledger.add(b);
  expect(ledger.casFailures).toBe(2);
});

it('merging adds every count', () => {
  const [a, b] = [new Ledger(), new Ledger()];
  const names = Object.keys(ZERO) as (keyof typeof ZERO)[];
  names.forEach((name, i) => {
    a[name] = 1 << i;
    b[name] = 1000 * (i + 1);
  });
  a.merge(b);
  names.forEach((name, i) => {
    expect([name, a[name], b[name]]).toEqual([name, (1 << i) + 1000 * (i + 1), 1000 * (i + 1)]);
  });
});
