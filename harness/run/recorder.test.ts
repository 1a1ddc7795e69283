import { describe, expect, it } from 'vitest';
import { Outcome, RequestKind } from '../../fusee/ops/index.js';
import { LatencyHistogram } from '../../results/histogram.js';
import { OPERATIONS } from '../../results/schema.js';
import { PhaseRecorder, SERIES_MS } from './recorder.js';

const MS = 1e6;

describe('a recorder', () => {
  it('counts the warm-up apart, in requests and in costs', () => {
    const recorder = new PhaseRecorder(1000);
    recorder.record(RequestKind.SEARCH, 500, 900, Outcome.OK, false);
    recorder.ledger(RequestKind.SEARCH, false).rtts += 7;
    recorder.record(RequestKind.SEARCH, 1000, 1400, Outcome.OK, true);
    recorder.ledger(RequestKind.SEARCH, true).rtts += 2;
    expect([recorder.warmupOperations, recorder.operations]).toEqual([1, 1]);
    const [search] = recorder.report();
    expect(search).toMatchObject({ operation: 'search', count: 1, outcomes: { OK: 1 } });
    expect(search.ledger.rtts).toBe(2);
  });

  it('names operations and outcomes, and leaves out what never happened', () => {
    const recorder = new PhaseRecorder(1);
    recorder.record(RequestKind.UPDATE, 10, 20, Outcome.OK, true);
    recorder.record(RequestKind.UPDATE, 10, 20, Outcome.NOT_FOUND, true);
    recorder.record(RequestKind.INSERT, 10, 20, Outcome.UNAVAILABLE, true);
    expect(recorder.report().map((r) => [r.operation, r.outcomes])).toEqual([
      ['insert', { UNAVAILABLE: 1 }],
      ['update', { OK: 1, NOT_FOUND: 1 }],
    ]);
    // What brought no answer is no throughput, and its wait for the deadline no latency.
    expect([recorder.operations, recorder.report()[0].count, recorder.series()[0].operations]).toEqual([
      2, 0, 2,
    ]);
  });

  it('numbers operations as the schema lists them', () => {
    const kinds = { ...RequestKind, RMW: 5 };
    for (const [name, kind] of Object.entries(kinds)) {
      expect(OPERATIONS[kind]).toBe(name.toLowerCase());
      const recorder = new PhaseRecorder(1);
      recorder.record(kind, 10, 20, Outcome.OK, true);
      expect(recorder.report().map((r) => r.operation)).toEqual([OPERATIONS[kind]]);
    }
  });

  it('keeps latencies in nanoseconds', () => {
    const recorder = new PhaseRecorder(1);
    for (let i = 1; i <= 1000; i++) recorder.record(RequestKind.SEARCH, 100, 100 + i, Outcome.OK, true);
    const histogram = LatencyHistogram.unpack(recorder.report()[0].latency);
    expect(histogram.count).toBe(1000);
    expect(histogram.percentile(50)).toBeGreaterThanOrEqual(499);
    expect(histogram.percentile(50)).toBeLessThanOrEqual(502);
    expect(histogram.maxNs).toBe(1000);
  });

  it('gives throughput per interval from the start of the window, empty ones included', () => {
    const startNs = 5e9;
    const recorder = new PhaseRecorder(startNs);
    const at = (ms: number, latencyNs = 100): void =>
      recorder.record(RequestKind.SEARCH, startNs + ms * MS - latencyNs, startNs + ms * MS, Outcome.OK, true);
    at(1);
    at(99);
    at(3 * SERIES_MS + 1, 5000);
    expect(recorder.latestP99Ns).toBe(0);
    const series = recorder.series();
    expect(series.map((s) => s.operations)).toEqual([2, 0, 0, 1]);
    expect(series[1].p99Ns).toBe(0);
    expect(series[3].p99Ns).toBeGreaterThanOrEqual(4990);
  });

  it('without a window begins with the first request, however long the host is up', () => {
    const recorder = new PhaseRecorder(0);
    const yearNs = 365 * 86_400e9;
    recorder.record(RequestKind.INSERT, yearNs, yearNs + 100, Outcome.OK, true);
    recorder.record(RequestKind.INSERT, yearNs, yearNs + 1.5 * SERIES_MS * MS, Outcome.OK, true);
    expect(recorder.series().map((s) => s.operations)).toEqual([1, 1]);
  });
});
