/**
 * The logs: every log head names a cell, and one ahead of it or the same from which on frees may be missing
 * (`memory/log-head.ts`). From there its list runs, through the cell that the head names and cells of the
 * same client and size class, to one that holds no operation yet (FUSEE section 4.5).
 *
 * The cells ahead of a list's end are those that recovery would look at. The last of them is in the list's
 * hands whatever has become of its object: {@link Walk.listEnds}. Of links behind a head nothing can be said:
 * what they name may have found another use.
 *
 * Lists that meet share all that follows, so they have one end: that is all that is kept of a list.
 */
import {
  CLASS_LINES,
  getPointer,
  LINE_BYTES,
  LOG_ENTRY_BYTES,
  LOG_HEAD_BYTES,
  LogField,
} from '../layout/index.js';
import { type HeadWords, readHead } from '../memory/index.js';
import { type Op, word } from '../verbs/index.js';
import { blockOf, isCell, type Owner, ownerOf, tableEntryOf } from './cells.js';
import { READS_MAX } from './reader.js';
import type { Walk } from './walk.js';

/** Entries of a block table read at once. */
const ENTRIES = 4096;
/** Owners of blocks that links lead to, kept so that not every step of a list costs a READ. */
const OWNERS_KEPT = 1 << 16;

interface LogList {
  /** Pointer of its head. */
  readonly head: number;
  /** The cell that its head names, until the list has come there; then 0. */
  named: number;
  readonly owner: Owner;
  /** The cell to be looked at next, and the one before it. */
  cell: number;
  last: number;
  steps: number;
  /** Where the latest step was read to. */
  at: number;
}

/** Checks all heads and follows all lists. A round trip for some heads, and for a step of up to 128 lists. */
export function* walkLogs(walk: Walk): Op<void> {
  yield* new LogLists(walk).walk();
}

class LogLists {
  readonly #walk: Walk;
  readonly #owners = new Map<number, Owner | null | undefined>();
  /** By client and class: cells of all its blocks, which no list can have more of. */
  readonly #cells = new Map<string, number>();
  readonly #lists: LogList[] = [];
  /** Heads by the cell that their lists end at. */
  readonly #ends = new Map<number, number>();

  constructor(walk: Walk) {
    this.#walk = walk;
  }

  *walk(): Op<void> {
    const { config, blocksPerRegion, regions } = this.#walk.geometry;
    for (let region = 0; region < regions; region++) {
      for (let first = 0; first < blocksPerRegion; first += ENTRIES) {
        const count = Math.min(ENTRIES, blocksPerRegion - first);
        yield* this.#readHeads(region * config.regionBytes + first * config.blockBytes, count);
      }
    }
    const lists = this.#lists;
    for (let i = 0; i < lists.length; i += READS_MAX) yield* this.#follow(lists.slice(i, i + READS_MAX));
  }

