/**
 * Log entries: of objects that slots name, and of those that are nobody's. What lists they form is for
 * `log-lists.ts`.
 *
 * The rules follow from who writes what: an object comes with its operation and the used bit; a winner of a
 * replicated index commits the old value; a loser, and one that has found nothing to do, resets the used bit;
 * an undone INSERT keeps it, since its slot's tombstone names it (H20); reclaim zeroes whole entries.
 */
import { LOG_ENTRY_BYTES, LogOperation } from '../layout/index.js';
import { cellBytesOf, isLine, type Owner } from './cells.js';
import { NamedAs } from './names.js';
import { type LogEntry, readEntry, wholeLines } from './objects.js';
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

/** Checks the log entries of one walk. */
export class LogCheck {
  readonly #walk: Walk;

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

  /** What a cell is that no slot names and no bit frees. */
  checkUnnamed(cell: Cell): 'fresh' | 'free' | 'garbage' | 'unfreed' {
    const { reader, clients, listEnds } = this.#walk;
    const { sizeClass } = cell.owner;
    const cellBytes = cellBytesOf(sizeClass);
    if (reader.firstNonZero(cell.end - LOG_ENTRY_BYTES, LOG_ENTRY_BYTES) < 0)
      return reader.firstNonZero(cell.end - cellBytes, cellBytes) < 0 ? 'fresh' : 'free';
    const entry = readEntry(reader.local.bytes, cell.end);
    if (entry.operation === 0 && !entry.isUsed) {
      this.#fail('torn', cell, 'its log entry has no operation: a WRITE of an object ended half way');
      return 'garbage';
    }
    this.#checkEntry(cell, entry);
    // A set used bit proves a whole object: recovery relies on that.
    if (entry.isUsed && wholeLines(reader.local, cell.end, sizeClass) === 0)
      this.#fail('torn', cell, 'its used bit is set, but its object is not whole');
    return clients.length > 0 || listEnds.has(cell.pointer) ? 'garbage' : 'unfreed';
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
    // Records of what was: their targets may have been reclaimed since, and their blocks be another client's.
    const { dataBytes } = this.#walk;
    if (!isLine(next, dataBytes)) this.#fail('log-link', cell, `its next is ${next}, no line of the data`);
    // A list's first object has none before it.
    if (prev !== 0 && !isLine(prev, dataBytes))
      this.#fail('log-link', cell, `its prev is ${prev}, no line of the data`);
  }
}
