import { describe, expect, it } from 'vitest';
import {
  type CellBytes,
  cellFlatness,
  flatness,
  type MemorySample,
  median,
  mergeSeries,
  mergeSpans,
  quantile,
  throughput,
} from './summary.js';

const sample = (progress: number, ...blocks: number[]): MemorySample => ({ progress, blocks });

describe('flat memory', () => {
  it('is compared with what was in use when a tenth had been written, over all nodes', () => {
    const samples = [sample(0, 1, 1), sample(0.1, 50, 50), sample(0.5, 60, 45), sample(1, 40, 40)];
    expect(flatness(samples)).toMatchObject({ atWarm: 100, most: 105, isFlat: true, samples: 3 });
    expect(flatness([...samples, sample(1, 53, 53)])).toMatchObject({ most: 106, isFlat: false });
  });

  it('is not shown by fewer than two samples behind the warm-up', () => {
    expect(flatness([])).toMatchObject({ isFlat: false, samples: 0 });
    expect(flatness([sample(0.05, 10), sample(0.3, 10)])).toMatchObject({ isFlat: false, samples: 1 });
  });
});

describe('flat memory of a load in cycles', () => {
  it('is compared with the most of the first cycle', () => {
    const samples = [sample(0.1, 50), sample(0.3, 100), sample(0.4, 60), sample(0.8, 104), sample(1, 50)];
    expect(flatness(samples, 0.4)).toMatchObject({ atWarm: 100, most: 104, isFlat: true, samples: 3 });
    expect(flatness([...samples, sample(1, 106)], 0.4)).toMatchObject({ most: 106, isFlat: false });
  });
});

describe('flat cells', () => {
  const look = (progress: number, live: number, tombstones = 0): CellBytes => {
    return { progress, live, tombstones, awaiting: 7 };
  };
  const early = [look(0, 1), look(0.09, 900), look(0.1, 100), look(0.5, 90, 10)];

  it('are compared between the halves behind the warm-up, objects and tombstones, by their means', () => {
    const flat = cellFlatness([...early, look(0.6, 110), look(0.8, 60, 40), look(1, 105)]);
    expect(flat).toMatchObject({ first: 100, last: 105, isFlat: true, samples: 5 });
    expect(cellFlatness([...early, look(0.6, 106), look(1, 106)])).toMatchObject({ isFlat: false });
  });

  it('are not shown by fewer than two samples of each half', () => {
    expect(cellFlatness([...early, look(1, 100)]).isFlat).toBe(false);
    expect(cellFlatness([]).isFlat).toBe(false);
  });
});

describe('throughput', () => {
  const series = (rates: number[]) =>
    rates.flatMap((operations) => Array.from({ length: 5 }, () => ({ operations, cpuMs: 100 })));

  it('compares the second tenth with the last, whatever lies between and ahead', () => {
    const { first, last, ratio, intervals } = throughput(series([1, 100, 5, 5, 5, 5, 5, 5, 5, 90]), 100);
    expect([first, last, ratio, intervals]).toEqual([1000, 900, 0.9, 50]);
  });

  it('does not mind single intervals that others took away', () => {
    const parts = series(new Array(10).fill(100));
    parts[46] = { operations: 0, cpuMs: 0 };
    parts[48] = { operations: 1, cpuMs: 1 };
    expect(throughput(parts, 100)).toMatchObject({ ratio: 1, cpuRatio: 1 });
  });

  it('tells a slower machine from slower code by operations per CPU time', () => {
    const parts = series(new Array(10).fill(100)).map((part, i) =>
      i < 45 ? part : { operations: part.operations / 2, cpuMs: part.cpuMs / 2 },
    );
    expect(throughput(parts, 100)).toMatchObject({ ratio: 0.5, cpuRatio: 1 });
  });

  it('is nothing without requests', () => {
    expect(throughput([], 100)).toMatchObject({ ratio: 0, cpuRatio: 0, spread: 0, intervals: 0 });
  });
});

it('series are added up as far as all clients have them', () => {
  const part = (operations: number) => ({ operations, cpuMs: 1 });
  expect(
    mergeSeries([
      [part(1), part(2), part(3)],
      [part(10), part(20)],
    ]),
  ).toEqual([
    { operations: 11, cpuMs: 2 },
    { operations: 22, cpuMs: 2 },
  ]);
});

it('spans that touch or overlap become one', () => {
  expect(
    mergeSpans([
      [5, 7],
      [1, 2],
      [6, 9],
      [2, 3],
      [20, 21],
    ]),
  ).toEqual([
    [1, 3],
    [5, 9],
    [20, 21],
  ]);
});

it('quantiles are values that occur, 0 of none', () => {
  expect([median([3, 1, 2]), quantile([4, 1, 3, 2], 0.99), median([])]).toEqual([2, 4, 0]);
});
