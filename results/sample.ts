/** Rows for tests: a valid row and provenance, of which a test overrides what it is about. */
import type { Provenance } from './provenance.js';
import { type PerOperation, type ResultRow, SCHEMA_VERSION } from './schema.js';

/** What names the cell of a small YCSB-A run. */
export const sampleSettings = {
  system: 'fusee',
  workload: 'ycsb-a',
  flavour: 'ycsb-java',
  fabric: 'shm',
  clients: 2,
  coroutines: 8,
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  kvBytes: 1024,
  seed: 7,
  repetition: 0,
  rttNs: 0,
} as const;

/** A valid row of that run, with `changes` on top. */
export const sampleRow = (changes: Partial<ResultRow> = {}): ResultRow => ({
  schemaVersion: SCHEMA_VERSION,
  ...sampleSettings,
  cellKey: null,
  reusedFrom: null,
  responseNs: null,
  openLoop: null,
  warmupMs: 500,
  operations: 1_200_000,
  seconds: 5,
  throughputOps: 240_000,
  wrongValues: 0,
  lostKeys: null,
  latencyNs: {
    search: { p50: 2100, p90: 3900, p99: 8700, p999: 31_000, max: 1_204_000 },
    update: { p50: 9800, p90: 15_200, p99: 30_100, p999: 88_000, max: 2_017_000 },
  },
  perOperation: {
    search: sampleCost({ count: 600_000, rtts: 1.02, verbs: 2.1, bytes: 1180 }),
    update: sampleCost({ count: 600_000, rtts: 4.06, verbs: 9.3, bytes: 3400, casFailures: 0.03 }),
  },
  outcomes: { search: { OK: 600_000 }, update: { OK: 599_990, NOT_FOUND: 10 } },
  collections: { count: 3, milliseconds: 4.2, longestMs: 1.9, shareOfWindow: 0.0008 },
  cache: { hits: 590_000, misses: 9000, bypassed: 1000 },
  background: { rtts: 9000, verbs: 80_000, bytes: 2_000_000 },
  upkeep: { cellsReclaimed: 0, blocksGivenBack: 0, splits: 0 },
  trust: { verdict: 'ok', reasons: [] },
  conditions: null,
  streamHash: 'c0ffee',
  interrupted: false,
  linearizable: null,
  faults: null,
  ...changes,
});

const sampleCost = (changes: Partial<PerOperation>): PerOperation => ({
  count: 1,
  rtts: 1,
  verbs: 1,
  bytes: 64,
  casFailures: 0,
  backgroundVerbs: 0.5,
  backgroundBytes: 32,
  polls: 12,
  ...changes,
});

/** A valid provenance of a clean checkout. */
export const sampleProvenance: Provenance = {
  commit: '3d78098f0a1b2c3d4e5f60718293a4b5c6d7e8f9',
  dirty: false,
  dirtyHash: null,
  machine: { class: '0123456789ab', cpuModel: 'Test CPU', cores: 2, memoryGiB: 8, architecture: 'x64' },
  kernel: 'Linux 6.1.0',
  node: 'v20.20.2',
  version: '0.1.0',
  build: null,
  benchmark: null,
  fabric: null,
  rttNs: null,
  seed: null,
  traceHash: null,
  pinning: null,
  nics: null,
  date: '2026-01-02T03:04:05.000Z',
};
