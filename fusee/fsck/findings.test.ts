/** Each thing that can be wrong, planted into a pool at rest: it is found, by its kind, and where it is. */
import { describe, expect, it } from 'vitest';
import { crc32cOver } from '../fabric/crc32c.js';
import {
  BLOCK_ENTRY_BYTES,
  entryOf as directoryEntry,
  directoryOffset,
  HEADER_BYTES,
  KIND_TENT,
  LINE_BYTES,
  lockedEntryOf,
  makeSlot,
  SUPERBLOCK_USED_BYTES,
  writeSuperblock,
} from '../layout/index.js';
import { Outcome } from '../ops/index.js';
import { type Word, word } from '../verbs/index.js';
import { blockOf, tableEntryOf } from './cells.js';
import { FINDINGS_KEPT } from './report.js';
import { type Placed, SamplePool } from './sample-pool.js';

const full = (): SamplePool => new SamplePool().fill();

/** Where, on its MN, the table entry of a pointer's block is. */
function entryOf(pool: SamplePool, pointer: number, replica: number): [mn: number, offset: number] {
  const { view } = pool;
  const { region, offset } = tableEntryOf(view.geometry, blockOf(view.geometry, pointer));
  return [view.regionMn(region, replica), view.tableOffset(region, replica) + offset];
}

/** The bytes of the object that holds a key, changed, with the CRC that fits what they are then. */
function resealed(
  pool: SamplePool,
  { pointer, lines }: Placed,
  change: (bytes: Uint8Array) => void,
): Uint8Array {
  const bytes = pool.data(pointer, lines * LINE_BYTES);
  change(bytes);
  const words = new Uint32Array(bytes.buffer);
  const payload = (words[0] & 0xffff) + (words[0] >>> 16);
  words[1] = crc32cOver(bytes.buffer as ArrayBuffer)(HEADER_BYTES, payload, words[0]);
  return bytes;
}

describe('superblocks', () => {
  it("a configuration that is not the pool's ends the walk there", () => {
    const pool = full();
    const bytes = new Uint8Array(SUPERBLOCK_USED_BYTES);
    writeSuperblock(bytes, { ...pool.config, regionsPerNode: 9 }, 2);
    pool.poke(2, 0, ...bytes);
    const report = pool.check();
    expect(report.findings).toEqual([
      {
        kind: 'superblock',
        node: 2,
        where: 'offset 0',
        message: 'regionsPerNode is 9, but the pool was opened with 1',
      },
    ]);
    expect([report.isComplete, report.nodes[0].bytes]).toEqual([false, null]);
  });

  it.each([
    ['another node', 12, 'it says that this is node 0'],
    ['no superblock', 0, 'node 1 holds no FUSEE superblock'],
    ['another version', 8, 'node 1 has layout version 0'],
  ])('%s is found', (_, offset, message) => {
    const pool = full();
    pool.poke(1, offset, 0);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'superblock', node: 1 });
    expect(pool.onlyFinding().message).toContain(message);
  });
});

describe('the directory', () => {
  const at = (pool: SamplePool, s: number) => [pool.view.directoryMn(0), directoryOffset(s)] as const;

  it('an entry that differs between replicas is found on the replica', () => {
    const pool = full();
    const node = pool.view.directoryMn(1);
    pool.nodes.store(node, directoryOffset(1), directoryEntry(2), 0);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'directory', node, where: 'subtable 1' });
  });

  it.each([
    ['a lock', (): [number, number] => [lockedEntryOf(1, false, 9), 7]],
    ['halves that await grace', (): [number, number] => [directoryEntry(1, true), 0]],
  ])('%s does not rest', (_, entry) => {
    const pool = full();
    for (const r of [0, 1]) pool.nodes.store(pool.view.directoryMn(r), directoryOffset(0), ...entry());
    expect(pool.kinds()).toEqual(['directory']);
  });

  it('entries that leave keys without a subtable end the walk there', () => {
    const pool = full();
    pool.nodes.store(...at(pool, 1), 0, 0);
    const report = pool.check();
    expect(report.findings.map(({ kind }) => kind)).toContain('directory');
    expect(report.isComplete).toBe(false);
  });

  it('an entry beyond the global depth is found', () => {
    const pool = new SamplePool({ subtablesMax: 8 }).fill();
    for (const r of [0, 1])
      pool.nodes.store(pool.view.directoryMn(r), directoryOffset(5), directoryEntry(3), 0);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'directory', where: 'subtable 5' });
  });

  it('what a split left that was given up, in the room of a subtable to come, is no finding', () => {
    const pool = new SamplePool({ subtablesMax: 8 }).fill();
    const slot = 3 * pool.view.geometry.subtableBytes + 8;
    pool.store(slot, word(77, 0x100));
    const { findings, nodes } = pool.check();
    expect(findings).toEqual([]);
    const spare = nodes.reduce((sum, { bytes }) => sum + (bytes?.['index-spare'] ?? 0), 0);
    expect(spare).toBe(6 * 2 * pool.view.geometry.subtableBytes);
  });
});

