import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../fusee/verbs/index.js';
import { type BenchOptions, planBench } from './plan-bench.js';

const folder = mkdtempSync(join(tmpdir(), 'fusee-plan-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));
const tracePath = join(folder, 'trace.txt');
writeFileSync(tracePath, 'GET a\nPUT b\n');

const roomy = { shm: 2 ** 40, memory: 2 ** 40 };
const options = (changes: Partial<BenchOptions> = {}): BenchOptions => ({
  workloads: ['ycsb-a'],
  flavour: 'ycsb-java',
  clients: 2,
  coroutines: 4,
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  kvBytes: 1024,
  records: 1000,
  requests: 1000,
  secondsMax: 10,
  warmupMs: 0,
  rttNs: 0,
  seed: 1,
  repetitions: 1,
  out: folder,
  figures: false,
  ...changes,
});

describe('a bench', () => {
  it('is a cell per workload and repetition, each with a seed of its own', async () => {
    const cells = await planBench(
      options({ workloads: ['ycsb-a', 'ycsb-d'], repetitions: 3, seed: 7 }),
      roomy,
    );
    expect(cells.map((c) => [c.name, c.repetition, c.plan.clients[0].seed])).toEqual(
      ['ycsb-a', 'ycsb-d'].flatMap((name) => [0, 1, 2].map((i) => [name, i, 7 + i])),
    );
    expect(cells[0].plan.clients.map((c) => [c.clientIndex, c.requests, c.valueBytes])).toEqual([
      [0, 500, 1000],
      [1, 500, 1000],
    ]);
  });

  it('gives the search ratio to mix alone, and the trace to all', async () => {
    const cells = await planBench(
      options({ workloads: ['ycsb-c', 'mix'], searchRatio: 0.25, clients: 1 }),
      roomy,
    );
    expect(cells.map((c) => c.plan.clients[0].workload)).toEqual([
      { name: 'ycsb-c' },
      { name: 'mix', searchRatio: 0.25 },
    ]);
    const [cell] = await planBench(
      options({ workloads: ['trace'], tracePath, clients: 1, coroutines: 2 }),
      roomy,
    );
    expect(cell.plan.clients[0].workload).toEqual({ name: 'trace', tracePath });
  });
});

describe('a bench is refused, with the value, the limit and the way out, for', () => {
  it.each<[string, Partial<BenchOptions>, string | RegExp]>([
    ['no clients', { clients: 0 }, 'clients is 0; choose a whole number from 1 to 64'],
    ['too many clients', { clients: 65, requests: 1e6 }, 'clients is 65; choose a whole number from 1 to 64'],
    ['no coroutines', { coroutines: 0 }, 'coroutines is 0; choose a whole number from 1 to 64'],
    ['no records', { records: 0 }, 'records is 0; choose a whole number from 1'],
    ['too many records', { records: 1e9 }, 'records is 1000000000; choose a whole number from 1 to 67108864'],
    ['too few requests', { requests: 7 }, 'requests is 7; 2 clients with 4 coroutines each need at least 8'],
    ['too many requests', { requests: 1e10 }, 'requests is 10000000000; choose a whole number from 8 to'],
    ['no repeats', { repetitions: 0 }, 'repeats is 0; choose a whole number from 1 to 1000'],
    ['a seed beyond 32 bits', { seed: 2 ** 32 }, 'seed is 4294967296; choose a whole number from 0 to'],
    ['an empty window', { secondsMax: 0 }, 'the window is 0 s; choose 0.001 to 86400 s'],
    ['an endless warm-up', { warmupMs: 1e9 }, 'the warm-up is 1000000000 ms; choose 0 to 3600000 ms'],
    ['a long round trip', { rttNs: 1e9 }, 'the round trip is 1000000000 ns; choose 0 to 100000000 ns'],
    [
      'a huge cache',
      { cacheBytes: 2 ** 40 },
      'the cache size is 1099511627776; choose a whole number from 0',
    ],
    ['no KV', { kvBytes: 24 }, 'the KV size is 24 bytes; choose one from 25 to 16290 bytes'],
    [
      'a value over the largest class',
      { kvBytes: 16291 },
      'the KV size is 16291 bytes; choose one from 25 to',
    ],
    ['no folder', { out: '' }, 'the folder of all runs has no name; give one with --out'],
    ['an unknown flavour', { flavour: 'mild' }, /^flavour 'mild' is unknown; choose one of ycsb-java, /],
    ['no workload', { workloads: [] }, 'no workload was named; choose for example ycsb-a'],
    ['an unknown workload', { workloads: ['ycsb-z'] }, /^workload 'ycsb-z' is unknown; known: ycsb-a, /],
    [
      'YCSB E',
      { workloads: ['ycsb-e'] },
      /^workload 'ycsb-e' scans ranges of keys, and a hash index has none|no scans/,
    ],
    [
      'a workload twice',
      { workloads: ['ycsb-a', 'ycsb-a'] },
      "workload 'ycsb-a' is named twice; name it once",
    ],
    [
      'mix without its ratio',
      { workloads: ['mix'] },
      "workload 'mix' needs its share of SEARCH; give it with",
    ],
    [
      'a ratio without mix',
      { searchRatio: 0.5 },
      '--search-ratio 0.5 is given, but not the workload mix; add',
    ],
    [
      'trace without a file',
      { workloads: ['trace'] },
      "workload 'trace' replays a file; name it with --trace",
    ],
    ['a file without trace', { tracePath: 'f' }, '--trace f is given, but not the workload trace; add'],
    ['a missing file', { workloads: ['trace'], tracePath: 'none' }, /^trace none cannot be read: ENOENT/],
    [
      'a short trace',
      { workloads: ['trace'], tracePath },
      /has 2 requests; 2 clients .* need at least 8: use fewer/,
    ],
    ['one record of D', { workloads: ['ycsb-d'], records: 1 }, 'records is 1; ycsb-d needs a newest key'],
    [
      'more replicas than nodes',
      { indexReplicas: 4 },
      'index replicas is 4 but the pool has 3 nodes; use more',
    ],
    [
      'more keys than a stride has',
      { workloads: ['micro-insert'], requests: 2 ** 27, clients: 1, coroutines: 2 },
      /^requests is 134217728, 67108864 for each coroutine; in micro-insert one has 16777216 keys: use fewer/,
    ],
  ])('%s', async (_, changes, message) => {
    const refused = planBench(options(changes), roomy);
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(message);
  });

  it('too little shared memory, computed before anything starts', async () => {
    const refused = planBench(options({ records: 1e6 }), { shm: 1 << 30, memory: 2 ** 40 });
    await expect(refused).rejects.toThrow(
      /^the pool needs 2\d{3} MiB of shared memory \(3 nodes of \d+ MiB\), 960 MiB/,
    );
  });

  it('streams that clients could not hold', async () => {
    const changes = { workloads: ['ycsb-c'], requests: 1e8, records: 1000 };
    await expect(planBench(options(changes), { shm: 2 ** 40, memory: 1 << 30 })).rejects.toThrow(
      /MiB for clients are needed, 960 MiB of memory are free/,
    );
  });
});

describe('a bench whose clients come and go', () => {
  const timeline = [
    { at: '1s', join: 2 },
    { at: '2s', kill: 'client 3' },
  ];
  // Nobody numbered 3 is there at the start.
  it('is refused when its timeline names who is not there', async () => {
    await expect(planBench(options({ timeline }), roomy)).rejects.toThrow('there is no client 3');
  });

  it('has a plan for each that joins, and a pool for all that are there at a time', async () => {
    const joins = [{ every: '1s', kill: 'random client', replace: true }, timeline[0]];
    const [{ plan }] = await planBench(options({ timeline: joins }), roomy);
    expect(plan.joiners?.map(({ clientIndex, clients }) => [clientIndex, clients])).toEqual(
      Array.from({ length: 12 }, (_, i) => [2 + i, 2]),
    );
    // Who is killed says what it has counted; the last one is not.
    expect(plan.joiners?.filter(({ faults }) => faults?.mayDie).length).toBeGreaterThan(5);
    const [{ plan: without }] = await planBench(options(), roomy);
    const bytes = ({ config }: typeof plan): number => config.regionsPerNode * config.regionBytes;
    expect(bytes(plan)).toBeGreaterThan(bytes(without));
  });

  it('works on keys that clients share', async () => {
    const private_ = options({ workloads: ['micro-update'], timeline: [timeline[0]] });
    await expect(planBench(private_, roomy)).rejects.toThrow('who would have no keys in the workload micro');
  });

  it('plays requests again only where that works', async () => {
    const [{ plan }] = await planBench(options({ loops: true }), roomy);
    expect(plan.clients.every(({ loops }) => loops === true)).toBe(true);
    await expect(planBench(options({ loops: true, workloads: ['ycsb-d'] }), roomy)).rejects.toThrow(
      '--loop plays requests again, but ycsb-d inserts',
    );
    await expect(planBench(options({ loops: true, verify: true }), roomy)).rejects.toThrow(
      'only with --faults',
    );
  });
});
