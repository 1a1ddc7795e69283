/** One-sided verbs, and the batch in which a protocol operation posts them: one batch is one round trip. */
import type { LocalMemory } from './local-memory.js';
import type { Word } from './word.js';

/** What a verb does. The values are shared with the native code. */
export const Opcode = { READ: 0, WRITE: 1, CAS: 2, FAA: 3, RPC: 4 } as const;

/** A posted verb gets exactly one of OK and FAIL; FAIL means that this path brought no answer. */
export const Status = { PENDING: 0, OK: 1, FAIL: 2 } as const;
export type Status = (typeof Status)[keyof typeof Status];

/** Bytes of one descriptor, and of the header ahead of a batch's descriptors. */
export const DESCRIPTOR_BYTES = 64;

/** Where each replica of one remote object lives; replica 0 is the primary. */
export interface ReplicaRef {
  count: number;
  readonly mn: Uint8Array;
  readonly offsetBytes: Float64Array;
}

/** A reusable {@link ReplicaRef} with room for `capacity` replicas. */
export const replicaRef = (capacity: number): ReplicaRef => ({
  count: 0,
  mn: new Uint8Array(capacity),
  offsetBytes: new Float64Array(capacity),
});

/**
 * 32-bit word numbers inside one descriptor (a double takes two). The native code mirrors this table, and a
 * test compares the two.
 */
export const Field = {
  OPCODE: 0,
  MN: 1,
  /** Remote offset, a double: 48 bits fit exactly. */
  REMOTE: 2,
  LOCAL: 4,
  LENGTH: 5,
  /** CAS: expected value. FAA: addend. RPC: local offset (lo) and capacity (hi) of the response. */
  EXPECT_LO: 6,
  EXPECT_HI: 7,
  /** CAS: the new value. READ: 1 in lo when it reads an object. */
  SWAP_LO: 8,
  SWAP_HI: 9,
  /**
   * The word that CAS, FAA or an 8-byte READ into the descriptor found. RPC: response length (lo). READ of an
   * object: its CRC (lo), where the fabric has computed it (hi is 1).
   */
  FOUND_LO: 10,
  FOUND_HI: 11,
  STATUS: 12,
} as const;

const COPIED = [Field.LOCAL, Field.LENGTH, Field.EXPECT_LO, Field.EXPECT_HI, Field.SWAP_LO, Field.SWAP_HI];

/** 32-bit word numbers inside the header ahead of the descriptors. */
export const Header = { COUNT: 0, POSTED_NS: 2, COMPLETED_NS: 4, REMAINING: 6, ID: 7 } as const;

/**
 * The verbs of one round trip, as descriptors in registered memory, so that posting copies nothing.
 *
 * One coroutine owns one batch and refills it for each round trip: `reset`, append verbs, `yield`. Verbs to
 * the same MN execute in the order they were appended.
 */
export class VerbBatch {
  readonly local: LocalMemory;
  readonly capacity: number;
  /** Offset of the header in registered memory. */
  readonly offset: number;
  /** Whoever drives the batch may number it; fabrics hand batches back, and this tells whose it is. */
  tag = 0;
  count = 0;
  /** Payload bytes of READs and WRITEs, 8 for an atomic: what the ledger counts. */
  bytes = 0;
  casCount = 0;
  /**
   * The operation only waits for a change: a driver may pace it, an explorer parks it until memory changes.
   */
  isPoll = false;
  /** The first verbs of the batch that no answer waits for, and their bytes: the ledger counts them apart. */
  backgroundCount = 0;
  backgroundBytes = 0;
  readonly #words: Uint32Array;
  readonly #doubles: Float64Array;
  readonly #first: number;

  constructor(local: LocalMemory, capacity: number) {
    this.local = local;
    this.capacity = capacity;
    this.offset = local.reserve((capacity + 1) * DESCRIPTOR_BYTES);
    this.#words = local.words;
    this.#doubles = local.doubles;
    this.#first = (this.offset + DESCRIPTOR_BYTES) >>> 2;
  }

  reset(): this {
    this.count = 0;
    this.bytes = 0;
    this.casCount = 0;
    this.isPoll = false;
    this.backgroundCount = 0;
    this.backgroundBytes = 0;
    return this;
  }

  /** Declares all verbs appended so far background work. */
  markBackground(): void {
    this.backgroundCount = this.count;
    this.backgroundBytes = this.bytes;
  }