describe('the index', () => {
  it('a slot that differs between replicas is found on the replica', () => {
    const pool = full();
    const { slot, word: w } = pool.find('k1');
    pool.store(slot, { hi: w.hi, lo: w.lo ^ 1 }, [1]);
    expect(pool.onlyFinding()).toMatchObject({
      kind: 'slot-replicas',
      node: pool.view.slotMn(slot, 1),
      where: `slot ${slot}`,
    });
  });

  it('a bucket header that is not as formatted is found on each replica', () => {
    const pool = full();
    const { subtableBytes } = pool.view.geometry;
    for (const [replica, bucket] of [
      [0, 64],
      [1, 128],
    ]) {
      const slot = subtableBytes + bucket;
      pool.nodes.store(pool.view.slotMn(slot, replica), pool.view.slotOffset(slot), 1, 0);
    }
    expect(pool.kinds()).toEqual(['bucket-header', 'bucket-header']);
  });

  it.each([
    ['tentative', KIND_TENT],
    ['moved', 2],
    ['of no kind', 32],
  ])('a slot that is %s does not rest', (_, kind) => {
    const pool = full();
    const { slot, pointer, lines } = pool.find('k1');
    pool.store(slot, makeSlot(word(), pointer + kind, lines, 7));
    expect(pool.kinds()).toEqual(['slot-kind']);
  });

  it('two slots that name one object are found', () => {
    const pool = full();
    const { word: w } = pool.find('k1');
    pool.store(pool.freeSlots('k1')[0], w);
    expect(pool.kinds()).toEqual(['named-twice']);
  });

  it('a key that is visible twice is found once, with both slots', () => {
    const pool = full();
    const old = pool.garbage('twice');
    const now = pool.find('twice');
    const [free] = pool.freeSlots('twice');
    pool.store(free, old.word);
    const { kind, where, message } = pool.onlyFinding();
    const [first, second] = [now.slot, free].sort((a, b) => a - b);
    expect([kind, where]).toEqual(['key-twice', `slot ${second}`]);
    expect(message).toBe(`key "twice" is visible here, and in slot ${first}`);
  });

  it('two keys of one length, one fingerprint and the same buckets are no two copies', () => {
    const pool = full();
    const [client] = pool.clients;
    const seen = new Map<string, string>();
    for (let i = 1000; ; i++) {
      const { fingerprint, combined } = pool.placeOf(`${i}`);
      const place = `${fingerprint} ${combined}`;
      const twin = seen.get(place);
      seen.set(place, `${i}`);
      if (twin === undefined) continue;
      expect([client.insert(twin, 'v'), client.insert(`${i}`, 'v')]).toEqual([Outcome.OK, Outcome.OK]);
      break;
    }
    expect(pool.kinds()).toEqual([]);
  });

  it.each<[string, (pool: SamplePool, placed: Placed) => Word]>([
    ['beyond the data', (pool, { lines }) => makeSlot(word(), 3 * pool.config.regionBytes, lines, 7)],
    ['in a block of nobody', (pool, { lines }) => makeSlot(word(), pool.unowned + 1024, lines, 7)],
    [
      "in a block's header",
      (pool, p) => makeSlot(word(), blockOf(pool.view.geometry, p.pointer), p.lines, 7),
    ],
  ])('a slot that names a place %s is found', (_, make) => {
    const pool = full();
    const placed = pool.find('k1');
    pool.store(placed.slot, make(pool, placed));
    expect(pool.onlyFinding()).toMatchObject({ kind: 'no-cell', where: `slot ${placed.slot}` });
  });

  it.each([-1, 1])('a slot with %i line too many is found', (more) => {
    const pool = full();
    const { slot, pointer, lines, word: w } = pool.find('k2');
    pool.store(slot, makeSlot(word(), pointer, lines + more, w.lo & 255));
    expect(pool.kinds()).toContain('object');
  });

  it("a fingerprint that is not its key's is found", () => {
    const pool = full();
    const { slot, word: w } = pool.find('k1');
    pool.store(slot, { hi: w.hi, lo: w.lo ^ 1 });
    expect(pool.onlyFinding()).toMatchObject({ kind: 'key-place', where: `slot ${slot}` });
  });
});

