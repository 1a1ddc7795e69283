import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { RequestKind, type RequestStream, workloadNames, workloadSpec } from '../../workloads/index.js';
import { buildStreams, type ClientStreams, readBackStreams } from './client-streams.js';
import type { ClientPlan } from './messages.js';

const folder = mkdtempSync(join(tmpdir(), 'fusee-streams-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CLIENTS = 3;
const COROUTINES = 2;
const RECORDS = 100;

const plan = (name: string, changes: Partial<ClientPlan> = {}): ClientPlan => ({
  pool: 'none',
  clientIndex: 0,
  clients: CLIENTS,
  coroutines: COROUTINES,
  rttNs: 0,
  workload: { name, ...(name === 'mix' ? { searchRatio: 0.5 } : {}) },
  flavour: 'ycsb-java',
  seed: 1,
  records: RECORDS,
  requests: 60,
  valueBytes: 100,
  ...changes,
});

const allClients = (name: string, changes: Partial<ClientPlan> = {}): Promise<ClientStreams[]> =>
  Promise.all(
    Array.from({ length: CLIENTS }, (_, clientIndex) =>
      buildStreams(plan(name, { ...changes, clientIndex })),
    ),
  );

const keysOf = (streams: readonly RequestStream[], kind?: RequestKind): number[] =>
  streams.flatMap((s) => [...s.keys].filter((_, i) => kind === undefined || s.kinds[i] === kind));

/** Keys that streams name, but not those that only a rank from the newest names. */
const named = (streams: readonly RequestStream[]): number[] =>
  streams.flatMap((s) => [...s.keys].filter((_, i) => s.fromLatest[i] === 0));

const generated = workloadNames.filter((name) => name !== 'trace');

describe.each(generated)('the streams of %s', (name) => {
  it('are the same for the same plan, and differ by seed and by client', async () => {
    const [a, b] = [await buildStreams(plan(name)), await buildStreams(plan(name))];
    expect(a.hash).toBe(b.hash);
    expect(a.measured.map((s) => s.length)).toEqual([30, 30]);
    const all = await allClients(name);
    expect(new Set(all.map((s) => s.hash)).size).toBe(CLIENTS);
    // Where nothing is drawn, the seed has nothing to say.
    const isDrawn = workloadSpec(name, plan(name).workload).distribution !== 'sequential';
    const other = await buildStreams(plan(name, { seed: 2 }));
    expect(other.hash !== a.hash).toBe(isDrawn);
  });

  it('load every key once over all clients before they use it, and insert each key once', async () => {
    const all = await allClients(name);
    const loaded = all.flatMap((s) => keysOf(s.load));
    expect(new Set(loaded).size).toBe(loaded.length);
    const { keySpace, shares } = workloadSpec(name, plan(name).workload);
    if (keySpace === 'shared') expect(loaded.sort((a, b) => a - b)).toEqual([...Array(RECORDS).keys()]);
    const inserted = all.flatMap((s) => keysOf(s.measured, RequestKind.INSERT));
    expect(new Set([...loaded, ...inserted]).size).toBe(loaded.length + inserted.length);
    expect(inserted.length > 0).toBe(shares.insert > 0);
    const present = new Set([...loaded, ...inserted]);
    for (const { measured } of all) for (const key of named(measured)) expect(present.has(key)).toBe(true);
  });

  it('name keys that the client knows by name', async () => {
    for (const { load, measured, keys } of await allClients(name)) {
      for (const key of [...keysOf(load), ...named(measured)]) {
        expect(keys.rowOf(key)).toBeGreaterThanOrEqual(0);
        expect(keys.lengths[keys.rowOf(key)]).toBeGreaterThan(4);
      }
    }
  });

  it('are read back with what was inserted, each key once over all clients; not after DELETEs', async () => {
    const all = await allClients(name);
    const isDeleting = workloadSpec(name, plan(name).workload).shares.remove > 0;
    const read: number[] = [];
    const expected: number[] = [];
    for (const [clientIndex, streams] of all.entries()) {
      const inserted = Float64Array.from(keysOf(streams.measured, RequestKind.INSERT));
      const back = readBackStreams(plan(name, { clientIndex }), streams, inserted);
      expect(back === null).toBe(isDeleting);
      for (const s of back ?? []) expect([...s.kinds].every((k) => k === RequestKind.SEARCH)).toBe(true);
      read.push(...keysOf(back ?? []));
      expected.push(...keysOf(streams.load), ...inserted);
    }
    if (!isDeleting) expect(read.sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
  });
});

describe('micro workloads', () => {
  it('work on keys of the coroutine alone; DELETE has one for each request', async () => {
    for (const name of ['micro-update', 'micro-search', 'micro-delete']) {
      const all = await allClients(name);
      const coroutines = all.flatMap((s) => s.load.map((load, c) => [load, s.measured[c]] as const));
      for (const [load, measured] of coroutines) {
        const own = new Set(load.keys);
        expect([...measured.keys].every((key) => own.has(key))).toBe(true);
        if (name === 'micro-delete') expect(new Set(measured.keys).size).toBe(measured.length);
      }
    }
  });

  it('need no records of their own', async () => {
    const streams = await buildStreams(plan('micro-update', { records: 1 }));
    expect(streams.load.map((s) => s.length)).toEqual([1, 1]);
  });
});

it('fewer records than clients leave some clients nothing to load', async () => {
  const all = await allClients('ycsb-c', { records: 2 });
  expect(all.flatMap((s) => keysOf(s.load)).sort()).toEqual([0, 1]);
});

it('workload D knows which key is the newest, the others do not ask', async () => {
  for (const name of generated) {
    const { frontier } = await buildStreams(plan(name));
    expect(frontier !== null).toBe(name === 'ycsb-d');
  }
});

describe('a trace', () => {
  const tracePath = join(folder, 'trace.txt');
  const lines = ['GET a', 'PUT b 300', 'UPDATE c 40', 'GET b', 'INSERT d', 'PUT b 301', 'GET c', 'GET a'];
  writeFileSync(tracePath, `${lines.join('\n')}\n`);
  const workload = { name: 'trace', tracePath };

  it('is dealt to all coroutines; keys that it reads first are loaded, with their sizes', async () => {
    const all = await allClients('trace', { workload });
    const measured = all.flatMap((s) => s.measured);
    expect(measured.reduce((sum, s) => sum + s.length, 0)).toBe(lines.length);
    const { keys } = all[0];
    const nameOf = (key: number): string => {
      const from = keys.wordOffsetOf(keys.rowOf(key)) * 4;
      return Buffer.from(keys.bytes.subarray(from, from + keys.lengths[keys.rowOf(key)])).toString();
    };
    const loads = all.flatMap((s) =>
      s.load.flatMap((l) => [...l.keys].map((k, i) => [nameOf(k), l.valueSizes?.[i]])),
    );
    expect(loads.sort()).toEqual([
      ['a', 100],
      ['c', 40],
    ]);
  });

  it('reads back what it loaded and what it added, however often it was added', async () => {
    const one = plan('trace', { workload, clients: 1, coroutines: 1 });
    const streams = await buildStreams(one);
    const added = Float64Array.from(
      [...streams.measured[0].keys].filter((_, i) =>
        ([RequestKind.PUT, RequestKind.INSERT] as number[]).includes(streams.measured[0].kinds[i]),
      ),
    );
    expect(added.length).toBe(3);
    const back = readBackStreams(one, streams, added);
    expect(keysOf(back ?? []).length).toBe(4);
  });

  it('with DELETEs is not read back: nobody knows which keys are left', async () => {
    const path = join(folder, 'deletes.txt');
    writeFileSync(path, 'PUT a\nDELETE a\n');
    const one = plan('trace', { workload: { name: 'trace', tracePath: path }, clients: 1, coroutines: 1 });
    const streams = await buildStreams(one);
    expect(readBackStreams(one, streams, new Float64Array(0))).toBe(null);
  });

  it('of one that joins later load nothing, and insert keys that nobody else does', async () => {
    const all = [
      ...(await allClients('ycsb-d')),
      await buildStreams(plan('ycsb-d', { clientIndex: CLIENTS })),
    ];
    expect(keysOf(all[CLIENTS].load)).toEqual([]);
    const inserted = all.map(({ measured }) => keysOf(measured, RequestKind.INSERT));
    expect(inserted[CLIENTS].length).toBeGreaterThan(0);
    expect(new Set(inserted.flat()).size).toBe(inserted.flat().length);
    expect(all[CLIENTS].hash).not.toBe(all[0].hash);
  });
});
