import { expect, it } from 'vitest';
import { CorruptionError, UsageError } from '../verbs/index.js';
import { type PoolConfig, SUPERBLOCK_BYTES } from './geometry.js';
import { LAYOUT_VERSION, readSuperblock, SUPERBLOCK_USED_BYTES, writeSuperblock } from './superblock.js';

/** Every number differs, so that two of them in each other's place are noticed. */
const CONFIG: PoolConfig = {
  poolId: 2 ** 40 + 3,
  nodes: 11,
  indexReplicas: 5,
  dataReplicas: 4,
  subtables: 16,
  subtablesMax: 64,
  groupsPerSubtable: 77,
  regionsPerNode: 9,
  blockBytes: 1 << 16,
  regionBytes: 2 ** 36,
};

function written(): { page: Uint8Array; view: DataView } {
  const memory = new Uint8Array(SUPERBLOCK_BYTES + 100).fill(0xee);
  const page = memory.subarray(40, 40 + SUPERBLOCK_BYTES);
  writeSuperblock(page, CONFIG, 3);
  return { page, view: new DataView(page.buffer, page.byteOffset) };
}

it('a superblock gives back the configuration and the node it was written for', () => {
  expect(readSuperblock(written().page, 'node 3')).toEqual({ config: CONFIG, node: 3 });
});

it('a superblock has its numbers where other programs read them, and writes nothing else', () => {
  const { page, view } = written();
  expect(Buffer.from(page.subarray(0, 7)).toString('latin1')).toBe('FUSEEVK');
  expect([8, 12, 16].map((at) => view.getUint32(at, true))).toEqual([5, 3, 1]);
  const numbers = Array.from({ length: 10 }, (_, i) => view.getFloat64(32 + 8 * i, true));
  expect(numbers).toEqual([2 ** 40 + 3, 11, 5, 4, 16, 64, 77, 9, 1 << 16, 2 ** 36]);
  expect(SUPERBLOCK_USED_BYTES).toBe(112);
  expect(page.subarray(112).every((b) => b === 0xee)).toBe(true);
});

it('bytes that are no superblock are refused with their place', () => {
  const { page, view } = written();
  view.setUint32(0, 1, true);
  expect(() => readSuperblock(page, 'node 3')).toThrow(CorruptionError);
  expect(() => readSuperblock(page, 'node 3')).toThrow('node 3 holds no FUSEE superblock');
  const other = written();
  other.view.setUint32(4, 1, true);
  expect(() => readSuperblock(other.page, 'node 3')).toThrow(CorruptionError);
  expect(() => readSuperblock(new Uint8Array(SUPERBLOCK_BYTES), 'node 0')).toThrow(CorruptionError);
});

it.each([LAYOUT_VERSION + 1, LAYOUT_VERSION - 1, 0])(
  'layout version %i is refused with both versions named',
  (version) => {
    const { page, view } = written();
    view.setUint32(8, version, true);
    const read = (): unknown => readSuperblock(page, 'node 3');
    expect(read).toThrow(UsageError);
    expect(read).toThrow(
      `node 3 has layout version ${version}, this program reads version ${LAYOUT_VERSION}`,
    );
  },
);