describe('objects', () => {
  it('a flipped byte on the primary is found by its CRC, and as a difference between replicas', () => {
    const pool = full();
    const { slot, pointer, cell } = pool.find('k2');
    pool.change(pointer + 100, (byte) => byte ^ 4, [0]);
    const { findings } = pool.check();
    expect(findings.map(({ kind, where }) => [kind, where])).toEqual([
      ['object', `slot ${slot}`],
      ['data-replicas', `cell ${cell}`],
    ]);
    expect(findings[1].message).toContain('and is whole there');
  });

  it('a flipped byte on a backup is found there, and that it is not whole', () => {
    const pool = full();
    const { pointer, cell } = pool.find('k2');
    pool.change(pointer + 100, (byte) => byte ^ 4, [1]);
    const finding = pool.onlyFinding();
    expect(finding).toMatchObject({ kind: 'data-replicas', node: pool.view.dataMn(pointer, 1) });
    expect(finding.where).toBe(`cell ${cell}`);
    expect(finding.message).toContain('and is not whole there');
  });

  it('a whole object whose key belongs elsewhere is found', () => {
    const pool = full();
    const placed = pool.find('k2');
    const bytes = resealed(pool, placed, (b) => b.set(Buffer.from('q'), HEADER_BYTES));
    pool.putData(placed.pointer, bytes);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'key-place', where: `slot ${placed.slot}` });
  });

  it('lengths that no object of so many lines has are found, even if the CRC fits', () => {
    const pool = full();
    const placed = pool.find('k2');
    const bytes = resealed(pool, placed, (b) => {
      b[2] = 1;
    });
    pool.putData(placed.pointer, bytes);
    expect(pool.kinds()).toEqual(['object']);
  });
});

describe('blocks', () => {
  it('a table entry that differs between replicas is found on the replica', () => {
    const pool = full();
    const { pointer } = pool.find('k1');
    const [mn, offset] = entryOf(pool, pointer, 1);
    pool.poke(mn, offset, 0, 0, 0, 0, 0, 0, 0, 0);
    const finding = pool.onlyFinding();
    expect([finding.kind, finding.node]).toEqual(['table-replicas', mn]);
    expect(finding.message).toMatch(/^its entry is free on replica 1, client \d, class \d on the primary$/);
  });

  it.each([
    ['a class that no block holds', [1, 0, 0, 0, 200, 0, 0, 0]],
    ['an owner without a class', [1, 0, 0, 0, 0, 0, 0, 0]],
    ['a class without an owner', [0, 0, 0, 0, 1, 0, 0, 0]],
  ])('%s is found, and its block counted as unknown', (_, entry) => {
    const pool = full();
    const { unowned } = pool;
    for (const replica of [0, 1]) {
      const [mn, offset] = entryOf(pool, unowned, replica);
      pool.poke(mn, offset, ...entry.slice(0, BLOCK_ENTRY_BYTES));
    }
    const { findings, nodes } = pool.check();
    expect(findings.map(({ kind }) => kind)).toEqual(['table-entry']);
    const unknown = nodes.reduce((sum, { bytes }) => sum + (bytes?.unknown ?? 0), 0);
    expect(unknown).toBe(2 * pool.config.blockBytes);
  });

  it.each([0, 1])('a header with another class than the table is found on replica %i', (replica) => {
    const pool = full();
    const { pointer } = pool.find('k1');
    const block = blockOf(pool.view.geometry, pointer);
    pool.change(block + 4, (lines) => lines + 1, [replica]);
    expect(pool.onlyFinding()).toMatchObject({
      kind: 'block-header',
      node: pool.view.dataMn(pointer, replica),
      where: `block ${block}`,
    });
  });

  it('a block that was granted and never entered is found: its header is missing', () => {
    const pool = full();
    const { unowned } = pool;
    for (const replica of [0, 1]) {
      const [mn, offset] = entryOf(pool, unowned, replica);
      pool.poke(mn, offset, 1, 0, 0, 0, 1);
    }
    const { findings } = pool.check();
    expect(findings.map(({ kind }) => kind)).toEqual(['block-header', 'block-header']);
    expect(findings[0].message).toBe('its header is missing; the table says 1, 1');
  });

  it.each(['pointer', 'cell'] as const)(
    'a free bit of the %s of an object that a slot names is found',
    (line) => {
      const pool = full();
      const placed = pool.find('k2');
      pool.setFreeBit(placed[line]);
      expect(pool.onlyFinding()).toMatchObject({ kind: 'free-named', where: `cell ${placed.cell}` });
    },
  );

  it('a free bit on one replica only is found', () => {
    const pool = full();
    const { pointer } = pool.garbage();
    pool.setFreeBit(pointer, [0]);
    expect(pool.kinds()).toEqual(['bitmap']);
    pool.setFreeBit(pointer);
    expect(pool.kinds()).toEqual([]);
  });

  it('two free bits of one cell are found: it was freed twice', () => {
    const pool = full();
    const { pointer, cell } = pool.garbage();
    pool.setFreeBit(pointer);
    pool.setFreeBit(pointer + LINE_BYTES);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'freed-twice', where: `cell ${cell}` });
    pool.setFreeBit(cell);
    expect(pool.kinds()).toEqual(['freed-twice']);
  });

  it('a free bit of no cell is found: of the header, and of the end that holds no whole cell', () => {
    const pool = full();
    const block = blockOf(pool.view.geometry, pool.find('k2').pointer);
    pool.setFreeBit(block);
    pool.setFreeBit(block + pool.config.blockBytes - LINE_BYTES);
    const { findings } = pool.check();
    expect(findings.map(({ kind, where }) => [kind, where])).toEqual([
      ['bitmap', `block ${block}`],
      ['bitmap', `block ${block}`],
    ]);
    expect(findings[0].message).toBe('line 0 is free, but it lies in no cell');
  });
});

