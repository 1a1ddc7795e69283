import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../fabric/memory.js';
import { LINE_BYTES, LogField } from '../layout/index.js';
import { FabricError } from '../verbs/index.js';
import { checkPool } from './check-pool.js';
import { WALK_BYTES } from './reader.js';
import { runOp, SamplePool } from './sample-pool.js';

const SHAPES = [
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
    // 40 keys, 8 of them deleted.
    expect(index).toMatchObject({ live: 32, tombstones: 8, splits: 0, loadFactor: 32 / index.slots });
    const cells = (of: 'live' | 'tombstones' | 'free' | 'awaiting'): number =>
      nodes.reduce((sum, { classes }) => sum + classes.reduce((n, c) => n + c[of], 0), 0);
    const { dataReplicas } = pool.config;
    expect(['live', 'tombstones', 'free', 'awaiting'].map((of) => cells(of as 'live'))).toEqual([
      32 * dataReplicas,
      8 * dataReplicas,
      0,
      0,
    ]);
  });

  it('gives garbage to what was replaced and deleted, and to nothing else', () => {
    const pool = new SamplePool();
    const [client] = pool.clients;
    client.insert('k', 'x'.repeat(100));
    client.update('k', 'y'.repeat(100));
    client.update('nobody', 'z'.repeat(100));
    const sum = (category: 'live' | 'garbage' | 'tombstone'): number =>
      pool.check().nodes.reduce((n, { bytes }) => n + (bytes?.[category] ?? 0), 0);
    // Each cell of 192 bytes is on two nodes; the second UPDATE's object waits to be written over.
    expect([sum('live'), sum('garbage'), sum('tombstone')]).toEqual([384, 768, 0]);
    client.delete('k');
    expect([sum('live'), sum('garbage'), sum('tombstone')]).toEqual([0, 1152, 128]);
    expect(pool.kinds()).toEqual([]);
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

  it('tells cells whose free bit is set: awaiting grace with their used bit, free without it', () => {
    const pool = new SamplePool();
    const [client] = pool.clients;
    client.insert('k', 'x');
    const { cell } = pool.find('k');
    client.update('k', 'y');
    pool.setFreeBit(cell);
    const counts = (depth: 'bytes' | 'words') => {
      const { nodes, findings } = pool.check({ depth });
      const [{ awaiting, free }] = nodes.flatMap(({ classes }) => classes);
      return { awaiting, free, findings };
    };
    expect(counts('bytes')).toEqual({ awaiting: 1, free: 0, findings: [] });
    expect(counts('words')).toEqual({ awaiting: 1, free: 0, findings: [] });
    pool.change(cell + LINE_BYTES + LogField.OPERATION, (byte) => byte & ~1);
    expect(counts('bytes')).toEqual({ awaiting: 0, free: 1, findings: [] });
    expect(counts('words')).toEqual({ awaiting: 0, free: 1, findings: [] });
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
