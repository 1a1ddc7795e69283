/**
 * Log entries: of objects that slots name, and of those that are nobody's.
 *
 * The rules follow from who writes what: an object comes with its operation and the used bit; a winner of a
 * replicated index commits the old value; a loser, and one that has found nothing to do, resets the used bit;
 * an undone INSERT keeps it, since its slot's tombstone names it (H20).
 */
import { LogOperation } from '../layout/index.js';
import { type Op, word } from '../verbs/index.js';
import { blockOf, cellBytesOf, isCell, type Owner, ownerOf, tableEntryOf } from './cells.js';
import { NamedAs } from './names.js';
import { type LogEntry, readEntry, wholeLines } from './objects.js';
import { READS_MAX } from './reader.js';
import type { Walk } from './walk.js';

/** A cell that has been read. */
export interface Cell {
  /** Of its last line. */
  readonly pointer: number;
  /** Where it ends in registered memory: the primary's copy. */
  readonly end: number;
  readonly owner: Owner;
  /** The primary's MN. */
  readonly mn: number;
  /** What a slot names its object as, and the object's lines. */
  readonly as: NamedAs;
  readonly lines: number;
}

interface Link {
  readonly cell: Cell;
  readonly name: 'next' | 'prev';
  readonly target: number;
}

/** Owners of blocks that links lead to, kept so that not every link costs a READ. */
const OWNERS_KEPT = 4096;

/** Checks the log entries of one walk. */
export class LogCheck {
  readonly #walk: Walk;
  readonly #links: Link[] = [];
  readonly #owners = new Map<number, Owner | null | undefined>();

  constructor(walk: Walk) {
    this.#walk = walk;
  }

  #fail(kind: 'log' | 'log-link' | 'torn', cell: Cell, message: string): void {
    this.#walk.findings.add(kind, cell.mn, `cell ${cell.pointer} of client ${cell.owner.cid}`, message);
  }

  /** The log entry of an object that a slot names: a winner's, committed where the index is replicated. */
  checkNamed(cell: Cell): void {
    const entry = readEntry(this.#walk.reader.local.bytes, cell.end);
    this.#checkEntry(cell, entry);
    const { operation } = entry;
    const isDelete = operation === LogOperation.DELETE;
    const isUndone = cell.as === NamedAs.TOMBSTONE && operation === LogOperation.INSERT;
    if (cell.as === NamedAs.TOMBSTONE ? !isUndone && !isDelete : isDelete) {
      const as = cell.as === NamedAs.TOMBSTONE ? 'a tombstone' : "a key's value";
      this.#fail('log', cell, `a slot names it as ${as}, but its operation is ${operation}`);
    }
    if (isUndone) return;
    if (!entry.isUsed) this.#fail('log', cell, 'a slot names it, but its used bit is clear');
    if (!entry.isCommitted && this.#walk.geometry.config.indexReplicas > 1)
      this.#fail('log', cell, 'a slot names it, but its old value is not committed');
  }

  /** A cell that no slot names and no bit frees: false when it was never written. */
  checkUnnamed(cell: Cell): boolean {
    const { reader } = this.#walk;
    const { sizeClass } = cell.owner;
    const cellBytes = cellBytesOf(sizeClass);
    if (reader.firstNonZero(cell.end - cellBytes, cellBytes) < 0) return false;
    const entry = readEntry(reader.local.bytes, cell.end);
    if (entry.operation === 0 && !entry.isUsed) {
      this.#fail('torn', cell, 'it has bytes but no log entry: a WRITE of an object ended half way');
      return true;
    }
    this.#checkEntry(cell, entry);
    // A set used bit proves a whole object: recovery relies on that.
    if (entry.isUsed && wholeLines(reader.local, cell.end, sizeClass) === 0)
      this.#fail('torn', cell, 'its used bit is set, but its object is not whole');
    return true;
  }

  #checkEntry(cell: Cell, entry: LogEntry): void {
    const { operation, isUsed, isCommitted, isBlank, next, prev } = entry;
    if (operation < LogOperation.INSERT || operation > LogOperation.DELETE)
      this.#fail('log', cell, `its operation is ${operation}; there are 1 to 3`);
    if (!isCommitted && !isBlank)
      this.#fail('log', cell, 'its old value does not fit its CRC: a commit ended half way');
    if (isCommitted && this.#walk.geometry.config.indexReplicas === 1)
      this.#fail('log', cell, 'its old value is committed, in an index of one replica');
    if (isCommitted && !isUsed)
      this.#fail('log', cell, 'its old value is committed, but its used bit is clear');
    this.#links.push({ cell, name: 'next', target: next });
    // A list's first object has none before it.
    if (prev !== 0) this.#links.push({ cell, name: 'prev', target: prev });
  }

  /** Follows the links of the entries seen since the last call. */
  *checkLinks(): Op<void> {
    const links = this.#links.splice(0);
    for (let from = 0; from < links.length; from += READS_MAX) {
      const some = links.slice(from, from + READS_MAX);
      yield* this.#learnOwners(some);
      for (const link of some) this.#checkLink(link);
    }
  }

  *#learnOwners(links: readonly Link[]): Op<void> {
    const { geometry, reader, view, dataBytes } = this.#walk;
    if (this.#owners.size > OWNERS_KEPT) this.#owners.clear();
    const blocks = new Set<number>();
    for (const { target } of links) {
      const block = blockOf(geometry, target);
      if (target < dataBytes && !this.#owners.has(block)) blocks.add(block);
    }
    reader.begin();
    const read = [...blocks].map((block) => {
      const { region, offset } = tableEntryOf(geometry, block);
      return {
        block,
        at: reader.read(view.regionMn(region, 0), view.tableOffset(region, 0) + offset, 8) >>> 2,
      };
    });
    yield* reader.run();
    const { words } = reader.local;
    for (const { block, at } of read)
      this.#owners.set(block, ownerOf(geometry, word(words[at + 1], words[at])));
  }

  #checkLink({ cell, name, target }: Link): void {
    const { geometry } = this.#walk;
    const { cid, sizeClass } = cell.owner;
    const owner = this.#owners.get(blockOf(geometry, target));
    if (owner?.cid === cid && owner.sizeClass === sizeClass && isCell(geometry, sizeClass, target)) return;
    const whose = owner ? `block of client ${owner.cid}, class ${owner.sizeClass}` : 'block of nobody';
    const message = `its ${name} is ${target} in a ${whose}, no cell of this client and class ${sizeClass}`;
    this.#fail('log-link', cell, message);
  }
}
