/**
 * Second-level memory management: a client carves blocks into cells (FUSEE section 4.4).
 *
 * A cell is named by the pointer of its *last line*, which holds the log entry: objects are right-aligned, so
 * that line is the same whatever the object's length.
 *
 * Each (coroutine, size class) has a log list. The cell it will use next is chosen one object ahead, because
 * the object's log entry names it (`next` is pre-positioned, FUSEE section 4.5): recent operations form a
 * list in execution order without a write of their own. A cell that ended unused stays the head of its list
 * and is handed out again, so the chain never breaks (hazard H5).
 *
 * A list is open once its *log head*, in a block of its class, names its first cell. It moves on behind the
 * list ({@link Slab.mark}, `log-head.ts`). Cells of blocks that are set aside are drawn for DELETEs only,
 * when no others are left. Rule: a cell is released only after `freed` lies past the entry it held; whoever
 * walks a list from there meets no cell that has found another use.
 */
import { CLASS_COUNT, LogOperation, type View } from '../layout/index.js';
import { Block, type FreeParts } from './block.js';
import { LogHead } from './log-head.js';

/** What a list does with its current cell; CLOSED: there is no list. */
const CLOSED = 0;
const FINISHED = 1;
const IN_USE = 2;
/** Handed back unused: the list's next object goes there. */
const RETURNED = 3;
/** It has none yet: its head is being written. */
const OPENING = 4;

/** What a list leaves behind that was taken apart: pointers of its head and of the cell it would use next. */
export interface Detached {
  readonly head: number;
  readonly next: number;
}

/** The cells of one client, by size class and log list. */
export class Slab {
  readonly #view: View;
  readonly #blockBytes: number;
  /** By class; cells are drawn from the first that has one, so that later blocks may run empty. */
  readonly #classes: Block[][] = Array.from({ length: CLASS_COUNT }, () => []);
  readonly #blocks = new Map<number, Block>();
  /** By class: all blocks ahead of this one are used up. */
  readonly #from = new Uint32Array(CLASS_COUNT);
  /** By class: cells that may be handed out, and those of them that are for DELETEs only. */
  readonly freeCells = new Uint32Array(CLASS_COUNT);
  readonly #reservedCells = new Uint32Array(CLASS_COUNT);
  /** Per list: the cell in use or about to be, the one after it, the one before it; 0 = none. */
  readonly #current: Float64Array;
  readonly #next: Float64Array;
  readonly #prev: Float64Array;
  readonly #state: Uint8Array;
  /** Lists that are open, and of each its log head. */
  readonly #open: number[] = [];
  readonly #heads = new Map<number, LogHead>();
  /** Lists that ended with an operation of which nobody knows whether it took effect, and its cell. */
  readonly #abandoned: { readonly head: LogHead; readonly cell: number; readonly next: number }[] = [];
  /** A coroutine is asking for a block of this class; its siblings wait in place of asking too. */
  readonly refilling = new Uint8Array(CLASS_COUNT);
  /** By MN: blocks that clients have left behind there, as it last said; -1: it has never been asked. */
  readonly orphans: Int32Array;
  /** Cells handed out, ever. */
  cellsUsed = 0;

  constructor(view: View, coroutines: number) {
    const { config } = view.geometry;
    this.#view = view;
    this.#blockBytes = config.blockBytes;
    this.orphans = new Int32Array(config.nodes).fill(-1);
    const lists = coroutines * CLASS_COUNT;
    this.#current = new Float64Array(lists);
    this.#next = new Float64Array(lists);
    this.#prev = new Float64Array(lists);
    this.#state = new Uint8Array(lists);
  }

  /** Blocks of this client. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /** The block that a pointer lies in, if it is this client's. */
  blockOf(pointer: number): Block | undefined {
    return this.#blocks.get(Math.floor(pointer / this.#blockBytes));
  }

  /** Cells of a class that an operation may be given. */
  cellsFor(sizeClass: number, operation: LogOperation): number {
    const forDelete = operation === LogOperation.DELETE ? 0 : this.#reservedCells[sizeClass];
    return this.freeCells[sizeClass] - forDelete;
  }

  /** Blocks of a class. */
  blocksOf(sizeClass: number): readonly Block[] {
    return this.#classes[sizeClass];
  }

