import { describe, expect, it } from 'vitest';
import {
  DESCRIPTOR_BYTES,
  Field,
  Header,
  Opcode,
  RPC_BYTES,
  replicaRef,
  Status,
  VerbBatch,
} from './batch.js';
import { LocalMemory } from './local-memory.js';
import { word } from './word.js';

function memory(bytes = 8192): LocalMemory {
  const buffer = new ArrayBuffer(bytes);
  return new LocalMemory(buffer, () => 0);
}

/** The descriptor as native code sees it: 16 little-endian words behind the header. */
function descriptor(b: VerbBatch, i: number): { view: DataView; at: number } {
  return { view: new DataView(b.local.buffer), at: b.offset + DESCRIPTOR_BYTES * (i + 1) };
}

describe('a batch', () => {
  it('has the descriptor layout that native code mirrors', () => {
    expect(Field).toEqual({
      OPCODE: 0,
      MN: 1,
      REMOTE: 2,
      LOCAL: 4,
      LENGTH: 5,
      EXPECT_LO: 6,
      EXPECT_HI: 7,
      SWAP_LO: 8,
      SWAP_HI: 9,
      FOUND_LO: 10,
      FOUND_HI: 11,
      STATUS: 12,
    });
    expect(Header).toEqual({ COUNT: 0, POSTED_NS: 2, COMPLETED_NS: 4, REMAINING: 6, ID: 7 });
    expect(Opcode).toEqual({ READ: 0, WRITE: 1, CAS: 2, FAA: 3, RPC: 4 });
    expect(Status).toEqual({ PENDING: 0, OK: 1, FAIL: 2 });
    expect(DESCRIPTOR_BYTES).toBe(64);
    expect(RPC_BYTES).toBe(112);
  });

  it('writes every field of every verb where the layout says', () => {
    const b = new VerbBatch(memory(), 8);
    const far = 2 ** 48 - 8;
    expect(b.read(1, far, 640, 128)).toBe(0);
    expect(b.read8(2, 24)).toBe(1);
    expect(b.write(3, 4097, 704, 9)).toBe(2);
    expect(b.cas(4, 4096, word(0x11, 0x22), word(0x33, 0xffffffff))).toBe(3);
    expect(b.faa(5, 8, word(0x44, 0x55))).toBe(4);
    expect(b.rpc(6, { local: 768, lengthBytes: 32 }, { local: 832, capacityBytes: 40 })).toBe(5);
    const seen = Array.from({ length: 6 }, (_, i) => {
      const { view, at } = descriptor(b, i);
      const u = (field: number): number => view.getUint32(at + field * 4, true);
      return {
        head: [u(0), u(1), view.getFloat64(at + 8, true), u(4), u(5)],
        expected: [u(6), u(7)],
        swap: [u(8), u(9)],
      };
    });
    expect(seen[0].head).toEqual([Opcode.READ, 1, far, 640, 128]);
    expect(seen[1].head).toEqual([Opcode.READ, 2, 24, descriptor(b, 1).at + Field.FOUND_LO * 4, 8]);
    expect(seen[2].head).toEqual([Opcode.WRITE, 3, 4097, 704, 9]);
    expect([seen[3].head[0], seen[3].head[1], seen[3].head[2], seen[3].head[4]]).toEqual([2, 4, 4096, 8]);
    expect([seen[3].expected, seen[3].swap]).toEqual([
      [0x22, 0x11],
      [0xffffffff, 0x33],
    ]);
    expect([seen[4].head[0], seen[4].head[1], seen[4].head[2], seen[4].head[4]]).toEqual([3, 5, 8, 8]);
    expect(seen[4].expected).toEqual([0x55, 0x44]);
    expect([seen[5].head, seen[5].expected]).toEqual([
      [Opcode.RPC, 6, 0, 768, 32],
      [832, 40],
    ]);
    for (let i = 0; i < 6; i++) {
      expect([b.opcode(i), b.mn(i), b.remote(i)]).toEqual(seen[i].head.slice(0, 3));
      expect(b.field(i, Field.LENGTH)).toBe(seen[i].head[4]);
    }
  });

  it('counts the payload it moves: lengths of READs, WRITEs and requests, 8 for an atomic', () => {
    const b = new VerbBatch(memory(), 8);
    b.read(0, 0, 0, 100);
    expect(b.bytes).toBe(100);
    b.read8(0, 0);
    expect(b.bytes).toBe(108);
    b.write(0, 0, 0, 9);
    expect(b.bytes).toBe(117);
    b.cas(0, 0, word(), word(0, 1));
    expect(b.bytes).toBe(125);
    b.faa(0, 0, word(0, 1));
    expect(b.bytes).toBe(133);
    b.rpc(0, { local: 0, lengthBytes: 32 }, { local: 64, capacityBytes: 112 });
    expect(b.bytes).toBe(165);
    expect([b.count, b.casCount]).toEqual([6, 1]);
  });

  it('takes as many verbs as its capacity, and refuses the next, naming the capacity', () => {
    const b = new VerbBatch(memory(), 3);
    for (let i = 0; i < 3; i++) b.read8(0, 8 * i);
    expect(() => b.read8(0, 24)).toThrow(/capacity 3 verbs/);
    expect(b.count).toBe(3);
    expect(b.reset().read8(0, 0)).toBe(0);
  });

  it('keeps two batches apart in registered memory', () => {
    const local = memory();
    const a = new VerbBatch(local, 3);
    const b = new VerbBatch(local, 3);
    expect(b.offset - a.offset).toBe(4 * DESCRIPTOR_BYTES);
    a.cas(7, 8, word(1, 2), word(3, 4));
    a.read8(7, 8);
    a.read8(7, 16);
    b.stamp(5, 6);
    b.cas(1, 64, word(), word());
    expect([a.mn(2), a.remote(2), b.mn(0), b.remote(0)]).toEqual([7, 16, 1, 64]);
  });

  it('forgets everything at a reset, also what was left in a reused descriptor', () => {
    const b = new VerbBatch(memory(), 4);
    b.cas(0, 0, word(), word(0, 1));
    b.setField(0, Field.STATUS, Status.FAIL);
    expect(b.anyFailed()).toBe(true);
    b.markBackground();
    b.isPoll = true;
    b.reset();
    expect([b.count, b.bytes, b.casCount, b.isPoll, b.backgroundCount, b.backgroundBytes]).toEqual([
      0,
      0,
      0,
      false,
      0,
      0,
    ]);
    expect(b.anyFailed()).toBe(false);
    b.read8(0, 0);
    expect(b.status(0)).toBe(Status.PENDING);
  });

  it('marks as background exactly what was appended so far', () => {
    const b = new VerbBatch(memory(), 4);
    b.write(0, 0, 0, 1);
    b.write(1, 0, 0, 1);
    b.markBackground();
    b.read(0, 0, 0, 128);
    expect([b.backgroundCount, b.backgroundBytes, b.count, b.bytes]).toEqual([2, 2, 3, 130]);
  });

  it('tells what a verb found, and whether a CAS took effect, by both halves of the word', () => {
    const b = new VerbBatch(memory(), 4);
    b.read8(0, 0);
    b.cas(0, 8, word(7, 9), word(1, 1));
    const into = word();
    for (const [hi, lo, isSame] of [
      [7, 9, true],
      [7, 8, false],
      [6, 9, false],
    ] as const) {
      b.setField(1, Field.FOUND_HI, hi);
      b.setField(1, Field.FOUND_LO, lo);
      expect(b.swapped(1)).toBe(isSame);
      expect(b.foundIs(1, word(7, 9))).toBe(isSame);
      expect(b.found(1, into)).toBe(into);
      expect(into).toEqual({ hi, lo });
      expect(b.foundLo(1)).toBe(lo);
    }
  });

  it('fails as a whole when any verb failed, the first and the last too', () => {
    for (let failing = 0; failing < 3; failing++) {
      const b = new VerbBatch(memory(), 3);
      for (let i = 0; i < 3; i++) b.setField(b.read8(0, 0), Field.STATUS, Status.OK);
      expect(b.anyFailed()).toBe(false);
      b.setField(failing, Field.STATUS, Status.FAIL);
      expect(b.anyFailed()).toBe(true);
    }
  });

  it('does not fail for background verbs: no answer waits for them', () => {
    const b = new VerbBatch(memory(), 4);
    b.write(0, 0, 0, 1);
    b.markBackground();
    b.write(1, 0, 0, 1);
    b.setField(0, Field.STATUS, Status.FAIL);
    b.setField(1, Field.STATUS, Status.OK);
    expect(b.anyFailed()).toBe(false);
    b.setField(1, Field.STATUS, Status.FAIL);
    expect(b.anyFailed()).toBe(true);
  });

  it('carries the times that the fabric stamped', () => {
    const b = new VerbBatch(memory(), 1);
    b.stamp(123456789012, 123456789999.5);
    expect([b.postedNs, b.completedNs]).toEqual([123456789012, 123456789999.5]);
  });
});

describe('registered memory', () => {
  it('hands out 64-byte aligned ranges that never overlap, to the last byte', () => {
    const local = memory(64 * 6);
    expect([1, 64, 65, 128].map((n) => local.reserve(n))).toEqual([0, 64, 128, 256]);
    expect(() => local.reserve(1)).toThrow(/exhausted: 1 bytes asked for, 0 of 384 left/);
    expect(memory(64).reserve(64)).toBe(0);
    expect(() => memory(64).reserve(65)).toThrow(/65 bytes asked for, 64 of 64 left/);
  });

  it('keeps what was left when a reservation is refused', () => {
    const local = memory(192);
    local.reserve(64);
    expect(() => local.reserve(129)).toThrow(RangeError);
    expect(local.reserve(128)).toBe(64);
  });
});

it('a replica reference has room for the replicas asked for', () => {
  const ref = replicaRef(3);
  expect([ref.count, ref.mn.length, ref.offsetBytes.length]).toEqual([0, 3, 3]);
});
