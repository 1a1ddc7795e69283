import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { classOfLines, Geometry, MAX_PAYLOAD_BYTES, objectLines } from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { RequestKind, readTrace, workloadNames } from '../../workloads/index.js';
import { buildStreams } from './client-streams.js';
import {
  availableBytes,
  type CellSize,
  indexOf,
  planPool,
  requireRoom,
  traceDemand,
  valueBytesOf,
} from './plan.js';

const folder = mkdtempSync(join(tmpdir(), 'fusee-plan-'));
afterAll(() => rmSync(folder, { recursive: true }));

const size = (changes: Partial<CellSize> = {}): CellSize => ({
  workload: 'ycsb-a',
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  clients: 4,
  coroutines: 8,
  records: 1000,
  requests: 4000,
  kvBytes: 1024,
  ...changes,
});

/** Blocks that a cell takes in truth: its streams are made, and each client carves its own blocks. */
async function blocksTaken(s: CellSize, geometry: Geometry): Promise<{ blocks: number; keys: number }> {
  let blocks = 0;
  let keys = 0;
  for (let clientIndex = 0; clientIndex < s.clients; clientIndex++) {
    const streams = await buildStreams({
      pool: 'none',
      clientIndex,
      clients: s.clients,
      coroutines: s.coroutines,
      rttNs: 0,
      workload: { name: s.workload, ...(s.searchRatio === undefined ? {} : { searchRatio: s.searchRatio }) },
      flavour: 'ycsb-java',
      seed: 1,
      records: s.records,
      requests: Math.floor(s.requests / s.clients),
      valueBytes: valueBytesOf(s.kvBytes),
    });
    const objects = new Map<number, number>();
    for (const stream of [...streams.load, ...streams.measured]) {
      for (let i = 0; i < stream.length; i++) {
        if (stream.kinds[i] === RequestKind.SEARCH) continue;
        if (stream.kinds[i] === RequestKind.INSERT) keys++;
        const keyBytes = streams.keys.lengths[streams.keys.rowOf(stream.keys[i])];
        const valueBytes = stream.kinds[i] === RequestKind.DELETE ? 0 : stream.valueBytes;
        const sizeClass = classOfLines(objectLines(keyBytes, valueBytes));
        objects.set(sizeClass, (objects.get(sizeClass) ?? 0) + 1);
      }
    }
    // Every coroutine holds the cell after its current one too.
    for (const [sizeClass, count] of objects)
      blocks += Math.ceil((count + s.coroutines) / geometry.cellsPerBlock(sizeClass));
  }
  return { blocks, keys };
}

const generated = workloadNames.filter((name) => name !== 'trace');

describe('a planned pool', () => {
  const sizes: [string, Partial<CellSize>][] = [
    ['usual', {}],
    ['one of everything', { clients: 1, coroutines: 1, nodes: 1, records: 2, requests: 1 }],
    ['many clients, few requests', { clients: 16, coroutines: 16, requests: 256, records: 10 }],
    ['small values', { kvBytes: 25 }],
    ['the largest values', { kvBytes: MAX_PAYLOAD_BYTES, records: 300, requests: 600 }],
    ['values at the edge of a class', { kvBytes: 16 * 64 - 30 }],
    ['many nodes', { nodes: 8 }],
  ];
  for (const [what, changes] of sizes) {
    it.each(generated)(`holds all that %s writes: ${what}`, async (workload) => {
      for (const replicas of [1, 2, 3]) {
        if (replicas > (changes.nodes ?? 3)) continue;
        const ratio = workload === 'mix' ? { searchRatio: 0 } : {};
        const s = size({ ...changes, workload, ...ratio, indexReplicas: replicas, dataReplicas: replicas });
        const config = planPool(s);
        const geometry = new Geometry(config);
        const { blocks, keys } = await blocksTaken(s, geometry);
        // The traffic of a cell gets none of what is set aside for DELETEs.
        const perNode = config.regionsPerNode * geometry.blocksPerRegion - geometry.reservedPerNode;
        expect(config.nodes * perNode).toBeGreaterThanOrEqual(blocks);
        expect(geometry.config.subtables * geometry.subtableSlots * 0.56).toBeGreaterThanOrEqual(keys);
        expect([config.indexReplicas, config.dataReplicas]).toEqual([replicas, replicas]);
      }
    });
  }

  it('takes no large regions for a small cell', () => {
    const config = planPool(size({ clients: 1, coroutines: 1, records: 100, requests: 100 }));
    expect(new Geometry(config).nodeBytes * 3).toBeLessThan(32 << 20);
  });

  it.each([1, 1e3, 1e6, 6e6, 1e7, 1e8])('has an index for %d keys, no more than 56 %% full', (keys) => {
    const geometry = new Geometry({ ...planPool(size()), ...indexOf(keys) });
    expect(geometry.config.subtables * geometry.subtableSlots * 0.56).toBeGreaterThanOrEqual(keys);
  });

  it.each([
    [{ indexReplicas: 4 }, 'index replicas is 4 but the pool has 3 nodes; use more nodes or fewer replicas'],
    [{ dataReplicas: 4 }, 'data replicas is 4 but the pool has 3 nodes'],
    [{ indexReplicas: 0 }, 'index replicas is 0; it must be 1 to 8'],
    [{ nodes: 0 }, 'nodes is 0; a pool has 1 to 64'],
    [{ nodes: 65 }, 'nodes is 65'],
  ])('is refused for %j', (changes, message) => {
    expect(() => planPool(size(changes))).toThrow(UsageError);
    expect(() => planPool(size(changes))).toThrow(message);
  });
});

