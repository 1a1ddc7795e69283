import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { LatestFrontier } from './latest-frontier.js';
import { RequestKind } from './requests.js';
import { workloadSpec } from './spec.js';
import { generateStream } from './streams.js';

describe('LatestFrontier', () => {
  it('counts down the loaded keys before any insert', () => {
    const frontier = new LatestFrontier({ recordCount: 10, insertCapacity: 4 });
    expect([0, 1, 8, 9].map((rank) => frontier.keyOf(rank))).toEqual([9, 8, 1, 0]);
  });

  it('puts acknowledged inserts first, the newest at rank 0, whichever stride they are of', () => {
    const frontier = new LatestFrontier({ recordCount: 10, insertCapacity: 4 });
    for (const key of [5000, 900, 5001]) expect(frontier.acknowledge(key)).toBe(true);
    expect(frontier.acknowledgedCount).toBe(3);
    expect([0, 1, 2, 3, 4, 12].map((rank) => frontier.keyOf(rank))).toEqual([5001, 900, 5000, 9, 8, 0]);
  });

  it('gives key 0 for ranks that failed inserts left without a key', () => {
    expect(new LatestFrontier({ recordCount: 10, insertCapacity: 0 }).keyOf(25)).toBe(0);
  });

  it('ignores acknowledgements beyond its capacity and says so', () => {
    const frontier = new LatestFrontier({ recordCount: 10, insertCapacity: 1 });
    expect(frontier.acknowledge(100)).toBe(true);
    expect(frontier.acknowledge(101)).toBe(false);
    expect(frontier.keyOf(0)).toBe(100);
  });

  it("has room for all inserts of a client's streams, and resolves each rank to a key that exists", () => {
    const recordCount = 100;
    const streams = [0, 1].map((coroutine) =>
      generateStream(workloadSpec('ycsb-d'), {
        recordCount,
        requestCount: 2000,
        flavour: 'ycsb-java',
        seed: 1,
        host: 0,
        process: 0,
        coroutine,
        clientIndex: 0,
        clientCount: 1,
      }),
    );
    const frontier = LatestFrontier.forStreams(recordCount, streams);
    const present = new Set(Array.from({ length: recordCount }, (_, i) => i));
    for (let i = 0; i < 2000; i++) {
      for (const stream of streams) {
        if (stream.kinds[i] === RequestKind.INSERT) {
          expect(frontier.acknowledge(stream.keys[i])).toBe(true);
          present.add(stream.keys[i]);
        } else {
          expect(stream.fromLatest[i]).toBe(1);
          expect(present.has(frontier.keyOf(stream.keys[i]))).toBe(true);
        }
      }
    }
    expect(frontier.acknowledge(1)).toBe(false);
  });

  it('refuses a store without two keys, and capacities out of range', () => {
    expect(() => new LatestFrontier({ recordCount: 1, insertCapacity: 1 })).toThrow(
      'a newest key and one before it',
    );
    expect(() => new LatestFrontier({ recordCount: 2, insertCapacity: -1 })).toThrow(WorkloadError);
  });
});
