/** READs into one piece of registered memory, a batch at a time. */
import { FabricError, type LocalMemory, type Op, VerbBatch } from '../verbs/index.js';

/** Bytes that one batch may bring. */
const ARENA_BYTES = 2 << 20;
/** READs of one batch. */
export const READS_MAX = 128;
/** Registered memory that a walk needs: what it reads, and the batch's descriptors. */
export const WALK_BYTES: number = ARENA_BYTES + (READS_MAX + 2) * 64;
/** Bytes that each of up to eight replicas may bring in one batch, with room for bitmaps beside them. */
export const CHUNK_BYTES: number = ARENA_BYTES / 16;

const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** A batch of READs and the memory that they fill. What a batch brought is good until the next begins. */
export class Reader {
  readonly local: LocalMemory;
  readonly batch: VerbBatch;
  readonly #arena: number;
  readonly #buffer: Buffer;
  #used = 0;

  constructor(local: LocalMemory) {
    this.local = local;
    this.batch = new VerbBatch(local, READS_MAX);
    this.#arena = local.reserve(ARENA_BYTES);
    this.#buffer = Buffer.from(local.buffer);
  }

  /** Begins a batch. */
  begin(): this {
    this.batch.reset();
    this.#used = 0;
    return this;
  }

  /** Adds a READ; gives where in registered memory its bytes will be, line aligned. */
  read(mn: number, offset: number, lengthBytes: number): number {
    const at = this.#arena + this.#used;
    this.#used += Math.ceil(lengthBytes / 64) * 64;
    if (this.#used > ARENA_BYTES) throw new RangeError(`a batch of the walk reads over ${ARENA_BYTES} bytes`);
    this.batch.read(mn, offset, at, lengthBytes);
    return at;
  }

  /** Runs the batch: one round trip, none when it is empty. @throws FabricError when a node is silent. */
  *run(): Op<void> {
    if (this.batch.count === 0) return;
    yield this.batch;
    if (!this.batch.anyFailed()) return;
    throw new FabricError(
      'a memory node did not answer, so its memory cannot be accounted for; see that all of them run',
    );
  }

  /** True when two stretches that were read hold the same bytes. */
  same(a: number, b: number, lengthBytes: number): boolean {
    return this.#buffer.compare(this.#buffer, b, b + lengthBytes, a, a + lengthBytes) === 0;
  }

  /** The first byte of a stretch that is not zero, counted from `at`; -1 when all are. */
  firstNonZero(at: number, lengthBytes: number): number {
    for (let from = 0; from < lengthBytes; from += ZEROS.length) {
      const length = Math.min(ZEROS.length, lengthBytes - from);
      if (this.#buffer.compare(ZEROS, 0, length, at + from, at + from + length) === 0) continue;
      for (let i = from; ; i++) if (this.#buffer[at + i] !== 0) return i;
    }
    return -1;
  }
}