  /**
   * Takes a list's next cell: its last line's pointer. {@link nextOf} and {@link prevOf} give its neighbours.
   * @returns 0 when the list is not open or the class needs another block.
   */
  take(coroutine: number, sizeClass: number, operation: LogOperation = LogOperation.INSERT): number {
    const list = coroutine * CLASS_COUNT + sizeClass;
    if (this.#state[list] === RETURNED) {
      this.#state[list] = IN_USE;
      return this.#current[list];
    }
    if (this.#state[list] === CLOSED) return 0;
    const following = this.#draw(sizeClass, operation);
    if (following === 0) return 0;
    this.#prev[list] = this.#current[list];
    this.#current[list] = this.#next[list];
    this.#next[list] = following;
    this.#state[list] = IN_USE;
    this.cellsUsed++;
    return this.#current[list];
  }

  /** Hands a list's current cell back: nobody else has ever seen its address. */
  giveBack(coroutine: number, sizeClass: number): void {
    this.#state[coroutine * CLASS_COUNT + sizeClass] = RETURNED;
  }

  /** The operation that the list's current cell was taken for is over: its log entry needs no recovery. */
  finish(coroutine: number, sizeClass: number): void {
    const list = coroutine * CLASS_COUNT + sizeClass;
    if (this.#state[list] === IN_USE) this.#state[list] = FINISHED;
  }

  /**
   * Nobody knows whether the operation in the current cell took effect: that is for recovery to find out. The
   * list ends with it, its head stays at it, and its next cell stays unused, so that a walk ends there.
   */
  abandon(coroutine: number, sizeClass: number): void {
    const list = coroutine * CLASS_COUNT + sizeClass;
    if (this.#state[list] !== IN_USE) return;
    const head = this.#heads.get(list) as LogHead;
    this.#abandoned.push({ head, cell: this.#current[list], next: this.#next[list] });
    this.#forget(list);
  }

  /** The cell that this list will use after the current one. */
  nextOf(coroutine: number, sizeClass: number): number {
    return this.#next[coroutine * CLASS_COUNT + sizeClass];
  }

  /** The cell that this list used before the current one; 0 at the list's start. */
  prevOf(coroutine: number, sizeClass: number): number {
    return this.#prev[coroutine * CLASS_COUNT + sizeClass];
  }

  isOpen(coroutine: number, sizeClass: number): boolean {
    return this.#state[coroutine * CLASS_COUNT + sizeClass] !== CLOSED;
  }

  /**
   * Gives a list a log head and its first cell; the caller writes the one into the other, on all replicas,
   * before the list is {@link opened}, or {@link close}s it.
   * @returns undefined when the class needs another block.
   */
  open(
    coroutine: number,
    sizeClass: number,
    operation: LogOperation = LogOperation.INSERT,
  ): LogHead | undefined {
    const list = coroutine * CLASS_COUNT + sizeClass;
    const cell = this.#draw(sizeClass, operation);
    if (cell === 0) return undefined;
    let pointer = 0;
    for (const block of this.#classes[sizeClass]) {
      pointer = block.takeHead();
      if (pointer !== 0) break;
    }
    if (pointer === 0) {
      this.release(cell);
      return undefined;
    }
    const head = new LogHead(pointer, cell);
    this.#next[list] = cell;
    this.#state[list] = OPENING;
    this.#open.push(list);
    this.#heads.set(list, head);
    return head;
  }

  /** A list's head names its first cell on all replicas. */
  opened(coroutine: number, sizeClass: number): void {
    this.#state[coroutine * CLASS_COUNT + sizeClass] = FINISHED;
  }

  /** Takes a list apart that was never {@link opened}. */
  close(coroutine: number, sizeClass: number): void {
    this.reuse(this.#detach(coroutine * CLASS_COUNT + sizeClass));
  }

  /** What lists have left behind may be used again: their heads are zero on all replicas. */
  reuse({ head, next }: Detached): void {
    // A block that has left the slab takes its parts along.
    this.blockOf(head)?.releaseHead(head);
    if (this.blockOf(next) !== undefined) this.release(next);
  }

  #detach(list: number): Detached {
    const detached = { head: (this.#heads.get(list) as LogHead).pointer, next: this.#next[list] };
    this.#forget(list);
    return detached;
  }

  /**
   * Notes how far each list has come: every operation that has ended lies ahead of its head's mark. What
   * those operations have replaced is to be taken to be freed at the same stroke.
   */
  mark(): void {
    for (const list of this.#open) (this.#heads.get(list) as LogHead).mark(this.#standing(list));
    for (const { head, cell } of this.#abandoned) head.mark(cell);
  }

  /** What operations ahead of the latest {@link mark} have replaced has its free bits. */
  pass(): void {
    for (const head of this.#heads.values()) head.pass();
    for (const { head } of this.#abandoned) head.pass();
  }

  /** Log heads that may say more than they do. They count as moved: the caller writes them everywhere. */
  staleHeads(): LogHead[] {
    const all = [...this.#heads.values(), ...this.#abandoned.map(({ head }) => head)];
    const stale = all.filter((head) => head.isStale);
    for (const head of stale) head.move();
    return stale;
  }

  /** Cells whose operations have not ended, or nobody knows whether: no mark goes past them. */
  heldCells(): Set<number> {
    const held = new Set(this.#abandoned.map(({ cell }) => cell));
    for (const list of this.#open)
      if (this.#state[list] === IN_USE || this.#state[list] === RETURNED) held.add(this.#current[list]);
    return held;
  }

  /** Recovery has still to look for what was abandoned here: a head, the cell that it names, or the end. */
  hasAbandoned(block: Block): boolean {
    return this.#abandoned.some(({ head, cell, next }) =>
      [head.pointer, cell, next].some((pointer) => this.blockOf(pointer) === block),
    );
  }

  #standing(list: number): number {
    const isAtCurrent = this.#state[list] === IN_USE || this.#state[list] === RETURNED;
    return isAtCurrent ? this.#current[list] : this.#next[list];
  }

  /** Adds a zeroed block that now belongs to (this client, size class). */
  addBlock(sizeClass: number, pointer: number): Block {
    const block = new Block(this.#view, sizeClass, pointer);
    this.#blocks.set(Math.floor(pointer / this.#blockBytes), block);
    this.#classes[sizeClass].push(block);
    this.#count(block, block.freeCells);
    return block;
  }

  /** Adds a block that another client has left behind: only these parts of it may be handed out. */
  inheritBlock(sizeClass: number, pointer: number, free: FreeParts): void {
    const block = this.addBlock(sizeClass, pointer);
    this.#count(block, -block.freeCells);
    block.inherit(free);
    this.#count(block, block.freeCells);
    this.#from[sizeClass] = 0;
  }

  /**
   * Takes all lists apart, when no request is under way: their heads are to be zeroed. Cells that were handed
   * back unused are still to be reclaimed.
   */
  detachAll(): { lists: Detached[]; returned: number[] } {
    const all = [...this.#open];
    const returned = all.filter((list) => this.#state[list] === RETURNED).map((list) => this.#current[list]);
    return { lists: all.map((list) => this.#detach(list)), returned };
  }

  /** All blocks. */
  allBlocks(): Block[] {
    return [...this.#blocks.values()];
  }

  /** Takes a block out: nothing of it is handed out any more. */
  removeBlock(block: Block): void {
    const all = this.#classes[block.sizeClass];
    all.splice(all.indexOf(block), 1);
    this.#blocks.delete(Math.floor(block.pointer / this.#blockBytes));
    this.#count(block, -block.freeCells);
    this.#from[block.sizeClass] = 0;
  }

  /**
   * A cell may be handed out again: its trailer is zero on every replica, and its grace has passed (H4, H9).
   */
  release(cell: number): void {
    const block = this.#block(cell);
    block.release(cell);
    this.#count(block, 1);
    this.#from[block.sizeClass] = 0;
  }

  /** Nothing holds a cell or a log head of this block but lists at rest. */
  isEmpty(block: Block): boolean {
    return this.#listsOfEmpty(block) !== undefined;
  }

  /**
   * Takes an empty block out, and the lists that have their head or their next cell in it apart: their heads
   * are to be zeroed, and then {@link reuse}d. Nothing happens when the block {@link isEmpty} no more, or a
   * log head does not say yet that its list has nothing left to free: without it nobody would find that.
   */
  takeOut(block: Block): Detached[] | undefined {
    const lists = this.#listsOfEmpty(block)?.map((list) => this.#detach(list));
    if (lists !== undefined) this.removeBlock(block);
    return lists;
  }

  #listsOfEmpty(block: Block): number[] | undefined {
    const isIn = (pointer: number): boolean => Math.floor(pointer / this.#blockBytes) === index;
    const index = Math.floor(block.pointer / this.#blockBytes);
    let cells = 0;
    let heads = 0;
    const lists: number[] = [];
    for (const list of this.#open) {
      const { pointer, freed } = this.#heads.get(list) as LogHead;
      const [hasNext, hasHead] = [isIn(this.#next[list]), isIn(pointer)];
      if (!hasNext && !hasHead) continue;
      if (this.#state[list] !== FINISHED || freed !== this.#next[list]) return undefined;
      if (hasNext) cells++;
      if (hasHead) heads++;
      lists.push(list);
    }
    return block.usedCells === cells && block.usedHeads === heads ? lists : undefined;
  }

  #block(pointer: number): Block {
    return this.#blocks.get(Math.floor(pointer / this.#blockBytes)) as Block;
  }

  #forget(list: number): void {
    this.#open.splice(this.#open.indexOf(list), 1);
    this.#heads.delete(list);
    this.#current[list] = 0;
    this.#next[list] = 0;
    this.#prev[list] = 0;
    this.#state[list] = CLOSED;
  }

  #draw(sizeClass: number, operation: LogOperation): number {
    const blocks = this.#classes[sizeClass];
    // A cell longer than the block would begin in it and end in a neighbour's: such a block has no cells.
    for (let i = this.#from[sizeClass]; i < blocks.length; i++) {
      const cell = blocks[i].isReserved ? 0 : blocks[i].draw();
      if (cell !== 0) {
        this.#from[sizeClass] = i;
        this.freeCells[sizeClass]--;
        return cell;
      }
    }
    this.#from[sizeClass] = blocks.length;
    return operation === LogOperation.DELETE && this.#reservedCells[sizeClass] > 0
      ? this.#drawReserved(blocks)
      : 0;
  }

  /** A cell of a block that is set aside, of which one has a free cell. */
  #drawReserved(blocks: readonly Block[]): number {
    const block = blocks.find(({ isReserved, freeCells }) => isReserved && freeCells > 0) as Block;
    this.#count(block, -1);
    return block.draw();
  }

  #count({ sizeClass, isReserved }: Block, cells: number): void {
    this.freeCells[sizeClass] += cells;
    if (isReserved) this.#reservedCells[sizeClass] += cells;
  }
}