  /** READ of `lengthBytes` into registered memory at `local`. */
  read(mn: number, remote: number, local: number, lengthBytes: number): number {
    const d = this.#append(Opcode.READ, mn, remote);
    this.#words[d + Field.LOCAL] = local;
    this.#words[d + Field.LENGTH] = lengthBytes;
    this.#words[d + Field.SWAP_LO] = 0;
    this.#words[d + Field.SWAP_HI] = 0;
    this.bytes += lengthBytes;
    return this.count++;
  }

  /**
   * READ of a whole object: two lengths of 16 bits, a CRC, and so many bytes. A fabric whose processor has
   * the bytes at hand may compute their CRC on the way: {@link crcOf} tells.
   */
  readObject(mn: number, remote: number, local: number, lengthBytes: number): number {
    const i = this.read(mn, remote, local, lengthBytes);
    const d = this.#first + (i << 4);
    this.#words[d + Field.SWAP_LO] = 1;
    this.#words[d + Field.FOUND_HI] = 0;
    return i;
  }

  /** The CRC of the object that verb `i` read, or -1 when the fabric left it to the reader. */
  crcOf(i: number): number {
    const d = this.#first + (i << 4);
    return this.#words[d + Field.FOUND_HI] === 1 ? this.#words[d + Field.FOUND_LO] : -1;
  }

  /** READ of one aligned word into the descriptor itself; {@link found} gives it. */
  read8(mn: number, remote: number): number {
    const d = this.#append(Opcode.READ, mn, remote);
    this.#words[d + Field.LOCAL] = (d + Field.FOUND_LO) << 2;
    this.#words[d + Field.LENGTH] = 8;
    this.#words[d + Field.SWAP_LO] = 0;
    this.#words[d + Field.SWAP_HI] = 0;
    this.bytes += 8;
    return this.count++;
  }

  /** WRITE of `lengthBytes` from registered memory at `local`; lands in ascending order. */
  write(mn: number, remote: number, local: number, lengthBytes: number): number {
    const d = this.#append(Opcode.WRITE, mn, remote);
    this.#words[d + Field.LOCAL] = local;
    this.#words[d + Field.LENGTH] = lengthBytes;
    this.bytes += lengthBytes;
    return this.count++;
  }

  /** Compare-and-swap of one aligned word; {@link found} gives what was there. */
  cas(mn: number, remote: number, expect: Word, swap: Word): number {
    const d = this.#append(Opcode.CAS, mn, remote);
    const w = this.#words;
    w[d + Field.LENGTH] = 8;
    w[d + Field.EXPECT_LO] = expect.lo;
    w[d + Field.EXPECT_HI] = expect.hi;
    w[d + Field.SWAP_LO] = swap.lo;
    w[d + Field.SWAP_HI] = swap.hi;
    this.bytes += 8;
    this.casCount++;
    return this.count++;
  }

  /** Fetch-and-add on one aligned word, modulo 2^64; {@link found} gives what was there before. */
  faa(mn: number, remote: number, add: Word): number {
    const d = this.#append(Opcode.FAA, mn, remote);
    const w = this.#words;
    w[d + Field.LENGTH] = 8;
    w[d + Field.EXPECT_LO] = add.lo;
    w[d + Field.EXPECT_HI] = add.hi;
    this.bytes += 8;
    return this.count++;
  }

  /**
   * A request to the MN's weak CPU: at most {@link RPC_BYTES} each way. {@link foundLo} gives the response's
   * length.
   */
  rpc(
    mn: number,
    request: { local: number; lengthBytes: number },
    response: { local: number; capacityBytes: number },
  ): number {
    const d = this.#append(Opcode.RPC, mn, 0);
    const w = this.#words;
    w[d + Field.LOCAL] = request.local;
    w[d + Field.LENGTH] = request.lengthBytes;
    w[d + Field.EXPECT_LO] = response.local;
    w[d + Field.EXPECT_HI] = response.capacityBytes;
    this.bytes += request.lengthBytes;
    return this.count++;
  }

  /** The word that verb `i` found: CAS and FAA what was there, {@link read8} what it read. */
  found(i: number, into: Word): Word {
    const d = this.#first + (i << 4);
    into.lo = this.#words[d + Field.FOUND_LO];
    into.hi = this.#words[d + Field.FOUND_HI];
    return into;
  }

