/**
 * Memory nodes for many runs: they know the hash of all they hold, and go back to a mark.
 *
 * Rules of this file:
 * - The hash is the exclusive or of a mix of every word that is not zero with its place, kept up with each
 *   change: asking for it costs nothing, and equal memories have equal hashes whatever their history.
 * - `changes` grows with changes only: a WRITE of what was there already wakes no poller.
 * - Everything goes through `store` and `write`, also what a weak CPU changes, and is noted in a journal.
 */
import { MemoryNodes, type RpcHandler } from '../../../fusee/fabric/memory-nodes.js';
import { UsageError, type Word, word } from '../../../fusee/verbs/index.js';
import { Digest } from './digest.js';

/** Numbers of one journal record: MN, offset, and the word that was there. */
const RECORD = 4;

/** The memories of several MNs, with a hash and a way back. */
export class HashedNodes extends MemoryNodes {
  /** What the weak CPUs have been asked and have answered, and whatever else their handlers note. */
  readonly calls: Digest[];
  /** Counts the returns to the mark: what a handler remembers from an earlier one is stale. */
  returns = 0;
  readonly #memory = new Digest();
  readonly #marked = new Digest();
  readonly #word: Word = word();
  #journal = new Float64Array(RECORD * 1024);
  #records = 0;
  #isMarked = false;
  #changesAtMark = 0;
  #dead = 0;

  /** @param memoryBytes of each MN: at most 32 MNs below 4 GiB. */
  constructor(memoryBytes: readonly number[]) {
    super(memoryBytes);
    if (memoryBytes.length > 32 || memoryBytes.some((bytes) => bytes > 2 ** 32))
      throw new UsageError(`${memoryBytes.length} MNs of ${memoryBytes} bytes: at most 32 of up to 4 GiB`);
    this.calls = memoryBytes.map(() => new Digest().reset());
  }

  /** From now on {@link rollback} comes back to the present contents. */
  mark(): void {
    this.#isMarked = true;
    this.#records = 0;
    this.#marked.copy(this.#memory);
    this.#changesAtMark = this.changes;
  }

  /** Takes back everything since {@link mark}: contents, deaths, and what was noted of calls. */
  rollback(): void {
    const journal = this.#journal;
    for (let at = (this.#records - 1) * RECORD; at >= 0; at -= RECORD)
      super.store(journal[at], journal[at + 1], journal[at + 2], journal[at + 3]);
    this.#records = 0;
    this.#memory.copy(this.#marked);
    this.changes = this.#changesAtMark;
    this.#dead = 0;
    this.nowNs = 0;
    this.returns++;
    for (const digest of this.calls) digest.reset();
  }

  /** Takes contents, deaths and calls into a digest. */
  addTo(digest: Digest): void {
    digest.addDigest(this.#memory).add(this.#dead);
    for (const calls of this.calls) digest.addDigest(calls);
  }

  override isAlive(mn: number): boolean {
    return ((this.#dead >>> mn) & 1) === 0;
  }

  override kill(mn: number): void {
    this.#dead |= 1 << mn;
    this.changes++;
  }

  override serve(mn: number, handler: RpcHandler): void {
    super.serve(mn, handler);
    this.calls[mn].reset();
  }

  override call(mn: number, request: Uint8Array): Uint8Array | undefined {
    const response = super.call(mn, request);
    const digest = this.calls[mn].addBytes(request, 0, request.length);
    if (response !== undefined) digest.addBytes(response, 0, response.length);
    return response;
  }

  override store(mn: number, offset: number, lo: number, hi: number): void {
    const before = this.load(mn, offset, this.#word);
    if (before.lo === lo && before.hi === hi) return;
    this.#note(mn, offset, before);
    this.#mix(mn, offset, before.lo, before.hi);
    this.#mix(mn, offset, lo, hi);
    super.store(mn, offset, lo, hi);
  }

  override write(mn: number, offset: number, source: Uint8Array, at: number, lengthBytes: number): void {
    if (lengthBytes === 0) return;
    const { changes } = this;
    const { a, b } = this.#memory;
    const records = this.#records;
    const first = offset - (offset % 8);
    for (let word8 = first; word8 < offset + lengthBytes; word8 += 8) {
      const before = this.load(mn, word8, this.#word);
      this.#note(mn, word8, before);
      this.#mix(mn, word8, before.lo, before.hi);
    }
    super.write(mn, offset, source, at, lengthBytes);
    for (let word8 = first; word8 < offset + lengthBytes; word8 += 8) {
      const { lo, hi } = this.load(mn, word8, this.#word);
      this.#mix(mn, word8, lo, hi);
    }
    if (a !== this.#memory.a || b !== this.#memory.b) return;
    this.changes = changes;
    this.#records = records;
  }

  #note(mn: number, offset: number, before: Word): void {
    if (!this.#isMarked) return;
    if ((this.#records + 1) * RECORD > this.#journal.length) {
      const longer = new Float64Array(this.#journal.length * 2);
      longer.set(this.#journal);
      this.#journal = longer;
    }
    const at = this.#records++ * RECORD;
    this.#journal[at] = mn;
    this.#journal[at + 1] = offset;
    this.#journal[at + 2] = before.lo;
    this.#journal[at + 3] = before.hi;
  }

  /** Adds a word to the hash, or takes it out again. */
  #mix(mn: number, offset: number, lo: number, hi: number): void {
    if ((lo | hi) === 0) return;
    const place = Math.imul((offset >>> 3) + Math.imul(mn + 1, 0x01000193), 0x9e3779b1);
    let a = Math.imul(lo ^ place, 0x85ebca6b);
    a = Math.imul((a ^ (a >>> 15)) + hi, 0xc2b2ae35);
    a = Math.imul(a ^ (a >>> 13), 0x27d4eb2f);
    this.#memory.a ^= a ^ (a >>> 16);
    let b = Math.imul(hi + (place ^ (place >>> 17)), 0xcc9e2d51);
    b = Math.imul((b ^ (b >>> 16)) + lo, 0x1b873593);
    b = Math.imul(b ^ (b >>> 14), 0x165667b1);
    this.#memory.b ^= b ^ (b >>> 15);
  }
}
