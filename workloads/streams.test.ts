import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';
import { flavours } from './distributions.js';
import { WorkloadError } from './errors.js';
import { strideKeyCount, strideOf } from './key-space.js';
import { RequestKind, type RequestStream, requestCountMax } from './requests.js';
import { workloadSpec } from './spec.js';
import { generateStream, type StreamOptions } from './streams.js';

const base: StreamOptions = {
  recordCount: 1000,
  requestCount: 20_000,
  flavour: 'ycsb-java',
  seed: 1,
  host: 0,
  process: 0,
  coroutine: 0,
  clientIndex: 0,
  clientCount: 4,
};

function stream(name: string, options: Partial<StreamOptions> = {}): RequestStream {
  const searchRatio = name === 'mix' ? 0.3 : undefined;
  return generateStream(workloadSpec(name, { searchRatio }), { ...base, ...options });
}

function kindCounts({ kinds }: RequestStream): number[] {
  const counts = [0, 0, 0, 0, 0, 0];
  for (const kind of kinds) counts[kind]++;
  return counts;
}

describe('the streams of YCSB and mix', () => {
  it.each([
    ['ycsb-a', [0.5, 0, 0.5, 0, 0, 0]],
    ['ycsb-b', [0.95, 0, 0.05, 0, 0, 0]],
    ['ycsb-d', [0.95, 0.05, 0, 0, 0, 0]],
    ['ycsb-f', [0.5, 0, 0, 0, 0, 0.5]],
    ['mix', [0.3, 0, 0.7, 0, 0, 0]],
  ])('%s has its shares of kinds', (name, shares) => {
    const counts = kindCounts(stream(name));
    const present = shares.flatMap((share, kind) => (share > 0 ? [kind] : []));
    expect(counts.filter((count, kind) => count > 0 && !present.includes(kind))).toEqual([]);
    const deviation = chiSquareDeviation(
      present.map((kind) => counts[kind]),
      present.map((kind) => shares[kind]),
    );
    expect(deviation).toBeLessThan(4);
  });

  it('ycsb-c has SEARCH only', () => {
    expect(kindCounts(stream('ycsb-c'))).toEqual([20_000, 0, 0, 0, 0, 0]);
  });

  it.each(flavours)('of flavour %s use loaded keys only, and 1000 bytes a value unless told', (flavour) => {
    const made = stream('ycsb-a', { flavour });
    expect(made.keys.every((key) => Number.isInteger(key) && key >= 0 && key < 1000)).toBe(true);
    expect(made.fromLatest.every((flag) => flag === 0)).toBe(true);
    expect(made.valueBytes).toBe(1000);
    expect(stream('ycsb-a', { flavour, valueBytes: 256 }).valueBytes).toBe(256);
  });

  it('gives one seed the same stream and the same hash every time', () => {
    expect(stream('ycsb-a').hash).toBe(stream('ycsb-a').hash);
    expect(stream('ycsb-a', { requestCount: 100 }).hash).toMatch(/^[0-9a-f]{64}$/);
  });

  it('differs for every seed, host, process, coroutine, flavour and skew', () => {
    const variants: Partial<StreamOptions>[] = [
      {},
      { seed: 2 },
      { host: 1 },
      { process: 1 },
      { coroutine: 1 },
      { flavour: 'ycsb-c' },
      { flavour: 'exact' },
      { theta: 0.5 },
      { requestCount: 19_999 },
    ];
    expect(new Set(variants.map((variant) => stream('ycsb-a', variant).hash)).size).toBe(variants.length);
  });

  it('of mix can be uniform', () => {
    const spec = workloadSpec('mix', { searchRatio: 0.5, distribution: 'uniform' });
    const { keys } = generateStream(spec, { ...base, recordCount: 50 });
    const counts = new Uint32Array(50);
    for (const key of keys) counts[key]++;
    expect(chiSquareDeviation(counts, new Float64Array(50).fill(1 / 50))).toBeLessThan(4);
  });
});

describe('the stream of ycsb-d', () => {
  it('inserts up its own stride and reads ranks below the count of keys at that place', () => {
    const made = stream('ycsb-d', { clientIndex: 2, coroutine: 3 });
    const { first } = strideOf({ recordCount: 1000, clientIndex: 2, coroutine: 3 });
    let inserted = 0;
    for (let i = 0; i < made.length; i++) {
      if (made.kinds[i] === RequestKind.INSERT) {
        expect(made.keys[i]).toBe(first + inserted++);
        expect(made.fromLatest[i]).toBe(0);
      } else {
        expect(made.fromLatest[i]).toBe(1);
        expect(made.keys[i]).toBeLessThan(1000 + inserted - 1);
      }
    }
    expect(inserted).toBeGreaterThan(800);
  });

  it('draws ranks over the grown count: eta with its defect loses rank 2 by the end', () => {
    const lateRank2 = (flavour: StreamOptions['flavour']): number => {
      const made = stream('ycsb-d', { flavour, requestCount: 200_000 });
      return made.keys.subarray(150_000).filter((rank, i) => made.fromLatest[150_000 + i] === 1 && rank === 2)
        .length;
    };
    expect(lateRank2('ycsb-java-bug')).toBe(0);
    expect(lateRank2('ycsb-java')).toBeGreaterThan(500);
    expect(lateRank2('exact')).toBeGreaterThan(500);
  });

  it('never inserts a key of another client, another coroutine or an earlier phase', () => {
    const seen = new Set<number>();
    let inserts = 0;
    const collect = (options: Partial<StreamOptions>): void => {
      const made = stream('ycsb-d', options);
      for (let i = 0; i < made.length; i++) {
        if (made.kinds[i] !== RequestKind.INSERT) continue;
        seen.add(made.keys[i]);
        inserts++;
      }
    };
    for (let clientIndex = 0; clientIndex < 4; clientIndex++) {
      for (const coroutine of [0, 1, 63]) {
        collect({ clientIndex, coroutine });
        collect({ clientIndex, coroutine, insertedBefore: 20_000, seed: 9 });
      }
    }
    expect(seen.size).toBe(inserts);
  });
});