  /** True when verb `i` found exactly `expected`. */
  foundIs(i: number, expected: Word): boolean {
    const d = this.#first + (i << 4);
    return this.#words[d + Field.FOUND_LO] === expected.lo && this.#words[d + Field.FOUND_HI] === expected.hi;
  }

  /** True when CAS number `i` found the value it expected, and so took effect. */
  swapped(i: number): boolean {
    const d = this.#first + (i << 4);
    const w = this.#words;
    return (
      w[d + Field.FOUND_LO] === w[d + Field.EXPECT_LO] && w[d + Field.FOUND_HI] === w[d + Field.EXPECT_HI]
    );
  }

  foundLo(i: number): number {
    return this.#words[this.#first + (i << 4) + Field.FOUND_LO];
  }

  status(i: number): Status {
    return this.#words[this.#first + (i << 4) + Field.STATUS] as Status;
  }

  opcode(i: number): number {
    return this.#words[this.#first + (i << 4) + Field.OPCODE];
  }

  mn(i: number): number {
    return this.#words[this.#first + (i << 4) + Field.MN];
  }

  remote(i: number): number {
    return this.#doubles[(this.#first + (i << 4) + Field.REMOTE) >>> 1];
  }

  /** Bytes that verb `i` reads or writes; 8 for an atomic. */
  lengthOf(i: number): number {
    return this.#words[this.#first + (i << 4) + Field.LENGTH];
  }

  /** Any 32-bit word of descriptor `i`, by its number in {@link Field}: for fabrics and traces. */
  field(i: number, field: number): number {
    return this.#words[this.#first + (i << 4) + field];
  }

  setField(i: number, field: number, value: number): void {
    this.#words[this.#first + (i << 4) + field] = value;
  }

  /**
   * Stamped by the fabric, nanoseconds of its clock: when the doorbell rang, and when the last verb
   * completed.
   */
  get postedNs(): number {
    return this.#doubles[(this.offset + Header.POSTED_NS * 4) >>> 3];
  }
  get completedNs(): number {
    return this.#doubles[(this.offset + Header.COMPLETED_NS * 4) >>> 3];
  }
  stamp(postedNs: number, completedNs: number): void {
    this.#doubles[(this.offset + Header.POSTED_NS * 4) >>> 3] = postedNs;
    this.#doubles[(this.offset + Header.COMPLETED_NS * 4) >>> 3] = completedNs;
  }

  /**
   * Appends a copy of verb `i` of another batch in the same registered memory, to another address. What a
   * READ brings lands where the original wanted it, in its descriptor too.
   */
  copyVerb(from: VerbBatch, i: number, to: { readonly mn: number; readonly offset: number }): number {
    const d = this.#append(from.opcode(i), to.mn, to.offset);
    const source = from.#first + (i << 4);
    for (const field of COPIED) this.#words[d + field] = this.#words[source + field];
    return this.count++;
  }

  /** Verb `i` is another address's from now on: what it came to was told of that one. */
  readdress(i: number, to: { readonly mn: number; readonly offset: number }): void {
    const d = this.#first + (i << 4);
    this.#words[d + Field.MN] = to.mn;
    this.#doubles[(d + Field.REMOTE) >>> 1] = to.offset;
  }

  /** True when any verb failed, background work included. */
  hasFailures(): boolean {
    for (let i = 0; i < this.count; i++) if (this.status(i) === Status.FAIL) return true;
    return false;
  }

  /** True when a verb that the operation waits for failed; background work is not its concern. */
  anyFailed(): boolean {
    for (let i = this.backgroundCount; i < this.count; i++) if (this.status(i) === Status.FAIL) return true;
    return false;
  }

  #append(opcode: number, mn: number, remote: number): number {
    if (this.count >= this.capacity) throw new RangeError(`batch is full: capacity ${this.capacity} verbs`);
    const d = this.#first + (this.count << 4);
    this.#words[d + Field.OPCODE] = opcode;
    this.#words[d + Field.MN] = mn;
    this.#doubles[(d + Field.REMOTE) >>> 1] = remote;
    this.#words[d + Field.STATUS] = Status.PENDING;
    return d;
  }
}

/** Limit of an RPC's request and of its response, bytes. */
export const RPC_BYTES = 112;
