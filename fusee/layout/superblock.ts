/** The first bytes of every memory node: which pool and layout this is (offset 0). */
import { CorruptionError, UsageError } from '../verbs/index.js';
import { assertLayout } from './assert.js';
import { type PoolConfig, SUPERBLOCK_BYTES } from './geometry.js';

/**
 * Bumped with every change of what any byte on a memory node means. 2: placed by a consistent-hash ring. 3:
 * client table, directory, log heads. 5: the node's pulse.
 */
export const LAYOUT_VERSION = 5;

const MAGIC_LO = 0x45535546; // "FUSE"
const MAGIC_HI = 0x004b5645; // "EVK"

const NUMBERS = [
  'poolId',
  'nodes',
  'indexReplicas',
  'dataReplicas',
  'subtables',
  'subtablesMax',
  'groupsPerSubtable',
  'regionsPerNode',
  'blockBytes',
  'regionBytes',
] as const satisfies readonly (keyof PoolConfig)[];

/** Bytes of the superblock that carry something; the rest of {@link SUPERBLOCK_BYTES} is reserved. */
export const SUPERBLOCK_USED_BYTES = 32 + NUMBERS.length * 8;
assertLayout(SUPERBLOCK_USED_BYTES <= SUPERBLOCK_BYTES, 'the superblock fits its page');

/**
 * The node's pulse, in the last line of the superblock's page: by what is written there its weak CPU renews
 * the node's lease (`master/node-leases.ts`). Nobody else writes there.
 *
 *     u32  beats: grows, 0 while the node has not begun   f64  start time of its process
 *     u32  pid                                            u32  what tells its host from others
 */
export const PULSE_OFFSET: number = SUPERBLOCK_BYTES - 64;
/** Bytes of the pulse that carry something, rounded up to words. */
export const PULSE_BYTES = 24;
assertLayout(SUPERBLOCK_USED_BYTES <= PULSE_OFFSET, 'the pulse lies behind the superblock');

/** What a node's pulse says. */
export interface Pulse {
  readonly beats: number;
  readonly pid: number;
  readonly startTime: number;
  readonly host: number;
}

/** Reads a pulse that a READ of {@link PULSE_BYTES} has brought to `at`. */
export function readPulse(bytes: Uint8Array, at: number): Pulse {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, PULSE_BYTES);
  const [beats, pid] = [view.getUint32(0, true), view.getUint32(4, true)];
  return { beats, pid, startTime: view.getFloat64(8, true), host: view.getUint32(16, true) };
}

/** Writes a pulse into a node's memory, which begins at offset 0; the beats last, in one piece. */
export function writePulse(memory: Uint8Array, pulse: Pulse): void {
  const view = new DataView(memory.buffer, memory.byteOffset + PULSE_OFFSET, PULSE_BYTES);
  view.setUint32(4, pulse.pid, true);
  view.setFloat64(8, pulse.startTime, true);
  view.setUint32(16, pulse.host, true);
  view.setUint32(0, pulse.beats, true);
}

/** Writes a node's superblock at the start of its memory. */
export function writeSuperblock(memory: Uint8Array, config: PoolConfig, node: number): void {
  const view = new DataView(memory.buffer, memory.byteOffset, SUPERBLOCK_USED_BYTES);
  view.setUint32(0, MAGIC_LO, true);
  view.setUint32(4, MAGIC_HI, true);
  view.setUint32(8, LAYOUT_VERSION, true);
  view.setUint32(12, node, true);
  view.setUint32(16, 1, true); // view number
  NUMBERS.forEach((name, i) => {
    view.setFloat64(32 + i * 8, config[name], true);
  });
}

/**
 * Reads a superblock that a READ brought back.
 * @throws CorruptionError when the bytes are no superblock; UsageError when the layout is of another version.
 */
export function readSuperblock(bytes: Uint8Array, where: string): { config: PoolConfig; node: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, SUPERBLOCK_USED_BYTES);
  if (view.getUint32(0, true) !== MAGIC_LO || view.getUint32(4, true) !== MAGIC_HI) {
    throw new CorruptionError(`${where} holds no FUSEE superblock`);
  }
  const version = view.getUint32(8, true);
  if (version !== LAYOUT_VERSION) {
    throw new UsageError(
      `${where} has layout version ${version}, this program reads version ${LAYOUT_VERSION}; ` +
        'use the program that made the pool, or make the pool anew',
    );
  }
  const config = Object.fromEntries(NUMBERS.map((name, i) => [name, view.getFloat64(32 + i * 8, true)]));
  return { config: config as unknown as PoolConfig, node: view.getUint32(12, true) };
}
