/** Where the cells of a block lie, and what its table entry says. */
import { BLOCK_ENTRY_BYTES, CLASS_LINES, type Geometry, LINE_BYTES } from '../layout/index.js';
import type { Word } from '../verbs/index.js';

/** A block of a client, as its table entry says. */
export interface Owner {
  readonly cid: number;
  readonly sizeClass: number;
}

/** Reads a table entry: its owner, `null` for a block that is nobody's, `undefined` when it is illegal. */
export function ownerOf(geometry: Geometry, entry: Word): Owner | null | undefined {
  if (entry.lo === 0 && entry.hi === 0) return null;
  const sizeClass = entry.hi - 1;
  const isLegal = entry.lo !== 0 && sizeClass >= 0 && sizeClass <= geometry.largestClass();
  return isLegal ? { cid: entry.lo, sizeClass } : undefined;
}

/** The pointer of the block that a pointer lies in. */
export const blockOf = (geometry: Geometry, pointer: number): number =>
  pointer - (pointer % geometry.config.blockBytes);

/** Region and table offset of a block. */
export function tableEntryOf(geometry: Geometry, block: number): { region: number; offset: number } {
  const { regionBytes, blockBytes } = geometry.config;
  const region = Math.floor(block / regionBytes);
  return { region, offset: ((block - region * regionBytes) / blockBytes) * BLOCK_ENTRY_BYTES };
}

/** Bytes of a class's cell. */
export const cellBytesOf = (sizeClass: number): number => CLASS_LINES[sizeClass] * LINE_BYTES;

/** Offset, in its block, of the end of the cell that the byte at `offset` lies in; -1 when in none. */
export function cellEnd(geometry: Geometry, sizeClass: number, offset: number): number {
  const cellBytes = cellBytesOf(sizeClass);
  const index = Math.floor((offset - geometry.cellsOffset) / cellBytes);
  if (index < 0 || index >= geometry.cellsPerBlock(sizeClass)) return -1;
  return geometry.cellsOffset + (index + 1) * cellBytes;
}

/** True when `pointer` names the last line of a cell of its block: what names cells in logs and lists. */
export const isCell = (geometry: Geometry, sizeClass: number, pointer: number): boolean => {
  const offset = pointer % geometry.config.blockBytes;
  return offset % LINE_BYTES === 0 && cellEnd(geometry, sizeClass, offset) === offset + LINE_BYTES;
};

/** Number, in its block, of the cell that line `line` lies in; -1 when in none. */
export function cellOfLine(geometry: Geometry, sizeClass: number, line: number): number {
  const end = cellEnd(geometry, sizeClass, line * LINE_BYTES);
  return end < 0 ? -1 : (end - geometry.cellsOffset) / cellBytesOf(sizeClass) - 1;
}

/** True when a log entry may name this: some line of the data. */
export const isLine = (pointer: number, dataBytes: number): boolean =>
  pointer > 0 && pointer < dataBytes && pointer % LINE_BYTES === 0;