  /** Heads of the owned ones among the next blocks. */
  *#readHeads(firstBlock: number, count: number): Op<void> {
    const { reader, geometry } = this.#walk;
    const { blockBytes, dataReplicas } = geometry.config;
    const owners = yield* this.#readEntries(firstBlock, count);
    const owned = [...owners.entries()].flatMap(([i, owner]) =>
      owner ? [{ block: firstBlock + i * blockBytes, owner }] : [],
    );
    const step = Math.floor(READS_MAX / dataReplicas);
    for (let i = 0; i < owned.length; i += step) {
      const some = owned.slice(i, i + step);
      reader.begin();
      const at = some.map(({ block }) => {
        const to = this.#walk.dataReplicas(block);
        const bytes = LOG_HEAD_BYTES * geometry.headsPerBlock;
        return Array.from({ length: to.count }, (_, r) =>
          reader.read(to.mn[r], to.offsetBytes[r] + geometry.headsOffset, bytes),
        );
      });
      yield* reader.run();
      for (const [k, { block, owner }] of some.entries()) this.#takeHeads(block, owner, at[k]);
    }
  }

  *#readEntries(firstBlock: number, count: number): Op<(Owner | null | undefined)[]> {
    const { reader, geometry, view } = this.#walk;
    const { words } = reader.local;
    const { region, offset } = tableEntryOf(geometry, firstBlock);
    const table = view.tableOffset(region, 0) + offset;
    const at = reader.begin().read(view.regionMn(region, 0), table, count * 8) >>> 2;
    yield* reader.run();
    return Array.from({ length: count }, (_, i) =>
      ownerOf(geometry, word(words[at + 2 * i + 1], words[at + 2 * i])),
    );
  }

  /** Notes the lists of a block whose heads have been read, on each replica, to `at`. */
  #takeHeads(block: number, owner: Owner, at: readonly number[]): void {
    const { reader, geometry, findings, dataBytes } = this.#walk;
    const name = nameOf(owner);
    this.#cells.set(name, (this.#cells.get(name) ?? 0) + geometry.cellsPerBlock(owner.sizeClass));
    const { mn } = this.#walk.dataReplicas(block);
    for (let h = 0; h < geometry.headsPerBlock; h++) {
      const pointer = block + geometry.headsOffset + LOG_HEAD_BYTES * h;
      const load = (r: number) => readHead(reader.local, at[r] + LOG_HEAD_BYTES * h, pointer);
      const head = load(0);
      const where = `log head ${h} of block ${block}`;
      for (let r = 1; r < at.length; r++) {
        if (reader.same(at[0] + LOG_HEAD_BYTES * h, at[r] + LOG_HEAD_BYTES * h, LOG_HEAD_BYTES)) continue;
        const message = `${told(load(r))} on replica ${r}, ${told(head)} on the primary`;
        findings.add('log-head', mn[r], where, message);
      }
      if (head === undefined) continue;
      const { head: named, freed } = head;
      if (Math.max(named, freed) < dataBytes)
        this.#lists.push({ head: pointer, named, owner, cell: freed, last: 0, steps: 0, at: 0 });
      else findings.add('log-head', mn[0], where, `it names ${told(head)}, but pointers end at ${dataBytes}`);
    }
  }

  /** Follows lists, all a step at a time. */
  *#follow(lists: LogList[]): Op<void> {
    const { reader } = this.#walk;
    const { bytes } = reader.local;
    for (let going = lists; going.length > 0; ) {
      yield* this.#learnOwners(going);
      going = going.filter((list) => this.#isInCell(list));
      reader.begin();
      for (const list of going) {
        const to = this.#walk.dataReplicas(list.cell);
        const from = to.offsetBytes[0] + LINE_BYTES - LOG_ENTRY_BYTES;
        list.at = reader.read(to.mn[0], from, LOG_ENTRY_BYTES) + LOG_ENTRY_BYTES;
      }
      yield* reader.run();
      going = going.filter((list) => {
        if (list.cell === list.named) list.named = 0;
        const isEnd = bytes[list.at + LogField.OPERATION] === 0;
        if (isEnd) this.#end(list);
        else this.#step(list, getPointer(bytes, list.at + LogField.NEXT));
        return !isEnd && !this.#isEndless(list);
      });
    }
  }

  *#learnOwners(lists: readonly LogList[]): Op<void> {
    const { geometry, reader, view, dataBytes } = this.#walk;
    if (this.#owners.size > OWNERS_KEPT) this.#owners.clear();
    const blocks = new Set<number>();
    for (const { cell } of lists) {
      const block = blockOf(geometry, cell);
      if (cell < dataBytes && !this.#owners.has(block)) blocks.add(block);
    }
    reader.begin();
    const read = [...blocks].map((block) => {
      const { region, offset } = tableEntryOf(geometry, block);
      const at = reader.read(view.regionMn(region, 0), view.tableOffset(region, 0) + offset, 8);
      return { block, at: at >>> 2 };
    });
    yield* reader.run();
    const { words } = reader.local;
    for (const { block, at } of read)
      this.#owners.set(block, ownerOf(geometry, word(words[at + 1], words[at])));
  }

  /** Does the list lead to a cell of its client and class? */
  #isInCell(list: LogList): boolean {
    const { geometry } = this.#walk;
    const { cid, sizeClass } = list.owner;
    const owner = this.#owners.get(blockOf(geometry, list.cell));
    if (owner?.cid === cid && owner.sizeClass === sizeClass && isCell(geometry, sizeClass, list.cell))
      return true;
    const whose = owner ? `block of client ${owner.cid}, class ${owner.sizeClass}` : 'block of nobody';
    const what = `${list.cell} in a ${whose}: no cell of client ${cid} and class ${sizeClass}`;
    if (list.last === 0) this.#fail('log-head', list, `it names ${what}`);
    else this.#fail('log-link', list, `its list goes on from cell ${list.last} to ${what}`);
    return false;
  }

  #step(list: LogList, next: number): void {
    list.last = list.cell;
    list.cell = next;
    list.steps++;
  }

  #isEndless(list: LogList): boolean {
    const cells = this.#cells.get(nameOf(list.owner)) ?? 0;
    if (list.steps <= cells) return false;
    this.#fail(
      'log-list',
      list,
      `its list has no end after ${cells} cells, all that the client has of the class`,
    );
    return true;
  }

  #end(list: LogList): void {
    if (list.named !== 0)
      this.#fail('log-list', list, `its list ends at cell ${list.cell}, and never comes to ${list.named}`);
    const other = this.#ends.get(list.cell);
    if (other !== undefined)
      this.#fail('log-list', list, `its list ends at cell ${list.cell}, as that of ${other} does`);
    this.#ends.set(list.cell, list.head);
    if (list.last !== 0) this.#walk.listEnds.add(list.last);
  }

  #fail(kind: 'log-head' | 'log-link' | 'log-list', { head, owner }: LogList, message: string): void {
    const { mn } = this.#walk.dataReplicas(head);
    const block = blockOf(this.#walk.geometry, head);
    const h = (head - block - this.#walk.geometry.headsOffset) / LOG_HEAD_BYTES;
    const lines = CLASS_LINES[owner.sizeClass];
    const where = `log head ${h} of block ${block} of client ${owner.cid}, cells of ${lines} lines`;
    this.#walk.findings.add(kind, mn[0], where, message);
  }
}

const told = (head: HeadWords | undefined): string =>
  head === undefined
    ? 'nothing'
    : head.head === head.freed
      ? `${head.head}`
      : `${head.head}, freed ${head.freed}`;

const nameOf = ({ cid, sizeClass }: Owner): string => `${cid}.${sizeClass}`;
