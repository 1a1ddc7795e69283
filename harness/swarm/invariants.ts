/**
 * What must hold when nothing moves any more: index replicas agree, every slot names a whole object of the
 * right key, nothing is named twice or both free and named, log entries are well formed.
 *
 * Rules of this file: it reads memory alone, and believes nothing that the clients remember but which of them
 * died and which cells they handed back.
 */
import { crc32cOver } from '../../fusee/fabric/crc32c.js';
import type { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import {
  CANDIDATES,
  candidateSlot,
  type Directory,
  keyMemory,
  keyPlace,
  locateKey,
} from '../../fusee/index/index.js';
import {
  BLOCK_ENTRY_BYTES,
  BLOCK_HEADER_BYTES,
  BUCKET_BYTES,
  CLASS_LINES,
  classOfLines,
  HEADER_BYTES,
  isKv,
  isTomb,
  LINE_BYTES,
  LogField,
  LogOperation,
  MAX_LINES,
  objectLines,
  ownerPointer,
  readOldValue,
  slotFingerprint,
  slotLines,
  type View,
} from '../../fusee/layout/index.js';
import { formatWord, type Word, word } from '../../fusee/verbs/index.js';
import { checkDirectory, checkHeader } from './directory-check.js';

/** What a check knows besides the memory. */
export interface Quiet {
  readonly nodes: MemoryNodes;
  readonly view: View;
  /** Key numbers by their bytes (latin1). */
  readonly keys: ReadonlyMap<string, number>;
  /** Client ids that died: what they left in their blocks may be torn. */
  readonly dead: ReadonlySet<number>;
  /** Client ids that lost a link: a reset that no answer waited for may have reached some replicas only. */
  readonly cutOff: ReadonlySet<number>;
  /** Cells handed back, by the pointer of their last line. */
  readonly freeCells: ReadonlySet<number>;
  /** Reports a finding. */
  fail(kind: string, message: string): void;
}

/** Value bytes by key number: the contents of the store. */
export type Found = Map<number, Uint8Array>;

/** Checks everything; returns what the slots say is in the store. */
export function checkInvariants(quiet: Quiet): Found {
  return new Check(quiet).run();
}

/** Who owns a block, and the class of its cells, as its header and its table say. */
interface Owner {
  readonly cid: number;
  readonly sizeClass: number;
}

interface Entry {
  readonly operation: number;
  readonly isUsed: boolean;
  readonly isCommitted: boolean;
  readonly isBlank: boolean;
}

const OBJECT_BYTES = MAX_LINES * LINE_BYTES;

class Check {
  readonly #quiet: Quiet;
  readonly #nodes: MemoryNodes;
  readonly #view: View;
  readonly #directory: Directory;
  readonly #buffer = new ArrayBuffer(OBJECT_BYTES + 64);
  readonly #bytes = new Uint8Array(this.#buffer);
  readonly #words = new Uint32Array(this.#buffer);
  /** The log entry of the line at the start of the buffer. */
  readonly #entryBytes = Buffer.from(this.#buffer, LINE_BYTES + LogField.NEXT, -LogField.NEXT);
  readonly #crc = crc32cOver(this.#buffer);
  readonly #found: Found = new Map();
  /** What the first replica has of the log entry that is being checked. */
  readonly #first = new Uint8Array(-LogField.NEXT);
  /** Owners by block: every cell and every link of the log asks for one. */
  readonly #owners = new Map<number, Owner | undefined>();
  /** Slots by the cell that they name. */
  readonly #named = new Map<number, number>();

  constructor(quiet: Quiet) {
    this.#quiet = quiet;
    this.#nodes = quiet.nodes;
    this.#view = quiet.view;
    this.#directory = checkDirectory(quiet);
  }

  run(): Found {
    const { subtableBytes } = this.#view.geometry;
    for (const s of this.#directory.subtables()) {
      for (let slot = s * subtableBytes; slot < (s + 1) * subtableBytes; slot += 8) {
        if (slot % BUCKET_BYTES !== 0) this.#checkSlot(slot);
        else checkHeader(this.#quiet, slot, { subtable: s, depth: this.#directory.depthOf(s) });
      }
    }
    this.#checkBlocks();
    return this.#found;
  }

  #checkSlot(slot: number): void {
    const { fail } = this.#quiet;
    const w = this.#nodes.load(this.#view.slotMn(slot, 0), this.#view.slotOffset(slot), word());
    for (let r = 1; r < this.#view.slotCount(slot); r++) {
      const other = this.#nodes.load(this.#view.slotMn(slot, r), this.#view.slotOffset(slot), word());
      if (other.lo !== w.lo || other.hi !== w.hi)
        fail(
          'replicas',
          `slot ${slot}: ${formatWord(w)} on the primary, ${formatWord(other)} on replica ${r}`,
        );
    }
    if ((w.lo | w.hi) === 0) return;
    if (!isKv(w) && !isTomb(w))
      fail('slot', `slot ${slot} holds ${formatWord(w)}, which is neither KV nor tombstone`);
    else this.#checkObject(slot, w);
  }

  /** The object that a slot names, on every replica. */
  #checkObject(slot: number, w: Word): void {
    const pointer = ownerPointer(w);
    const where = `slot ${slot} names object ${pointer}`;
    for (let r = 0; r < this.#view.dataCount(pointer); r++) {
      const lines = this.#readObject(pointer, r, isKv(w) ? slotLines(w) : 0);
      if (lines === 0) {
        this.#quiet.fail(
          'object',
          `${where}, which is not whole on replica ${r} (MN ${this.#view.dataMn(pointer, r)})`,
        );
        return;
      }
      if (r === 0) this.#checkCell(slot, pointer, lines);
      this.#checkKey(slot, w, r);
      const entry = this.#entryAt(lines * LINE_BYTES);
      this.#checkNamedEntry(`${where} on replica ${r}`, w, entry);
    }
  }

  /**
   * Reads an object into the buffer; its lines, or 0 when it is not whole. For a tombstone the header tells
   * them.
   */
  #readObject(pointer: number, replica: number, lines: number): number {
    const mn = this.#view.dataMn(pointer, replica);
    const offset = this.#view.dataOffset(pointer, replica);
    this.#nodes.read(mn, offset, this.#bytes, 0, HEADER_BYTES);
    const keyBytes = this.#words[0] & 0xffff;
    const valueBytes = this.#words[0] >>> 16;
    const needed = objectLines(keyBytes, valueBytes);
    if (keyBytes === 0 || needed > MAX_LINES || (lines !== 0 && needed !== lines)) return 0;
    this.#nodes.read(mn, offset, this.#bytes, 0, needed * LINE_BYTES);
    const crc = this.#crc(HEADER_BYTES, keyBytes + valueBytes, this.#words[0]);
    return crc === this.#words[1] ? needed : 0;
  }

  /** The cell belongs to a block of its class, is named once, and is not free. */
  #checkCell(slot: number, pointer: number, lines: number): void {
    const { fail, freeCells } = this.#quiet;
    const cell = pointer + (lines - 1) * LINE_BYTES;
    const other = this.#named.get(cell);
    if (other !== undefined)
      fail('named twice', `slots ${other} and ${slot} both name the object in cell ${cell}`);
    this.#named.set(cell, slot);
    if (freeCells.has(cell)) fail('free', `slot ${slot} names cell ${cell}, which its client has taken back`);
    const owner = this.#cellOwner(cell);
    if (owner === undefined)
      fail('free', `slot ${slot} names cell ${cell}, which lies in no block of a client`);
    else if (owner.sizeClass !== classOfLines(lines))
      fail('object', `slot ${slot} names ${lines} lines in cell ${cell} of size class ${owner.sizeClass}`);
    const { blockBytes } = this.#view.geometry.config;
    const line = (cell % blockBytes) / LINE_BYTES;
    const block = cell - (cell % blockBytes);
    for (let r = 0; r < this.#view.dataCount(block); r++) {
      const bitmap = new Uint8Array(1);
      const at = this.#view.dataOffset(block, r) + BLOCK_HEADER_BYTES + (line >>> 3);
      this.#nodes.read(this.#view.dataMn(block, r), at, bitmap, 0, 1);
      if ((bitmap[0] >>> (line & 7)) & 1)
        fail('free', `cell ${cell}, named by slot ${slot}, is free on replica ${r}`);
    }
  }

  #checkKey(slot: number, w: Word, replica: number): void {
    const { fail, keys } = this.#quiet;
    const keyBytes = this.#words[0] & 0xffff;
    const key = this.#bytes.slice(HEADER_BYTES, HEADER_BYTES + keyBytes);
    const number = keys.get(Buffer.from(key).toString('latin1'));
    if (number === undefined) {
      fail(
        'object',
        `slot ${slot} names an object with a key that nobody has: ${Buffer.from(key).toString('hex')}`,
      );
      return;
    }
    const place = keyPlace({
      directory: this.#directory,
      groups: this.#view.geometry.config.groupsPerSubtable,
    });
    locateKey(place, keyMemory(key), 0, keyBytes);
    let isCandidate = false;
    for (let q = 0; q < CANDIDATES; q++) if (candidateSlot(place, q) === slot) isCandidate = true;
    if (!isCandidate || place.fingerprint !== slotFingerprint(w))
      fail('object', `slot ${slot} names an object of key ${number}, which does not belong there`);
    if (!isKv(w)) return;
    const at = HEADER_BYTES + keyBytes;
    if (replica === 0) {
      if (this.#found.has(number))
        fail('two copies', `key ${number} is visible twice, the second time in slot ${slot}`);
      this.#found.set(number, this.#bytes.slice(at, at + (this.#words[0] >>> 16)));
    }
  }

  /** A named object's log entry: a winner's, committed where the index is replicated. */
  #checkNamedEntry(where: string, w: Word, entry: Entry): void {
    const { fail } = this.#quiet;
    const isUndone = isTomb(w) && entry.operation === LogOperation.INSERT;
    const isDelete = entry.operation === LogOperation.DELETE;
    if (isTomb(w) ? !isUndone && !isDelete : isDelete)
      fail(
        'log',
        `${where} as a ${isTomb(w) ? 'tombstone' : 'KV'}, but its log says operation ${entry.operation}`,
      );
    if (isUndone) return;
    if (!entry.isUsed) fail('log', `${where}, whose used bit is clear`);
    // In a view that leaves one replica of the slot nothing is committed but INSERTs.
    if (this.#view.number > 1) return;
    if (entry.isCommitted !== this.#view.geometry.config.indexReplicas > 1)
      fail('log', `${where}, whose old value is ${entry.isCommitted ? 'complete' : 'incomplete'}`);
  }

  /** The log entry of the object in the buffer that ends at `end`. */
  #entryAt(end: number): Entry {
    const last = this.#bytes[end + LogField.OPERATION];
    let blank = 0;
    for (let i = end + LogField.OLD_VALUE; i < end + LogField.OPERATION; i++) blank |= this.#bytes[i];
    const isCommitted = readOldValue(this.#bytes, end, word());
    return { operation: last >> 1, isUsed: (last & 1) === 1, isCommitted, isBlank: blank === 0 };
  }

  /** Who owns the block of a cell, if the cell is one of its cells. */
  #cellOwner(cell: number): Owner | undefined {
    const { geometry } = this.#view;
    const block = cell - (cell % geometry.config.blockBytes);
    let owner = this.#owners.get(block);
    if (owner === undefined && !this.#owners.has(block)) {
      owner = this.#blockOwner(block);
      this.#owners.set(block, owner);
    }
    if (owner === undefined) return undefined;
    const { sizeClass } = owner;
    const lineOfCells = (cell - block - geometry.cellsOffset) / LINE_BYTES + 1;
    const index = lineOfCells / CLASS_LINES[sizeClass];
    if (!Number.isInteger(index) || index < 1 || index > geometry.cellsPerBlock(sizeClass)) return undefined;
    return owner;
  }

  /** The owner of a block that is entered on all replicas. */
  #blockOwner(block: number): Owner | undefined {
    const { geometry } = this.#view;
    const { blockBytes, regionBytes } = geometry.config;
    const region = Math.floor(block / regionBytes);
    if (region >= geometry.regions) return undefined;
    const entry = word();
    const at = ((block - region * regionBytes) / blockBytes) * BLOCK_ENTRY_BYTES;
    this.#nodes.load(this.#view.regionMn(region, 0), this.#view.tableOffset(region, 0) + at, entry);
    if (entry.lo === 0) return undefined;
    const sizeClass = entry.hi - 1;
    for (let r = 0; r < this.#view.dataCount(block); r++) {
      const header = this.#nodes.load(this.#view.dataMn(block, r), this.#view.dataOffset(block, r), word());
      const copy = this.#nodes.load(
        this.#view.regionMn(region, r),
        this.#view.tableOffset(region, r) + at,
        word(),
      );
      // Owners may differ: whoever hands a block on, or takes one over, may have died or have had no answer.
      // It is the primary's entry that counts.
      if (header.hi !== CLASS_LINES[sizeClass] || copy.hi !== entry.hi) return undefined;
    }
    return { cid: entry.lo, sizeClass };
  }

  /** Every cell of every block that is entered on all replicas. */
  #checkBlocks(): void {
    const { geometry } = this.#view;
    const { blockBytes, regionBytes } = geometry.config;
    for (let block = 0; block < geometry.regions * regionBytes; block += blockBytes) {
      const first = geometry.cellsOffset - LINE_BYTES;
      const region = Math.floor(block / regionBytes);
      const at = ((block - region * regionBytes) / blockBytes) * BLOCK_ENTRY_BYTES;
      const table = this.#nodes.load(
        this.#view.regionMn(region, 0),
        this.#view.tableOffset(region, 0) + at,
        word(),
      );
      if (table.lo === 0) continue;
      const sizeClass = table.hi - 1;
      const cellBytes = CLASS_LINES[sizeClass] * LINE_BYTES;
      const owner = this.#cellOwner(block + first + cellBytes);
      // Asked for and never entered: the answer was lost, or the client died. A leak, which its recovery will
      // find.
      if (owner === undefined) continue;
      for (let i = 1; i <= geometry.cellsPerBlock(sizeClass); i++)
        this.#checkEntry(block + first + i * cellBytes, owner);
    }
  }

  /** The log entry of one cell on all replicas. */
  #checkEntry(cell: number, owner: Owner): void {
    const { fail, dead } = this.#quiet;
    const isDead = dead.has(owner.cid);
    const { indexReplicas } = this.#view.geometry.config;
    const dataReplicas = this.#view.dataCount(cell);
    let isSame = true;
    for (let r = 0; r < dataReplicas; r++) {
      this.#readEntry(cell, r);
      if (r === 0) this.#first.set(this.#entryBytes);
      else isSame &&= this.#isFirst();
      const entry = this.#entryAt(LINE_BYTES);
      if (isDead && !entry.isUsed) continue;
      const isNever = entry.operation === 0 && !entry.isUsed && entry.isBlank;
      if (isNever) continue;
      const where = (): string =>
        `cell ${cell} of client ${owner.cid} on replica ${r} (MN ${this.#view.dataMn(cell, r)})`;
      if (entry.operation < LogOperation.INSERT || entry.operation > LogOperation.DELETE)
        fail('log', `${where()} has operation ${entry.operation}`);
      if (!entry.isCommitted && !entry.isBlank && !isDead)
        fail('log', `${where()} has a half-written old value`);
      if (entry.isCommitted && indexReplicas === 1)
        fail('log', `${where()} is committed, in an index of one replica`);
      // Who was stopped by a change of the view when it had committed may have had to begin again.
      if (entry.isCommitted && !entry.isUsed && this.#view.number === 1)
        fail('log', `${where()} is committed, but its used bit is clear`);
      // What links lead to may have found another use: only a walk from a log head goes by them.
      this.#checkLink(where, 'next', this.#pointerAt(LINE_BYTES + LogField.NEXT));
      this.#checkLink(where, 'prev', this.#pointerAt(LINE_BYTES + LogField.PREV));
    }
    if (isSame || isDead || this.#quiet.cutOff.has(owner.cid)) return;
    const texts = Array.from({ length: dataReplicas }, (_, r) => this.#readEntry(cell, r).toString('hex'));
    fail('log', `cell ${cell} of client ${owner.cid} differs between its replicas: ${texts.join(', ')}`);
  }

  /** Reads a cell's last line to the start of the buffer; returns the log entry in it. */
  #readEntry(cell: number, replica: number): Buffer {
    const mn = this.#view.dataMn(cell, replica);
    this.#nodes.read(mn, this.#view.dataOffset(cell, replica), this.#bytes, 0, LINE_BYTES);
    return this.#entryBytes;
  }

  /** The log entry in the buffer is the one that the first replica has. */
  #isFirst(): boolean {
    const first = this.#first;
    for (let i = 0; i < first.length; i++) if (this.#entryBytes[i] !== first[i]) return false;
    return true;
  }

  #pointerAt(at: number): number {
    return this.#words16(at) + this.#words16(at + 2) * 2 ** 16 + this.#words16(at + 4) * 2 ** 32;
  }

  #words16(at: number): number {
    return this.#bytes[at] | (this.#bytes[at + 1] << 8);
  }

  #checkLink(where: () => string, name: string, pointer: number): void {
    const { geometry } = this.#view;
    if (pointer % LINE_BYTES === 0 && pointer < geometry.regions * geometry.config.regionBytes) return;
    this.#quiet.fail('log', `${where()}: ${name} is ${pointer}, which is no line of the data`);
  }
}