describe('the micro streams', () => {
  const first = strideOf({ recordCount: 1000, clientIndex: 1, coroutine: 2 }).first;
  const mine = { clientIndex: 1, coroutine: 2 };

  it('INSERT goes up the stride, after the keys of earlier phases', () => {
    const made = stream('micro-insert', { ...mine, requestCount: 5, insertedBefore: 7 });
    expect([...made.keys]).toEqual([7, 8, 9, 10, 11].map((i) => first + i));
    expect(kindCounts(made)[RequestKind.INSERT]).toBe(5);
  });

  it('UPDATE and SEARCH go round the keys inserted before and not deleted', () => {
    const update = stream('micro-update', { ...mine, requestCount: 5, insertedBefore: 5, deletedBefore: 2 });
    expect([...update.keys]).toEqual([2, 3, 4, 2, 3].map((i) => first + i));
    expect(kindCounts(update)[RequestKind.UPDATE]).toBe(5);
    const search = stream('micro-search', { ...mine, requestCount: 3, insertedBefore: 2 });
    expect([...search.keys]).toEqual([0, 1, 0].map((i) => first + i));
    expect(kindCounts(search)[RequestKind.SEARCH]).toBe(3);
  });

  it('UPDATE and SEARCH can be uniform over those keys', () => {
    const spec = workloadSpec('micro-search', { distribution: 'uniform' });
    const { keys } = generateStream(spec, { ...base, ...mine, insertedBefore: 40 });
    const counts = new Uint32Array(40);
    for (const key of keys) counts[key - first]++;
    expect(chiSquareDeviation(counts, new Float64Array(40).fill(1 / 40))).toBeLessThan(4);
  });

  it('DELETE takes each key once', () => {
    const made = stream('micro-delete', {
      ...mine,
      requestCount: 100,
      insertedBefore: 120,
      deletedBefore: 20,
    });
    expect(new Set(made.keys).size).toBe(100);
    expect(Math.min(...made.keys)).toBe(first + 20);
    expect(kindCounts(made)[RequestKind.DELETE]).toBe(100);
  });

  it('need no loaded keys', () => {
    expect(stream('micro-insert', { recordCount: 0, requestCount: 3 }).length).toBe(3);
  });
});

describe('generateStream refuses', () => {
  it.each<[string, Partial<StreamOptions>, string]>([
    ['ycsb-a', { recordCount: 0 }, 'record count is 0'],
    ['ycsb-a', { recordCount: 2.5 }, 'record count is 2.5'],
    ['ycsb-a', { recordCount: 2 ** 36 }, `must be an integer from 1 to ${2 ** 36 - 1}`],
    ['ycsb-d', { recordCount: 1 }, 'a newest key and one before it'],
    ['ycsb-a', { requestCount: 0 }, 'request count is 0'],
    ['ycsb-a', { requestCount: requestCountMax + 1 }, 'can be played more than once'],
    ['ycsb-a', { flavour: 'java' as 'exact' }, "flavour 'java' is unknown; known: ycsb-java, ycsb-java-bug"],
    ['ycsb-a', { seed: -1 }, 'seed is -1'],
    ['ycsb-a', { host: 0.5 }, 'host is 0.5'],
    ['ycsb-a', { process: -1 }, 'process is -1'],
    ['ycsb-a', { coroutine: 64 }, 'coroutine is 64'],
    ['ycsb-a', { clientCount: 0 }, 'client count is 0'],
    ['ycsb-a', { clientIndex: 4 }, 'client index is 4'],
    ['ycsb-a', { valueBytes: 0 }, 'value size in bytes is 0'],
    ['ycsb-a', { theta: 1 }, 'theta is 1'],
    ['micro-update', {}, 'needs 1 keys inserted by this coroutine, and there are 0'],
    ['micro-search', { insertedBefore: 3, deletedBefore: 3 }, 'run micro-insert first'],
    ['micro-delete', { requestCount: 11, insertedBefore: 10 }, 'each key is deleted once'],
    ['micro-update', { insertedBefore: 2, deletedBefore: 3 }, 'only inserted keys can have been deleted'],
    ['micro-insert', { insertedBefore: strideKeyCount + 1 }, 'count of keys inserted before'],
    ['micro-insert', { insertedBefore: strideKeyCount - 5 }, `at most ${strideKeyCount} keys in one run`],
    ['ycsb-d', { insertedBefore: strideKeyCount }, 'spread it over more coroutines'],
    ['trace', {}, 'read its file with readTrace'],
  ])('%s with %o', (name, options, message) => {
    expect(() => stream(name, options)).toThrow(WorkloadError);
    expect(() => stream(name, options)).toThrow(message);
  });
});
