/**
 * Filling a node's place with the memory of a fresh process, while clients work (beyond FUSEE; section 5.2
 * leaves a dead node's replicas missing). The place is dead by the view, or still another process's.
 *
 * Deviation from the usual two-step join, in which clients write to the new replica too: here nobody but the
 * master writes to it before it has its vote, so no client's WRITE, CAS or FAA can be overtaken by an older
 * copy of the same bytes. Clients note instead which pages they write to (`marks.ts`). Two views:
 * - *Filling.* It begins when everybody has stopped: all that was posted before is answered, and every verb
 *   posted from now on is marked by who posts it. Everything is copied, in any order, from whoever is
 *   primary.
 * - *Join.* Everybody stops again and tells its marks. If much is marked, that is copied while clients go on,
 *   with new marks, and they stop once more. If little, slots with open rounds are decided on the replicas so
 *   far, what is marked is copied, and the node has its vote (`join.ts`).
 *
 * Why the new memory is then the same as its sources':
 * - A piece is taken off the list before it is READ. A verb that changes it is executed before that READ, and
 *   copied; or it is marked, and told at a stop at which it is answered, so that the piece is on the list
 *   again, behind it. At the last stop nothing is posted, and the list is worked off.
 * - The master's own verbs (repairs, recoveries) are marked as well. What a node's CPU writes, block tables,
 * is
 *   copied at the last stop whatever is marked, and so are client table and directory: they are small.
 * - A client that dies has told nothing since the last stop: what it may have written is everything, and all
 * is
 *   on the list again. After {@link ROUNDS_MAX} stops what is left is copied at the stop, however long it
 *   takes, so that filling ends although clients die.
 * - Replicas that are sources agree where nothing is open; open rounds are decided first. What a dead client
 *   left on some replicas only is taken as the primary has it, as if the new replica had been there.
 */
import { CLIENTS_BASE, type View } from '../layout/index.js';
import { type LocalMemory, type Op, VerbBatch } from '../verbs/index.js';
import type { Marks } from './marks.js';

/** Stops after which what is left is copied at a stop. */
export const ROUNDS_MAX = 8;
/** So much is copied at a stop; more of it while clients go on. */
const STOPPED_BYTES = 1 << 20;
/** Pieces of one batch: clients' verbs wait behind it. */
const BATCH_PIECES = 16;

/** Something that the place has a replica of, at one stretch. */
interface Stretch {
  /** Offset on the node. */
  readonly to: number;
  readonly bytes: number;
  /** Region, or -1: then it has the same offset on all its nodes, those of `subtable`. */
  readonly region: number;
  readonly subtable: number;
  /** From the start of the region's blocks: negative for its table. */
  readonly at: number;
  /** It is changed by others than who marks, and is copied at the last stop anyway. */
  readonly isUnmarked: boolean;
  /** Pieces that are to be copied, and how many. */
  readonly todo: Uint8Array;
  left: number;
}

/** Registered memory that one {@link Filler} takes, with pieces of so many bytes. */
export const fillBytes = (pieceBytes: number): number =>
  BATCH_PIECES * pieceBytes + 2 * 64 * (BATCH_PIECES + 1);

/** How it stands with a place that is filled. */
export interface FillProgress {
  readonly mn: number;
  /** Bytes of its replicas, and how many of them are still to be copied. */
  readonly bytes: number;
  readonly leftBytes: number;
  /** Bytes copied so far, those that had changed again included. */
  readonly copiedBytes: number;
  /** Times that everybody has stopped for it. */
  readonly rounds: number;
}

/** Fills one place; the head of this file says how. */
export class Filler {
  readonly mn: number;
  rounds = 0;
  readonly #view: View;
  readonly #local: LocalMemory;
  readonly #pieceBytes: number;
  readonly #stoppedBytes: number;
  readonly #target: number;
  readonly #batch: VerbBatch;
  readonly #room: number;
  readonly #stretches: Stretch[];
  #copiedBytes = 0;
  /** Its memory is zero where nothing was copied to: zeros need not be. */
  #isFirst = true;

  /**
   * @param of.view that of the sources; whoever drives this changes it with every view.
   * @param of.stoppedBytes so much may be left for the last stop. @default 1 MiB
   * @param of.target the number that the fresh memory has on the fabric that runs {@link copy}.
   */
  constructor(of: {
    local: LocalMemory;
    view: View;
    mn: number;
    target: number;
    pieceBytes: number;
    stoppedBytes?: number;
  }) {
    this.mn = of.mn;
    this.#stoppedBytes = of.stoppedBytes ?? STOPPED_BYTES;
    this.#view = of.view;
    this.#local = of.local;
    this.#target = of.target;
    this.#pieceBytes = of.pieceBytes;
    this.#batch = new VerbBatch(of.local, BATCH_PIECES);
    this.#room = of.local.reserve(BATCH_PIECES * of.pieceBytes);
    this.#stretches = stretchesOf(of.view, of.mn, of.pieceBytes);
    this.startOver();
  }

  /** Something of it has no replica left: nobody can fill the place, or anything would be invented. */
  get isBereft(): boolean {
    return this.#stretches.some((stretch) => this.#sources(stretch).length === 0);
  }

  get progress(): FillProgress {
    const sum = (of: (stretch: Stretch) => number): number =>
      this.#stretches.reduce((total, stretch) => total + of(stretch), 0);
    return {
      mn: this.mn,
      bytes: sum(({ bytes }) => bytes),
      leftBytes: this.#leftBytes,
      copiedBytes: this.#copiedBytes,
      rounds: this.rounds,
    };
  }

