import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../fabric/memory.js';
import { LINE_BYTES, LOG_ENTRY_BYTES, LOG_HEAD_BYTES, type PoolConfig } from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';
import { FabricError } from '../verbs/index.js';
import { blockOf } from './cells.js';
import { checkPool } from './check-pool.js';
import { WALK_BYTES } from './reader.js';
import type { Category } from './report.js';
import { runOp, SamplePool } from './sample-pool.js';

const SHAPES: Partial<PoolConfig>[] = [
  { indexReplicas: 1, dataReplicas: 1, nodes: 1 },
  { indexReplicas: 2, dataReplicas: 2 },
  { indexReplicas: 3, dataReplicas: 3 },
  { indexReplicas: 1, dataReplicas: 3, blockBytes: 1 << 12 },
  { indexReplicas: 3, dataReplicas: 1, groupsPerSubtable: 13, subtables: 8, regionsPerNode: 3 },
];

describe('a pool at rest', () => {
  it.each(SHAPES)('is clean, and every byte of every node has one category: %j', (shape) => {
    const pool = new SamplePool(shape).fill();
    const { findings, nodes, index, isComplete } = pool.check();
    expect([findings, isComplete]).toEqual([[], true]);
    for (const { bytes, nodeBytes } of nodes) {
      expect(Object.values(bytes ?? {}).reduce((a, b) => a + b)).toBe(nodeBytes);
    }
    // 40 keys, 8 of them deleted; no round of background work.
    expect(index).toMatchObject({ live: 32, tombstones: 8, splits: 0, loadFactor: 32 / index.slots });
    const cells = (of: 'live' | 'tombstones' | 'awaiting' | 'unnamed'): number =>
      nodes.reduce((sum, { classes }) => sum + classes.reduce((n, c) => n + c[of], 0), 0);
    const { dataReplicas } = pool.config;
    // 14 objects were replaced, and 8 deleted; nobody has set their bits.
    expect((['live', 'tombstones', 'awaiting', 'unnamed'] as const).map(cells)).toEqual(
      [32, 8, 0, 22].map((n) => n * dataReplicas),
    );
  });

  it.each(SHAPES)('is clean after memory was reclaimed, subtables split, and clients rest: %j', (shape) => {
    const subtablesMax = 4 * (shape.subtables ?? 2);
    const pool = new SamplePool({ regionsPerNode: 3, ...shape, subtablesMax }).churn();
    const atWork = pool.check();
    expect(atWork.findings).toEqual([]);
    expect(atWork.clients.map(({ place, cid }) => [place, cid])).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(atWork.clients[0].period).toBeGreaterThan(10);
    expect(atWork.index).toMatchObject({ splits: 1, subtables: (shape.subtables ?? 2) + 1 });
    expect(pool.janitors.map(({ reclaim }) => reclaim.reclaimed > 20)).toEqual([true, true]);

    const { findings, clients, nodes } = pool.rest().check();
    expect([findings, clients]).toEqual([[], []]);
    for (const { bytes, nodeBytes } of nodes) {
      expect(Object.values(bytes ?? {}).reduce((a, b) => a + b)).toBe(nodeBytes);
      expect(bytes?.unfreed).toBe(0);
    }
    expect(nodes.reduce((sum, { bytes }) => sum + (bytes?.free ?? 0), 0)).toBeGreaterThan(0);
    const words = pool.check({ depth: 'words' });
    expect(words.nodes.map(({ classes }) => classes)).toEqual(nodes.map(({ classes }) => classes));
  });

  it('gives garbage to what was replaced and deleted, until background work frees it', () => {
    const pool = new SamplePool();
    const [client] = pool.clients;
    client.insert('k', 'x'.repeat(100));
    client.update('k', 'y'.repeat(100));
    client.update('nobody', 'z'.repeat(100));
    const sums = (...categories: Category[]): number[] => {
      const { nodes, findings } = pool.check();
      expect(findings).toEqual([]);
      return categories.map((of) => nodes.reduce((n, { bytes }) => n + (bytes?.[of] ?? 0), 0));
    };
    // Each cell of 192 bytes is on two nodes; the second UPDATE's object waits to be written over.
    expect(sums('live', 'garbage', 'tombstone')).toEqual([384, 768, 0]);
    client.delete('k');
    expect(sums('live', 'garbage', 'tombstone', 'awaiting')).toEqual([0, 1152, 128, 0]);
    pool.tidy(1);
    expect(sums('live', 'garbage', 'tombstone', 'awaiting', 'free')).toEqual([0, 384, 128, 768, 0]);
    pool.tidy(8);
    expect(sums('live', 'garbage', 'tombstone', 'awaiting', 'free')).toEqual([0, 384, 128, 0, 768]);
  });

  it('calls garbage unfreed when nobody is at work, but for what a log list ends with', () => {
    const pool = new SamplePool();
    const [client] = pool.clients;
    client.insert('k', 'x'.repeat(100));
    client.update('k', 'y'.repeat(100));
    client.update('nobody', 'z'.repeat(100));
    const sums = (): (number | undefined)[] => {
      const { nodes, findings } = pool.check();
      expect(findings).toEqual([]);
      return (['garbage', 'unfreed'] as const).map((of) =>
        nodes.reduce((n, { bytes }) => n + (bytes?.[of] ?? 0), 0),
      );
    };
    expect(sums()).toEqual([768, 0]);
    pool.rest();
    expect(sums()).toEqual([384, 384]);
  });

  it('is the same whatever it is walked in', () => {
    const pool = new SamplePool({ regionsPerNode: 2 }).fill();
    const whole = pool.check();
    expect(pool.check({ stretchBytes: pool.config.blockBytes })).toEqual(whole);
    expect(pool.check({ stretchBytes: 5 * pool.config.blockBytes })).toEqual(whole);
  });

  it('is counted alike by words alone, which costs a part of the READs', () => {
    const pool = new SamplePool().fill();
    const bytes = pool.check();
    const words = pool.check({ depth: 'words' });
    expect(words.index).toEqual(bytes.index);
    expect(words.nodes.map(({ classes }) => classes)).toEqual(bytes.nodes.map(({ classes }) => classes));
    expect(words.nodes.map((node) => node.bytes)).toEqual([null, null, null]);
  });

  it('lets freed cells await grace, whatever line is named and whatever their log entry', () => {
    const pool = new SamplePool();
    const { pointer, cell } = pool.garbage();
    pool.setFreeBit(pointer);
    expect(pointer).not.toBe(cell);
    const counts = (depth: 'bytes' | 'words') => {
      const { nodes, findings } = pool.check({ depth });
      const classes = nodes.flatMap((node) => node.classes);
      return [findings.length, ...(['awaiting', 'unnamed'] as const).map((of) => classes.map((c) => c[of]))];
    };
    expect(counts('bytes')).toEqual([0, [1, 1], [0, 0]]);
    expect(counts('words')).toEqual([0, [1, 1], [0, 0]]);
    pool.putData(cell + LINE_BYTES - LOG_ENTRY_BYTES, new Uint8Array(LOG_ENTRY_BYTES));
    expect(counts('bytes')).toEqual([0, [1, 1], [0, 0]]);
    expect(counts('words')).toEqual([0, [1, 1], [0, 0]]);
  });

  it('may have blocks that were left behind: the table says so, headers name who left them', () => {
    const pool = new SamplePool().fill();
    // A class of which the client has but one block, and no log list: what it leaves behind.
    const { pointer } = pool.find('k3');
    const block = blockOf(pool.view.geometry, pointer);
    for (const r of [0, 1]) pool.setOwner(block, ORPHAN, r);
    const { headsOffset, headsPerBlock } = pool.view.geometry;
    pool.putData(block + headsOffset, new Uint8Array(LOG_HEAD_BYTES * headsPerBlock));
    expect(pool.kinds()).toEqual([]);
    pool.change(block, (cid) => cid + 1, [1]);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'block-header', where: `block ${block}` });
  });

  it('is walked to the last byte, as the progress says', () => {
    const pool = new SamplePool({ nodes: 3, groupsPerSubtable: 13 }).fill();
    const done: number[] = [];
    pool.check({ onProgress: (bytes) => done.push(bytes) });
    expect(done.at(-1)).toBe(3 * pool.view.geometry.nodeBytes);
    expect(done).toEqual([...done].sort((a, b) => a - b));
  });
});

describe('a node that does not answer', () => {
  it('ends the walk with an error: its memory cannot be accounted for', () => {
    const pool = new SamplePool().fill();
    const fabric = new MemoryFabric(pool.nodes, { localBytes: WALK_BYTES });
    fabric.cutLink(1, true);
    const walk = () => runOp(fabric, checkPool({ view: pool.view, local: fabric.local, depth: 'bytes' }));
    expect(walk).toThrow(FabricError);
    expect(walk).toThrow();
  });
});
