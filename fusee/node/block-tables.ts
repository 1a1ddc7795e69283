/**
 * The block tables of the regions whose primary is one memory node: who owns which block (FUSEE section 4.4).
 * Only that node's CPU changes them, one request at a time; so what is compared here is compared atomically.
 *
 * The node's last blocks are its reserve ({@link View.isReserved}): they are granted only to who asks
 * urgently, which DELETEs do. Since they are a reserve by their place, they go back to it when they are
 * freed, and every client knows which they are.
 */
import { BLOCK_ENTRY_BYTES, type View } from '../layout/index.js';
import { LISTED_MAX, type ListedBlock, ORPHAN } from '../memory/index.js';
import type { NodeMemory } from './service.js';

/** Entries that one LIST looks at, at most: others wait for this CPU. */
const SCAN_MAX = 4096;

/** The tables; the head of this file says whose. */
export class BlockTables {
  readonly #view: View;
  readonly #memory: NodeMemory;
  readonly #mn: number;
  /** Regions whose primary is this node; where their tables lie here; their first block that may be free. */
  readonly #regions: number[] = [];
  readonly #tables: number[] = [];
  readonly #firstFree: number[] = [];
  readonly #entry = new Uint32Array(2);
  readonly #bytes = new Uint8Array(this.#entry.buffer);
  /** Per region: blocks that are owned, and those of them whose owners have left them behind. */
  readonly #used: number[] = [];
  readonly #orphans: number[] = [];
  /** Called ahead of each table that is read: of a large node's many that takes longer than others wait. */
  onRegion: () => void = () => {};

  constructor(view: View, mn: number, memory: NodeMemory) {
    this.#view = view;
    this.#memory = memory;
    this.#mn = mn;
    this.adopt();
  }

