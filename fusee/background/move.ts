/**
 * The bytes of a split: the new half is written, and the old half cleaned of what has gone to it.
 *
 * Both work on a few groups at a time, and may be begun again at any point: they overwrite what an earlier
 * attempt has left. Nobody writes to either half meanwhile (`split.ts`).
 */
import { hashKey, type KeyPlace, keyPlace } from '../index/index.js';
import {
  BUCKET_BYTES,
  GROUP_BYTES,
  GROUP_SLOTS,
  HEADER_BYTES,
  isKv,
  isTomb,
  LINE_BYTES,
  MAX_LINES,
  ownerPointer,
  slotFingerprint,
  type View,
} from '../layout/index.js';
import {
  CorruptionError,
  formatWord,
  isZero,
  type LocalMemory,
  type Op,
  sameWord,
  VerbBatch,
  type Word,
  word,
} from '../verbs/index.js';

/** Groups that are moved at a time. */
const GROUPS = 6;
const PIECE_BYTES = GROUPS * GROUP_BYTES;
const SLOTS = GROUPS * GROUP_SLOTS;
const BATCH_VERBS = SLOTS + 8;
/** Room for the first lines of all objects of a piece, or for one object of the longest key. */
const OBJECTS_BYTES = Math.max(SLOTS, MAX_LINES) * LINE_BYTES;

/** Registered memory that a {@link Mover} takes. */
export const MOVER_BYTES: number = 2 * PIECE_BYTES + OBJECTS_BYTES + (BATCH_VERBS + 1) * LINE_BYTES;

/** Subtable `from` of local depth `depth`, and what it is split into: itself, one deeper, and `to`. */
export interface Halves {
  readonly from: number;
  readonly to: number;
  readonly depth: number;
}

/** The halves of subtable `from`, whose local depth is `depth` before the split. */
export const halvesOf = (from: number, depth: number): Halves => ({ from, to: from + 2 ** depth, depth });

/** Moves the words of one split at a time; makes its own registered memory. */
export class Mover {
  readonly #view: View;
  readonly #local: LocalMemory;
  readonly #batch: VerbBatch;
  /** The piece of the old half, and of the new one. */
  readonly #old: number;
  readonly #new: number;
  readonly #objects: number;
  readonly #place: KeyPlace;
  /** Slots of the piece whose keys are not known yet, as offsets in it. */
  readonly #open = new Uint16Array(SLOTS);
  #openCount = 0;
  /** Slots of the old half that were not EMPTY, by the latest {@link copy}. */
  used = 0;

  constructor(view: View, local: LocalMemory) {
    this.#view = view;
    this.#local = local;
    this.#batch = new VerbBatch(local, BATCH_VERBS);
    this.#old = local.reserve(PIECE_BYTES);
    this.#new = local.reserve(PIECE_BYTES);
    this.#objects = local.reserve(OBJECTS_BYTES);
    this.#place = keyPlace({ subtables: 1, groups: view.geometry.config.groupsPerSubtable });
  }

