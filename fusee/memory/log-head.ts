/**
 * A log head: two words in a block, side by side, which say where a log list stands.
 *
 *     head   the list's first cell that may hold an unfinished operation
 *     freed  the first whose operation may have replaced an object that still has no free bit: `head`, or a
 *            cell ahead of it
 *
 * Recovery finishes what lies from `head` on, and frees again, harmlessly, what operations from `freed` on
 * have replaced. Rules of whoever moves them:
 * - `head` goes past an operation before the bits of what it replaced are set (hazard H17), `freed` behind
 *   them.
 * - Cells are used again only when `freed` lies past them: who walks a list from there meets no other use.
 * - From a bit to the `freed` that covers it the client's word in the client table grows by less than a grace
 *   waits for. So an object that recovery may free once more has not been reused (`background/reclaim.ts`).
 *
 * `head` comes first in memory: of a WRITE torn between them it is `freed` that stays behind.
 */
import type { LocalMemory } from '../verbs/index.js';

/** What a log head says: pointers of cells' last lines; both 0 when no list is there. */
export interface HeadWords {
  /** Pointer of the log head itself. */
  readonly pointer: number;
  readonly head: number;
  readonly freed: number;
}

/** The log head of a list in use: what it says, and what it may say next. */
export class LogHead implements HeadWords {
  readonly pointer: number;
  head: number;
  freed: number;
  #marked: number;
  #passed: number;

  constructor(pointer: number, cell: number) {
    this.pointer = pointer;
    this.head = cell;
    this.freed = cell;
    this.#marked = cell;
    this.#passed = cell;
  }

  /** Everything ahead of `cell` has ended. */
  mark(cell: number): void {
    this.#marked = cell;
  }

  /** Everything that operations ahead of the mark have replaced has its bit. */
  pass(): void {
    this.#passed = this.#marked;
  }

  /** It does not say yet what it may. */
  get isStale(): boolean {
    return this.head !== this.#marked || this.freed !== this.#passed;
  }

  /** Lets it say what it may; the caller writes that on all replicas. */
  move(): void {
    this.head = this.#marked;
    this.freed = this.#passed;
  }
}

/** Puts the two words of a log head at `at` in registered memory. */
export function putHead(local: LocalMemory, at: number, { head, freed }: HeadWords): void {
  putPointerWord(local, at, head);
  putPointerWord(local, at + 8, freed);
}

function putPointerWord({ words }: LocalMemory, at: number, pointer: number): void {
  const high = Math.floor(pointer / 0x100000000);
  words[at >>> 2] = pointer - high * 0x100000000;
  words[(at >>> 2) + 1] = high;
}

/** Reads the log head whose bytes lie at `at`; undefined: no list is there. */
export function readHead({ words }: LocalMemory, at: number, pointer: number): HeadWords | undefined {
  const load = (w: number): number => words[w] + words[w + 1] * 0x100000000;
  const head = load(at >>> 2);
  // A head that is being opened may have no `freed` yet: nothing lies ahead of it.
  return head === 0 ? undefined : { pointer, head, freed: load((at >>> 2) + 2) || head };
}