  /**
   * Takes over the regions whose primary this node has become, and leaves those to whoever is theirs now.
   * Their tables are as their blocks' owners have written them here: what the former primary has granted and
   * no owner has entered is free again.
   */
  adopt(): void {
    for (let i = this.#regions.length - 1; i >= 0; i--) {
      if (this.#view.regionMn(this.#regions[i], 0) === this.#mn) continue;
      for (const list of [this.#regions, this.#tables, this.#firstFree, this.#used, this.#orphans])
        list.splice(i, 1);
    }
    for (let region = 0; region < this.#view.geometry.regions; region++) {
      if (this.#view.regionMn(region, 0) !== this.#mn || this.#regions.includes(region)) continue;
      this.#tables.push(this.#view.tableOffset(region, 0));
      this.#firstFree.push(0);
      this.#orphans.push(0);
      this.#used.push(0);
      const i = this.#regions.push(region) - 1;
      this.onRegion();
      for (let block = 0; block < this.#view.geometry.blocksPerRegion; block++) {
        const [owner] = this.#read(i, block);
        if (owner !== 0) this.#used[i]++;
        if (owner === ORPHAN) this.#orphans[i]++;
      }
    }
  }

  /** Blocks that are owned. */
  get used(): number {
    return sumOf(this.#used);
  }

  /** Blocks whose owners have left them behind. */
  get orphans(): number {
    return sumOf(this.#orphans);
  }

  /** Gives a free block to a client, of the reserve only if it is urgent; -1 when there is none. */
  allocate(cid: number, sizeClass: number, isUrgent: boolean): number {
    const { blocksPerRegion } = this.#view.geometry;
    for (let i = 0; i < this.#regions.length; i++) {
      const end = isUrgent ? blocksPerRegion : this.#view.firstReserved(this.#regions[i]);
      for (let block = this.#firstFree[i]; block < end; block++) {
        if (this.#read(i, block)[0] !== 0) continue;
        this.#write(i, block, { owner: cid, code: sizeClass + 1 });
        this.#firstFree[i] = block + 1;
        this.#used[i]++;
        return this.#pointer(i, block);
      }
      this.#firstFree[i] = Math.max(this.#firstFree[i], end);
    }
    return -1;
  }

  /** Takes a block back from its owner. False: it is not the start of a block of this node that it owns. */
  free(pointer: number, owner: number): boolean {
    const [i, block] = this.#find(pointer);
    if (i < 0 || this.#read(i, block)[0] !== owner) return false;
    this.#write(i, block, { owner: 0, code: 0 });
    this.#firstFree[i] = Math.min(this.#firstFree[i], block);
    this.#used[i]--;
    return true;
  }

  /** Changes a block's owner. False, and nothing is changed, when its owner is another than `from`. */
  transfer(pointer: number, { from, to }: { from: number; to: number }): boolean {
    const [i, block] = this.#find(pointer);
    if (i < 0 || this.#read(i, block)[0] !== from) return false;
    this.#write(i, block, { owner: to, code: this.#entry[1] });
    if (to === ORPHAN) this.#orphans[i]++;
    if (from === ORPHAN) this.#orphans[i]--;
    return true;
  }

  /**
   * Blocks of one owner, from `cursor` on: 0, or where the last answer ended. There may be more, and none in
   * this answer.
   * @returns the next cursor, -1 at the end.
   */
  list(owner: number, cursor: number): { blocks: ListedBlock[]; next: number } {
    const { blocksPerRegion } = this.#view.geometry;
    const end = this.#regions.length * blocksPerRegion;
    const scanEnd = Math.min(end, cursor + SCAN_MAX);
    const blocks: ListedBlock[] = [];
    for (let at = cursor; at < scanEnd; at++) {
      const i = Math.floor(at / blocksPerRegion);
      const block = at % blocksPerRegion;
      if (this.#read(i, block)[0] !== owner) continue;
      if (blocks.length === LISTED_MAX) return { blocks, next: at };
      blocks.push({ pointer: this.#pointer(i, block), sizeClass: this.#entry[1] - 1 });
    }
    return { blocks, next: scanEnd < end ? scanEnd : -1 };
  }

  /**
   * Leaves blocks of one owner to nobody in particular, from `cursor` on, as {@link list} goes.
   * @returns the next cursor, -1 at the end.
   */
  handOn(owner: number, cursor: number): number {
    const { blocksPerRegion } = this.#view.geometry;
    const end = this.#regions.length * blocksPerRegion;
    const scanEnd = Math.min(end, cursor + SCAN_MAX);
    for (let at = cursor; at < scanEnd; at++) {
      const i = Math.floor(at / blocksPerRegion);
      const block = at % blocksPerRegion;
      if (this.#read(i, block)[0] !== owner) continue;
      this.#write(i, block, { owner: ORPHAN, code: this.#entry[1] });
      this.#orphans[i]++;
    }
    return scanEnd < end ? scanEnd : -1;
  }

  /** The place of the block that begins at `pointer`: number of its region here, or -1, and in the region. */
  #find(pointer: number): [number, number] {
    const { regionBytes, blockBytes } = this.#view.geometry.config;
    const region = Math.floor(pointer / regionBytes);
    const block = (pointer - region * regionBytes) / blockBytes;
    // What is no number is in no region.
    return [Number.isInteger(block) ? this.#regions.indexOf(region) : -1, block];
  }

  #pointer(i: number, block: number): number {
    const { regionBytes, blockBytes } = this.#view.geometry.config;
    return this.#regions[i] * regionBytes + block * blockBytes;
  }

  #read(i: number, block: number): Uint32Array {
    this.#memory.read(this.#tables[i] + block * BLOCK_ENTRY_BYTES, this.#bytes, 0, BLOCK_ENTRY_BYTES);
    return this.#entry;
  }

  #write(i: number, block: number, { owner, code }: { owner: number; code: number }): void {
    this.#entry[0] = owner;
    this.#entry[1] = code;
    this.#memory.write(this.#tables[i] + block * BLOCK_ENTRY_BYTES, this.#bytes, 0, BLOCK_ENTRY_BYTES);
  }
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, n) => sum + n, 0);
