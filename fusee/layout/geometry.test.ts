import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { smallPool } from '../node/in-process.js';
import { CorruptionError, replicaRef, UsageError } from '../verbs/index.js';
import { assertLayout } from './assert.js';
import { DIRECTORY_VERSION_OFFSET, directoryOffset } from './directory.js';
import { CLIENTS_MAX, Geometry, type PoolConfig } from './geometry.js';
import { CLASS_COUNT, CLASS_LINES } from './size-class.js';
import { View } from './view.js';

const CONFIG = smallPool();

const configs: fc.Arbitrary<PoolConfig> = fc
  .record({
    nodes: fc.integer({ min: 1, max: 6 }),
    replicas: fc.tuple(fc.nat(7), fc.nat(7)),
    blockBits: fc.integer({ min: 10, max: 16 }),
    regionBits: fc.nat(6),
    subtableBits: fc.nat(3),
    growthBits: fc.nat(2),
    groupsPerSubtable: fc.integer({ min: 2, max: 40 }),
    regionsPerNode: fc.integer({ min: 1, max: 4 }),
  })
  .map((c) => ({
    poolId: 7,
    nodes: c.nodes,
    indexReplicas: 1 + (c.replicas[0] % c.nodes),
    dataReplicas: 1 + (c.replicas[1] % c.nodes),
    blockBytes: 2 ** c.blockBits,
    regionBytes: 2 ** (c.blockBits + c.regionBits),
    subtables: 2 ** c.subtableBits,
    subtablesMax: 2 ** (c.subtableBits + c.growthBits),
    groupsPerSubtable: c.groupsPerSubtable,
    regionsPerNode: c.regionsPerNode,
  }));

interface Range {
  mn: number;
  from: number;
  to: number;
  what: string;
}

/** Every byte range that a pool's view gives a meaning, on every node. */
function ranges(geometry: Geometry): Range[] {
  const { config, subtableBytes, regions, tableBytes } = geometry;
  const view = new View(geometry);
  const all: Range[] = [];
  for (let mn = 0; mn < config.nodes; mn++) all.push({ mn, from: 0, to: 4096, what: 'superblock' });
  const clients = { from: view.clientOffset(0), to: view.clientOffset(CLIENTS_MAX) };
  all.push({ mn: view.controlMn, ...clients, what: 'client table' });
  for (let r = 0; r < config.indexReplicas; r++) {
    const directory = { from: DIRECTORY_VERSION_OFFSET, to: directoryOffset(config.subtablesMax) };
    all.push({ mn: view.directoryMn(r), ...directory, what: `directory replica ${r}` });
  }
  for (let s = 0; s < config.subtablesMax; s++) {
    const to = view.slotReplicas(s * subtableBytes, replicaRef(8));
    for (let r = 0; r < to.count; r++) {
      const from = to.offsetBytes[r];
      all.push({ mn: to.mn[r], from, to: from + subtableBytes, what: `subtable ${s} replica ${r}` });
    }
  }
  for (let g = 0; g < regions; g++) {
    const to = view.dataReplicas(g * config.regionBytes, replicaRef(8));
    for (let r = 0; r < to.count; r++) {
      const from = to.offsetBytes[r];
      const table = view.tableOffset(g, r);
      all.push({ mn: to.mn[r], from, to: from + config.regionBytes, what: `region ${g} replica ${r}` });
      all.push({ mn: to.mn[r], from: table, to: table + tableBytes, what: `table ${g} replica ${r}` });
    }
  }
  return all;
}

