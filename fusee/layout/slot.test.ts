import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Word, word } from '../verbs/index.js';
import {
  isFree,
  isKv,
  isMoved,
  isTent,
  isTomb,
  KIND_MOVED,
  KIND_TENT,
  lessOwner,
  makeSlot,
  ownerPointer,
  sameOwner,
  slotFingerprint,
  slotLines,
} from './slot.js';

/** A 64-byte aligned 48-bit pointer, uniform over all bits, with the edges that carry between the halves. */
const pointers = fc.oneof(
  fc.maxSafeNat().map((n) => (n % 2 ** 42) * 64),
  fc.constantFrom(64, 65472, 65536, 65600, 2 ** 32 - 64, 2 ** 32, 2 ** 47, 2 ** 48 - 64),
);
const bytes = fc.nat(255);

const bits = (w: Word): bigint => (BigInt(w.hi) << 32n) | BigInt(w.lo);

/** What each kind of slot is, by the table at the head of slot.ts. */
const kinds = [
  { name: 'EMPTY', w: word(), is: { kv: 0, tomb: 0, tent: 0, moved: 0, free: 1 } },
  { name: 'KV', w: makeSlot(word(), 4096, 1, 0), is: { kv: 1, tomb: 0, tent: 0, moved: 0, free: 0 } },
  {
    name: 'long KV',
    w: makeSlot(word(), 4096, 255, 255),
    is: { kv: 1, tomb: 0, tent: 0, moved: 0, free: 0 },
  },
  { name: 'TOMB', w: makeSlot(word(), 4096, 0, 7), is: { kv: 0, tomb: 1, tent: 0, moved: 0, free: 1 } },
  {
    name: 'TOMB above 2^32',
    w: makeSlot(word(), 2 ** 40, 0, 0),
    is: { kv: 0, tomb: 1, tent: 0, moved: 0, free: 1 },
  },
  {
    name: 'TENT',
    w: makeSlot(word(), 4096 + KIND_TENT, 1, 7),
    is: { kv: 0, tomb: 0, tent: 1, moved: 0, free: 0 },
  },
  {
    name: 'MOVED with a length',
    w: makeSlot(word(), 4096 + KIND_MOVED, 3, 7),
    is: { kv: 0, tomb: 0, tent: 0, moved: 1, free: 0 },
  },
  {
    name: 'MOVED without one',
    w: makeSlot(word(), KIND_MOVED, 0, 0),
    is: { kv: 0, tomb: 0, tent: 0, moved: 1, free: 0 },
  },
];

describe('a slot word', () => {
  it('is pointer << 16 | length << 8 | fingerprint, for every 48-bit pointer', () => {
    fc.assert(
      fc.property(pointers, fc.constantFrom(0, KIND_TENT, KIND_MOVED), bytes, bytes, (p, kind, lines, fp) => {
        const w = makeSlot(word(), p + kind, lines, fp);
        expect(bits(w)).toBe((BigInt(p + kind) << 16n) | (BigInt(lines) << 8n) | BigInt(fp));
        expect([w.hi >>> 0, w.lo >>> 0]).toEqual([w.hi, w.lo]);
        expect([ownerPointer(w), slotLines(w), slotFingerprint(w)]).toEqual([p, lines, fp]);
        expect([isTent(w), isMoved(w)]).toEqual([kind === KIND_TENT, kind === KIND_MOVED]);
        expect(isKv(w)).toBe(kind === 0 && lines > 0);
        expect(isFree(w)).toBe(kind === 0 && lines === 0);
        expect(isTomb(w)).toBe(kind === 0 && lines === 0 && p + fp > 0);
      }),
      { numRuns: 500 },
    );
  });

  it.each(kinds)('$name is of one kind only', ({ w, is }) => {
    const seen = { kv: isKv(w), tomb: isTomb(w), tent: isTent(w), moved: isMoved(w), free: isFree(w) };
    expect(seen).toEqual(Object.fromEntries(Object.entries(is).map(([name, n]) => [name, n === 1])));
  });

  it('keeps its owner whatever kind, length and fingerprint it takes on', () => {
    fc.assert(
      fc.property(pointers, bytes, bytes, bytes, (p, lines, fp, other) => {
        const kv = makeSlot(word(), p, lines, fp);
        for (const kind of [0, KIND_TENT, KIND_MOVED, 63]) {
          const changed = makeSlot(word(), p + kind, 0, other);
          expect(sameOwner(kv, changed)).toBe(true);
          expect([lessOwner(kv, changed), lessOwner(changed, kv)]).toEqual([false, false]);
          expect(ownerPointer(changed)).toBe(p);
        }
      }),
    );
  });

  it('is ordered by owner, as the pointers are, in all 48 bits', () => {
    fc.assert(
      fc.property(pointers, pointers, bytes, bytes, (p, q, lines, fp) => {
        const a = makeSlot(word(), p, lines, fp);
        const b = makeSlot(word(), q, fp, lines);
        expect(lessOwner(a, b)).toBe(p < q);
        expect(lessOwner(b, a)).toBe(q < p);
        expect(sameOwner(a, b)).toBe(p === q);
      }),
      { numRuns: 500 },
    );
  });

  it.each([64, 65536, 2 ** 32, 2 ** 47])('tells owners apart that differ by %i alone', (step) => {
    const a = makeSlot(word(), 0, 9, 9);
    const b = makeSlot(word(), step, 1, 1);
    expect([sameOwner(a, b), lessOwner(a, b), lessOwner(b, a)]).toEqual([false, true, false]);
  });
});