  /**
   * Writes the new half, whole, on all its replicas. 3 round trips for 6 groups; more where keys are longer
   * than a line has room for. False when a node was silent.
   * @throws CorruptionError when a word is not at rest, or its key belongs elsewhere.
   */
  *copy(halves: Halves): Op<boolean> {
    const { subtableBytes } = this.#view.geometry;
    const b = this.#batch;
    this.used = 0;
    for (let at = 0; at < subtableBytes; at += PIECE_BYTES) {
      const bytes = Math.min(PIECE_BYTES, subtableBytes - at);
      b.reset();
      this.#read(halves.from * subtableBytes + at, this.#old, bytes);
      yield b;
      if (b.anyFailed()) return false;
      this.#local.words.fill(0, this.#new >>> 2, (this.#new + bytes) >>> 2);
      this.#setHeaders(this.#new, bytes, { depth: halves.depth + 1, suffix: halves.to });
      this.#listWords(bytes);
      this.used += this.#openCount;
      if (!(yield* this.#sort(halves))) return false;
      b.reset();
      this.#write(halves.to * subtableBytes + at, this.#new, bytes);
      yield b;
      if (b.anyFailed()) return false;
    }
    return true;
  }

  /**
   * Takes out of the old half what the new half has, on all replicas. 2 round trips for 6 groups. False when
   * a node was silent.
   * @throws CorruptionError when both halves hold a word in one place.
   */
  *clean(halves: Halves): Op<boolean> {
    const { subtableBytes } = this.#view.geometry;
    const b = this.#batch;
    const [mine, its] = [word(), word()];
    for (let at = 0; at < subtableBytes; at += PIECE_BYTES) {
      const bytes = Math.min(PIECE_BYTES, subtableBytes - at);
      b.reset();
      this.#read(halves.from * subtableBytes + at, this.#old, bytes);
      this.#read(halves.to * subtableBytes + at, this.#new, bytes);
      yield b;
      if (b.anyFailed()) return false;
      for (let i = 0; i < bytes; i += 8) {
        this.#load(this.#old + i, mine);
        this.#load(this.#new + i, its);
        if (i % BUCKET_BYTES === 0 || isZero(its) || isZero(mine)) continue;
        if (!sameWord(mine, its)) {
          throw new CorruptionError(
            `a split left ${formatWord(mine)} in slot ${halves.from * subtableBytes + at + i} ` +
              `and ${formatWord(its)} in its place in subtable ${halves.to}`,
          );
        }
        this.#store(this.#old + i, 0, 0);
      }
      this.#setHeaders(this.#old, bytes, { depth: halves.depth + 1, suffix: halves.from });
      b.reset();
      this.#write(halves.from * subtableBytes + at, this.#old, bytes);
      yield b;
      if (b.anyFailed()) return false;
    }
    return true;
  }

  /** Copies to the new piece what belongs there, by the keys of the objects that the words name. */
  *#sort(halves: Halves): Op<boolean> {
    const b = this.#batch;
    const w = word();
    // The first lines of all; then whole keys of those that are longer, as many at a time as there is room
    // for.
    for (let isLong = false; this.#openCount > 0; isLong = true) {
      b.reset();
      let used = 0;
      let count = 0;
      for (; count < this.#openCount; count++) {
        const lineBytes = isLong ? this.#keyLines[count] * LINE_BYTES : LINE_BYTES;
        if (used + lineBytes > OBJECTS_BYTES) break;
        const pointer = ownerPointer(this.#load(this.#old + this.#open[count], w));
        b.read(
          this.#view.dataMn(pointer, 0),
          this.#view.dataOffset(pointer, 0),
          this.#objects + used,
          lineBytes,
        );
        used += lineBytes;
      }
      yield b;
      if (b.anyFailed()) return false;
      this.#sortRead(halves, count, isLong);
    }
    return true;
  }

  /** Lines that hold the key of each open slot, once its first line was read. */
  readonly #keyLines = new Uint16Array(SLOTS);

  /**
   * Looks at the first `count` open slots, whose objects have been read; keeps those with longer keys open.
   */
  #sortRead(halves: Halves, count: number, isLong: boolean): void {
    const { words } = this.#local;
    const w = word();
    let kept = 0;
    let from = this.#objects;
    for (let i = 0; i < count; i++) {
      const slot = this.#open[i];
      const lines = Math.ceil((HEADER_BYTES + (words[from >>> 2] & 0xffff)) / LINE_BYTES);
      const linesRead = isLong ? this.#keyLines[i] : 1;
      if (lines > linesRead && !isLong && lines <= MAX_LINES) {
        this.#open[kept] = slot;
        this.#keyLines[kept++] = lines;
      } else if (this.#goes(halves, this.#load(this.#old + slot, w), from, lines > linesRead)) {
        this.#store(this.#new + slot, w.lo, w.hi);
      }
      from += linesRead * LINE_BYTES;
    }
    for (let i = count; i < this.#openCount; i++) {
      this.#open[kept] = this.#open[i];
      this.#keyLines[kept++] = this.#keyLines[i];
    }
    this.#openCount = kept;
  }

  /** Does the word whose object was read to `from` go to the new half? */
  #goes({ depth, from: subtable }: Halves, w: Word, from: number, isCut: boolean): boolean {
    const place = this.#place;
    const keyBytes = this.#local.words[from >>> 2] & 0xffff;
    if (!isCut) hashKey(place, this.#local, from + HEADER_BYTES, keyBytes);
    const belongs =
      !isCut &&
      place.placeHash >>> 24 === slotFingerprint(w) &&
      (place.placeHash & (2 ** depth - 1)) === subtable;
    if (belongs) return ((place.placeHash >>> depth) & 1) === 1;
    throw new CorruptionError(
      `subtable ${subtable} holds ${formatWord(w)}, whose object at ${ownerPointer(w)} has a key that ` +
        'does not belong there',
    );
  }

  /** Lists the slots of the piece that are not EMPTY. */
  #listWords(bytes: number): void {
    const w = word();
    this.#openCount = 0;
    for (let i = 0; i < bytes; i += 8) {
      if (i % BUCKET_BYTES === 0 || isZero(this.#load(this.#old + i, w))) continue;
      if (!isKv(w) && !isTomb(w)) {
        throw new CorruptionError(
          `a subtable that nobody writes to holds ${formatWord(w)}, neither KV nor tombstone`,
        );
      }
      this.#open[this.#openCount++] = i;
    }
  }

  #setHeaders(at: number, bytes: number, { depth, suffix }: { depth: number; suffix: number }): void {
    for (let i = 0; i < bytes; i += BUCKET_BYTES) this.#store(at + i, depth, suffix);
  }

  #read(slot: number, into: number, bytes: number): void {
    this.#batch.read(this.#view.slotMn(slot, 0), this.#view.slotOffset(slot), into, bytes);
  }

  /** Backups first: to one node they are ordered, and the primary is what others read. */
  #write(slot: number, from: number, bytes: number): void {
    for (let r = this.#view.slotCount(slot) - 1; r >= 0; r--)
      this.#batch.write(this.#view.slotMn(slot, r), this.#view.slotOffset(slot), from, bytes);
  }

  #load(at: number, into: Word): Word {
    into.lo = this.#local.words[at >>> 2];
    into.hi = this.#local.words[(at >>> 2) + 1];
    return into;
  }

  #store(at: number, lo: number, hi: number): void {
    this.#local.words[at >>> 2] = lo;
    this.#local.words[(at >>> 2) + 1] = hi;
  }
}
