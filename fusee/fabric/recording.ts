/** Batches copied as they are posted, so that a native loop can execute them again. */
import { DESCRIPTOR_BYTES, UsageError, type VerbBatch } from '../verbs/index.js';

/** Recorded batches, and how many of them each doorbell rang for. */
export interface Recording {
  /** Batches as they lay in registered memory, one after the other: a header, then `count` descriptors. */
  readonly images: Uint32Array;
  /** Byte offset of each batch in `images`. */
  readonly offsets: Uint32Array;
  /** Per doorbell, how many batches had been rung for up to and including it. */
  readonly doorbellEnds: Uint32Array;
  readonly verbs: number;
}

const WORDS = DESCRIPTOR_BYTES >>> 2;

/** Collects a {@link Recording}; its memory is taken at the start, so that recording allocates nothing. */
export class Recorder {
  readonly #images: Uint32Array;
  readonly #offsets: Uint32Array;
  readonly #ends: Uint32Array;
  #words = 0;
  #batches = 0;
  #doorbells = 0;
  #rung = { words: 0, batches: 0 };

  /** @param verbsMax room for so many verbs; recording ends when it is used up. */
  constructor(verbsMax: number) {
    if (!(verbsMax > 0 && verbsMax <= 2 ** 24)) {
      throw new UsageError(`a recording of ${verbsMax} verbs: choose 1 to ${2 ** 24}`);
    }
    this.#images = new Uint32Array(verbsMax * 2 * WORDS);
    this.#offsets = new Uint32Array(verbsMax);
    this.#ends = new Uint32Array(verbsMax);
  }

  /** Copies a posted batch, if there is room for it. */
  add(batch: VerbBatch): void {
    const length = (batch.count + 1) * WORDS;
    if (this.#batches === this.#offsets.length || this.#words + length > this.#images.length) return;
    const from = batch.offset >>> 2;
    this.#offsets[this.#batches++] = this.#words << 2;
    const words = batch.local.words;
    for (let i = 0; i < length; i++) this.#images[this.#words++] = words[from + i];
  }

  /** The doorbell rings for what was added since the last one. */
  ring(): void {
    if (this.#batches === this.#rung.batches) return;
    this.#ends[this.#doorbells++] = this.#batches;
    this.#rung.words = this.#words;
    this.#rung.batches = this.#batches;
  }

  /** What was recorded, up to the last doorbell. */
  take(): Recording {
    const offsets = this.#offsets.slice(0, this.#rung.batches);
    return {
      images: this.#images.slice(0, this.#rung.words),
      offsets,
      doorbellEnds: this.#ends.slice(0, this.#doorbells),
      verbs: this.#rung.words / WORDS - offsets.length,
    };
  }
}