describe('the layout of a pool', () => {
  it('gives no byte of a node two meanings, stays within the node, and fills the data area', () => {
    fc.assert(
      fc.property(configs, (config) => {
        const geometry = new Geometry(config);
        for (let mn = 0; mn < config.nodes; mn++) {
          const own = ranges(geometry)
            .filter((r) => r.mn === mn)
            .sort((a, b) => a.from - b.from);
          for (let i = 1; i < own.length; i++) {
            if (own[i].from < own[i - 1].to) expect([own[i - 1], own[i]]).toBe('disjoint');
          }
          const last = own[own.length - 1];
          expect(last.to).toBe(geometry.nodeBytes);
          const data = own.filter((r) => r.what.startsWith('region') || r.what.startsWith('table'));
          const bytes = data.reduce((sum, r) => sum + r.to - r.from, 0);
          expect(bytes).toBe(geometry.nodeBytes - geometry.dataBase);
          expect(data[0]?.from).toBe(geometry.dataBase);
        }
      }),
    );
  });

  it('places replicas of one thing on different nodes, and spreads primaries evenly', () => {
    fc.assert(
      fc.property(configs, (config) => {
        const geometry = new Geometry(config);
        const all = ranges(geometry);
        expect(new Set(all.map((r) => `${r.what} ${r.mn}`)).size).toBe(all.length);
        for (const thing of ['region', 'subtable']) {
          const homes = new Map<string, number[]>();
          for (const r of all.filter((range) => range.what.startsWith(thing))) {
            const name = r.what.replace(/ replica.*/, '');
            homes.set(name, [...(homes.get(name) ?? []), r.mn]);
          }
          const replicas = thing === 'region' ? config.dataReplicas : config.indexReplicas;
          for (const mns of homes.values())
            expect([mns.length, new Set(mns).size]).toEqual([replicas, replicas]);
          const primaries = new Array<number>(config.nodes).fill(0);
          for (const mns of homes.values()) primaries[mns[0]]++;
          expect(Math.max(...primaries) - Math.min(...primaries)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('follows from the configuration by these relations', () => {
    const g = new Geometry(CONFIG);
    expect(g.subtableBytes).toBe(8 * 192);
    // Superblock, client table of 512 words, directory of a version and 2 entries.
    expect(g.directoryBytes).toBe(64);
    expect(g.indexBase).toBe(4096 + 4096 + 64);
    expect(g.dataBase).toBe(12_288);
    expect(g.blocksPerRegion).toBe(16);
    expect(g.tableBytes).toBe(128);
    expect(g.regions).toBe(6);
    expect(g.regionStride).toBe(128 + (1 << 20));
    expect(g.nodeBytes).toBe(12_288 + 4 * (128 + (1 << 20)));
    expect(g.bitmapBytes).toBe(128);
    expect([g.headsOffset, g.headsPerBlock]).toEqual([192, 256]);
    expect(g.cellsOffset).toBe(192 + 256 * 16);
    expect(g.subtableSlots).toBe(8 * 21);
  });

  it('has room for all subtables that the index may grow to, and for an entry of each', () => {
    const grown = new Geometry({ ...CONFIG, subtablesMax: 64 });
    expect(grown.directoryBytes).toBe(576);
    expect(grown.indexBase).toBe(8192 + 576);
    expect(grown.dataBase).toBe(Math.ceil((8192 + 576 + 64 * 8 * 192) / 4096) * 4096);
    expect(grown.subtableBytes).toBe(new Geometry(CONFIG).subtableBytes);
  });

  it('has room in a block for header, bitmap, log heads and the cells it claims, but not for one more', () => {
    fc.assert(
      fc.property(configs, (config) => {
        const g = new Geometry(config);
        expect(g.bitmapBytes * 8).toBeGreaterThanOrEqual(config.blockBytes / 64);
        expect(g.bitmapBytes % 8).toBe(0);
        expect(g.headsOffset).toBe(64 + g.bitmapBytes);
        expect(g.cellsOffset).toBeGreaterThanOrEqual(g.headsOffset + 16 * g.headsPerBlock);
        expect(g.cellsOffset % 64).toBe(0);
        // A list has two cells of its own: no more of them than heads.
        expect(g.headsPerBlock).toBeGreaterThanOrEqual(Math.min(256, config.blockBytes / 64 / 2));
        for (let c = 0; c < CLASS_COUNT; c++) {
          const end = g.cellsOffset + g.cellsPerBlock(c) * CLASS_LINES[c] * 64;
          expect(end).toBeLessThanOrEqual(config.blockBytes);
          expect(end + CLASS_LINES[c] * 64).toBeGreaterThan(config.blockBytes);
        }
        const largest = g.largestClass();
        expect(g.cellsPerBlock(largest)).toBeGreaterThanOrEqual(1);
        if (largest + 1 < CLASS_COUNT) expect(g.cellsPerBlock(largest + 1)).toBe(0);
      }),
    );
  });

  it.each<[Partial<PoolConfig>, RegExp]>([
    [{ nodes: 0 }, /nodes is 0; a pool has 1 to 64/],
    [{ nodes: 65 }, /nodes is 65; a pool has 1 to 64/],
    [{ nodes: 2.5 }, /nodes is 2\.5/],
    [{ indexReplicas: 0 }, /index replicas is 0; it must be 1 to 8/],
    [{ nodes: 9, indexReplicas: 9 }, /index replicas is 9; it must be 1 to 8/],
    [{ dataReplicas: 0 }, /data replicas is 0; it must be 1 to 8/],
    [{ nodes: 9, dataReplicas: 9 }, /data replicas is 9; it must be 1 to 8/],
    [{ indexReplicas: 4 }, /index replicas is 4 but the pool has 3 nodes; use more nodes or fewer replicas/],
    [{ dataReplicas: 4 }, /data replicas is 4 but the pool has 3 nodes/],
    [{ nodes: 1, indexReplicas: 1 }, /data replicas is 2 but the pool has 1 node;/],
    [{ regionBytes: 3 << 19 }, /region size is 1572864 bytes; it must be a power of two/],
    [{ regionBytes: 0 }, /region size is 0 bytes/],
    [
      { blockBytes: 512 },
      /block size is 512 bytes; it must be a power of two from 1024 to the region's 1048576/,
    ],
    [{ blockBytes: 3000 }, /block size is 3000 bytes/],
    [{ blockBytes: 1 << 21 }, /block size is 2097152 bytes/],
    [{ subtables: 3 }, /subtables is 3; use a power of two up to 65536/],
    [{ subtables: 131072 }, /subtables is 131072/],
    [{ subtablesMax: 1 }, /most subtables is 1; use a power of two from the 2 at the start to 65536/],
    [{ subtablesMax: 6 }, /most subtables is 6/],
    [{ subtablesMax: 131072 }, /most subtables is 131072/],
    [{ groupsPerSubtable: 1 }, /groups per subtable is 1; it must be 2 to 32768/],
    [{ groupsPerSubtable: 32769 }, /groups per subtable is 32769/],
    [{ regionsPerNode: 0 }, /regions per node is 0; it must be 1 to 65536/],
    [{ regionsPerNode: 65537 }, /regions per node is 65537/],
    [
      { nodes: 3, regionsPerNode: 1, regionBytes: 2 ** 47 },
      /3 regions of 140737488355328 bytes exceed the 48 bits of a pointer; use smaller regions or fewer/,
    ],
  ])('refuses %o', (change, message) => {
    const make = (): Geometry => new Geometry({ ...CONFIG, ...change });
    expect(make).toThrow(UsageError);
    expect(make).toThrow(message);
  });

  it.each<Partial<PoolConfig>>([
    { nodes: 64, indexReplicas: 8, dataReplicas: 8 },
    { nodes: 1, indexReplicas: 1, dataReplicas: 1 },
    { blockBytes: 1024, regionBytes: 1024 },
    { blockBytes: 1 << 20 },
    { subtables: 65536, subtablesMax: 65536, groupsPerSubtable: 2 },
    { subtablesMax: 65536, groupsPerSubtable: 2 },
    { groupsPerSubtable: 32768 },
    { regionsPerNode: 65536 },
    { nodes: 2, indexReplicas: 2, regionsPerNode: 1, regionBytes: 2 ** 47 },
  ])('accepts %o, at the limit', (change) => {
    expect(new Geometry({ ...CONFIG, ...change }).nodeBytes).toBeGreaterThan(0);
  });

  it('names the relation that does not hold', () => {
    expect(() => assertLayout(false, 'up is up')).toThrow(
      new CorruptionError('layout: it does not hold that up is up'),
    );
    expect(() => assertLayout(true, 'up is up')).not.toThrow();
  });
});

describe('the view', () => {
  it('leads from any pointer to a place of its own on each replica, and back', () => {
    fc.assert(
      fc.property(configs, fc.array(fc.nat(2 ** 31 - 1)), (config, numbers) => {
        const geometry = new Geometry(config);
        const view = new View(geometry);
        const regions = ranges(geometry).filter((r) => r.what.startsWith('region'));
        for (const number of numbers) {
          const pointer = number % (geometry.regions * config.regionBytes);
          for (let r = 0; r < config.dataReplicas; r++) {
            const at = view.dataOffset(pointer, r);
            const found = regions.filter(
              ({ mn, from, to }) => mn === view.dataMn(pointer, r) && at >= from && at < to,
            );
            const region = Math.floor(pointer / config.regionBytes);
            expect(found.map(({ what }) => what)).toEqual([`region ${region} replica ${r}`]);
            expect(region * config.regionBytes + at - found[0].from).toBe(pointer);
          }
        }
      }),
    );
  });

  it('makes every node the primary of as many regions as configured', () => {
    fc.assert(
      fc.property(configs, (config) => {
        const geometry = new Geometry(config);
        const view = new View(geometry);
        const primaries = new Array<number>(config.nodes).fill(0);
        for (let g = 0; g < geometry.regions; g++) primaries[view.regionMn(g, 0)]++;
        expect(primaries).toEqual(primaries.map(() => config.regionsPerNode));
      }),
    );
  });

  it('sets aside a share of each node, the same blocks for everybody, and none of the smallest', () => {
    const cases = [
      { regionsPerNode: 1, blocks: 2, reserved: 0 },
      { regionsPerNode: 3, blocks: 1, reserved: 0 },
      { regionsPerNode: 4, blocks: 1, reserved: 1 },
      { regionsPerNode: 1, blocks: 16, reserved: 1 },
      { regionsPerNode: 6, blocks: 16, reserved: 3 },
      { regionsPerNode: 200, blocks: 1, reserved: 6 },
    ];
    for (const { regionsPerNode, blocks, reserved } of cases) {
      const regionBytes = blocks << 14;
      const geometry = new Geometry({
        ...CONFIG,
        nodes: 3,
        blockBytes: 1 << 14,
        regionBytes,
        regionsPerNode,
      });
      const view = new View(geometry);
      expect(geometry.reservedPerNode).toBe(reserved);
      const found = [0, 0, 0];
      for (let pointer = 0; pointer < geometry.regions * regionBytes; pointer += 1 << 14) {
        if (view.isReserved(pointer)) found[view.dataMn(pointer, 0)]++;
        expect(view.isReserved(pointer + (1 << 14) - 1)).toBe(view.isReserved(pointer));
      }
      expect(found).toEqual([reserved, reserved, reserved]);
    }
  });

  it('gives every byte of a region the same place by each of its methods', () => {
    const geometry = new Geometry(CONFIG);
    const view = new View(geometry);
    const ref = replicaRef(8);
    for (let g = 0; g < geometry.regions; g++) {
      for (const offset of [0, 64, CONFIG.blockBytes, CONFIG.regionBytes - 1]) {
        const pointer = g * CONFIG.regionBytes + offset;
        expect(view.dataReplicas(pointer, ref)).toBe(ref);
        expect(ref.count).toBe(2);
        for (let r = 0; r < 2; r++) {
          expect(view.dataMn(pointer, r)).toBe(ref.mn[r]);
          expect(view.regionMn(g, r)).toBe(ref.mn[r]);
          expect(view.dataOffset(pointer, r)).toBe(ref.offsetBytes[r]);
          expect(ref.offsetBytes[r]).toBe(view.tableOffset(g, r) + geometry.tableBytes + offset);
        }
      }
    }
  });

  it('gives a slot the same offset on each replica, and all slots of a subtable the same nodes', () => {
    const geometry = new Geometry(CONFIG);
    const view = new View(geometry);
    for (let s = 0; s < 2; s++) {
      for (const offset of [0, 8, geometry.subtableBytes - 8]) {
        const slot = s * geometry.subtableBytes + offset;
        const ref = view.slotReplicas(slot, replicaRef(8));
        expect(ref.count).toBe(3);
        for (let r = 0; r < 3; r++) {
          expect(ref.offsetBytes[r]).toBe(geometry.indexBase + slot);
          expect(ref.mn[r]).toBe(view.slotMn(s * geometry.subtableBytes, r));
          expect([view.slotMn(slot, r), view.slotOffset(slot)]).toEqual([ref.mn[r], ref.offsetBytes[r]]);
        }
      }
    }
  });
});