  /** Is what is left little enough, or has it been tried for long enough, to copy it while nobody works? */
  get isNearlyDone(): boolean {
    return this.#leftBytes <= this.#stoppedBytes || this.rounds >= ROUNDS_MAX;
  }

  get #leftBytes(): number {
    return this.#stretches.reduce((total, { left }) => total + left * this.#pieceBytes, 0);
  }

  /** Everything is to be copied: it is not known what has changed. */
  startOver(): void {
    for (const stretch of this.#stretches) list(stretch);
  }

  /** What is marked is to be copied again. */
  changed(marks: Marks): void {
    for (const stretch of this.#stretches) {
      const sources = this.#sources(stretch);
      for (let piece = 0; piece < stretch.todo.length; piece++) {
        if (stretch.todo[piece] !== 0) continue;
        const at = piece * this.#pieceBytes;
        const bytes = Math.min(this.#pieceBytes, stretch.bytes - at);
        if (!sources.some(({ mn, offset }) => marks.hasRange(mn, offset + at, bytes))) continue;
        stretch.todo[piece] = 1;
        stretch.left++;
      }
    }
  }

  /**
   * Copies what is to be copied, two round trips for every few pieces.
   * @param isLast nobody works: what nobody marks is copied too.
   * @returns false: a node was silent; what is left is still to be copied.
   */
  *copy(isLast: boolean): Op<boolean> {
    if (isLast) for (const stretch of this.#stretches) if (stretch.isUnmarked) list(stretch);
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    let batch: { stretch: Stretch; piece: number }[] = [];
    for (const stretch of this.#stretches) {
      for (let piece = 0; stretch.left > 0 && piece < stretch.todo.length; piece++) {
        if (stretch.todo[piece] === 0) continue;
        stretch.todo[piece] = 0;
        stretch.left--;
        batch.push({ stretch, piece });
        if (batch.length < BATCH_PIECES) continue;
        if (!(yield* this.#copyPieces(batch, isFirst))) return false;
        batch = [];
      }
    }
    if (batch.length > 0 && !(yield* this.#copyPieces(batch, isFirst))) return false;
    return true;
  }

  *#copyPieces(pieces: readonly { stretch: Stretch; piece: number }[], isFirst: boolean): Op<boolean> {
    const b = this.#batch.reset();
    pieces.forEach(({ stretch, piece }, i) => {
      const [source] = this.#sources(stretch);
      const at = piece * this.#pieceBytes;
      const bytes = Math.min(this.#pieceBytes, stretch.bytes - at);
      if (source !== undefined)
        b.read(source.mn, source.offset + at, this.#room + i * this.#pieceBytes, bytes);
    });
    // Of what has lost its last replica nothing can be read.
    let isDone = b.count === pieces.length;
    if (isDone) yield b;
    isDone = isDone && !b.hasFailures();
    if (isDone) {
      b.reset();
      pieces.forEach(({ stretch, piece }, i) => {
        const at = piece * this.#pieceBytes;
        const bytes = Math.min(this.#pieceBytes, stretch.bytes - at);
        const from = this.#room + i * this.#pieceBytes;
        this.#copiedBytes += bytes;
        if (!isFirst || !isZero(this.#local, from, bytes))
          b.write(this.#target, stretch.to + at, from, bytes);
      });
      if (b.count > 0) yield b;
      isDone = !b.hasFailures();
    }
    if (isDone) return true;
    for (const { stretch, piece } of pieces) {
      if (stretch.todo[piece] === 0) stretch.left++;
      stretch.todo[piece] = 1;
    }
    return false;
  }

  /** Its replicas, those of the place's own dead process left out, the primary first. */
  #sources({ region, subtable, at, to }: Stretch): { mn: number; offset: number }[] {
    const view = this.#view;
    const sources: { mn: number; offset: number }[] = [];
    if (region < 0) {
      const slot = subtable * view.geometry.subtableBytes;
      for (let r = 0; r < view.slotCount(slot); r++) sources.push({ mn: view.slotMn(slot, r), offset: to });
    } else {
      const pointer = region * view.geometry.config.regionBytes;
      for (let r = 0; r < view.dataCount(pointer); r++)
        sources.push({ mn: view.dataMn(pointer, r), offset: view.dataOffset(pointer, r) + at });
    }
    return sources.filter(({ mn }) => !view.isDead(mn));
  }
}

/** All of the stretch is to be copied. */
function list(stretch: Stretch): void {
  stretch.todo.fill(1);
  stretch.left = stretch.todo.length;
}

function stretchesOf(view: View, mn: number, pieceBytes: number): Stretch[] {
  const { subtableBytes, indexBase, tableBytes, config } = view.geometry;
  const { subtables, regions } = view.placedOn(mn);
  const stretch = (to: number, bytes: number, of: Partial<Stretch>): Stretch => ({
    to,
    bytes,
    region: -1,
    subtable: 0,
    at: 0,
    isUnmarked: false,
    ...of,
    todo: new Uint8Array(Math.ceil(bytes / pieceBytes)),
    left: 0,
  });
  return [
    // Client table and directory.
    ...(subtables.includes(0) ? [stretch(CLIENTS_BASE, indexBase - CLIENTS_BASE, { isUnmarked: true })] : []),
    ...subtables.map((subtable) =>
      stretch(indexBase + subtable * subtableBytes, subtableBytes, { subtable }),
    ),
    ...regions.flatMap(({ region, base }) => [
      stretch(base - tableBytes, tableBytes, { region, at: -tableBytes, isUnmarked: true }),
      stretch(base, config.regionBytes, { region }),
    ]),
  ];
}

function isZero({ words }: LocalMemory, at: number, bytes: number): boolean {
  for (let i = at >>> 2; i < (at + bytes) >>> 2; i++) if (words[i] !== 0) return false;
  return true;
}