describe('the KV size', () => {
  it.each([
    [25, 1],
    [1024, 1000],
    [MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES - 24],
  ])('of %i bytes leaves %i for the value', (kvBytes, valueBytes) => {
    expect(valueBytesOf(kvBytes)).toBe(valueBytes);
  });

  it.each([0, 24, MAX_PAYLOAD_BYTES + 1, 100.5, Number.NaN])(
    'of %d bytes is refused with the limits',
    (kvBytes) => {
      expect(() => valueBytesOf(kvBytes)).toThrow(
        `the KV size is ${kvBytes} bytes; choose one from 25 to ${MAX_PAYLOAD_BYTES} bytes`,
      );
    },
  );
});

describe('room', () => {
  const config = planPool(size());
  const need = new Geometry(config).nodeBytes * 3;
  const spare = 64 << 20;

  it('is enough when pool, clients and what is spared fit exactly', () => {
    const clientBytes = 1 << 20;
    const memory = need + clientBytes + spare;
    const fits = { shm: need + spare, memory };
    expect(() => requireRoom(config, { clientBytes, available: fits })).not.toThrow();
    const lacks = (available: { shm: number; memory: number }) => () =>
      requireRoom(config, { clientBytes, available });
    expect(lacks({ ...fits, shm: fits.shm - 1 })).toThrow(UsageError);
    expect(lacks({ ...fits, memory: memory - 1 })).toThrow(UsageError);
  });

  it('that lacks is refused with need, room and the way out', () => {
    const mib = need / 2 ** 20;
    expect(() => requireRoom(config, { available: { shm: 100 << 20, memory: 1e12 } })).toThrow(
      `the pool needs ${Math.ceil(mib)} MiB of shared memory (3 nodes of ${Math.ceil(mib / 3)} MiB), ` +
        '36 MiB of /dev/shm are free; use fewer records, requests, keys or replicas, or smaller values, ' +
        'or enlarge /dev/shm',
    );
    expect(() => requireRoom(config, { clientBytes: 1 << 20, available: { shm: 1e12, memory: 1 } })).toThrow(
      /MiB of shared memory .* and 1 MiB for clients are needed, 0 MiB of memory are free; use fewer/,
    );
  });

  it('for a single node counts that node alone', () => {
    const one = need / 3 + spare;
    expect(() => requireRoom(config, { nodes: 1, available: { shm: one, memory: one } })).not.toThrow();
    expect(() => requireRoom(config, { nodes: 1, available: { shm: one - 1, memory: one } })).toThrow(
      /^a node needs \d+ MiB of shared memory, \d+ MiB of/,
    );
  });

  it('is what the machine says by default', () => {
    const { shm, memory } = availableBytes();
    expect(shm).toBeGreaterThan(0);
    expect(memory).toBeGreaterThan(0);
  });
});

describe('a trace', () => {
  const trace = (lines: string[]) => {
    const path = join(folder, `${lines.length}-${lines[0].length}.txt`);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return readTrace(path, { valueBytes: 1000 });
  };

  it('is planned by the sizes on its lines, loads and log objects of DELETEs included', async () => {
    const demand = traceDemand(await trace(['GET a', 'PUT b 20', 'UPDATE c 5000', 'DELETE b', 'INSERT d']));
    expect(demand.keys).toBe(4);
    const expected = new Map<number, number>();
    const sizes = [1000, 5000, 20, 5000, 0, 1000];
    for (const bytes of [...sizes, 0]) {
      const sizeClass = classOfLines(objectLines(1, bytes));
      expected.set(sizeClass, (expected.get(sizeClass) ?? 0) + 1);
    }
    expect(new Map([...demand.objects].sort())).toEqual(new Map([...expected].sort()));
  });

  it.each([
    ['value', `PUT a ${MAX_PAYLOAD_BYTES}`],
    ['key', `GET ${'k'.repeat(MAX_PAYLOAD_BYTES + 1)}`],
  ])('with a %s that no object holds is refused, with both numbers', async (_, line) => {
    const t = await trace([line, 'GET b']);
    expect(() => traceDemand(t)).toThrow(UsageError);
    expect(() => traceDemand(t)).toThrow(
      /has a key of \d+ bytes with a value of \d+ bytes; an object holds \d+/,
    );
  });
});