describe('bytes that nobody may have written', () => {
  it.each<[string, (pool: SamplePool) => [mn: number, offset: number]]>([
    ['in a block of nobody', (p) => [p.view.dataMn(p.unowned, 1), p.view.dataOffset(p.unowned, 1) + 5000]],
    ["in the superblock's reserve", () => [1, 4095]],
    ['behind the index', (p) => [2, p.view.geometry.dataBase - 1]],
    ['in a subtable of other nodes', (p) => [p.view.slotMn(0, 1) === 1 ? 2 : 1, p.view.slotOffset(0) + 8]],
    ["behind a block table's last entry", (p) => [0, p.view.tableOffset(0, 0) + 4 * BLOCK_ENTRY_BYTES]],
    ['behind the log heads', (p) => [p.view.dataMn(p.find('k1').pointer, 0), inBlock(p, 'k1', 1110)]],
    ["in a block's header", (p) => [p.view.dataMn(p.find('k1').pointer, 0), inBlock(p, 'k1', 40)]],
    [
      'behind the last cell',
      (p) => [p.view.dataMn(p.find('k2').pointer, 0), inBlock(p, 'k2', p.config.blockBytes - 1)],
    ],
  ])('%s are found', (_, where) => {
    const pool = new SamplePool({ regionBytes: 1 << 15, regionsPerNode: 4 }).fill();
    const [mn, offset] = where(pool);
    pool.poke(mn, offset, 1);
    expect(pool.check().findings.map(({ kind, node, where: at }) => [kind, node, at])).toEqual([
      ['not-zero', mn, `offset ${offset}`],
    ]);
  });
});

/** The offset, on the primary, of byte `at` of the block that holds a key. */
function inBlock(pool: SamplePool, key: string, at: number): number {
  return pool.view.dataOffset(blockOf(pool.view.geometry, pool.find(key).pointer), 0) + at;
}

describe('a ruined pool', () => {
  it('is told of by its first findings and the count of all', () => {
    const big = new SamplePool({ groupsPerSubtable: 100 });
    for (let slot = 8; slot < big.view.geometry.subtableBytes; slot += 8)
      if (slot % 64 !== 0) big.store(slot, word(slot, 0x3f0101));
    const report = big.check();
    expect(report.findings.length).toBe(FINDINGS_KEPT);
    expect(report.findingCount).toBe(2100);
    expect(report.findingsByKind).toEqual({ 'slot-kind': 2100 });
  });
});
