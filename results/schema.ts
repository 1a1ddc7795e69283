/**
 * What is stored about one cell and repetition, and its neighbours in a run folder: versioned, validated when
 * written and when read (`versions.ts`, `lines.ts`). `null` means that something was not checked or does not
 * apply; it is never written as 0. The descriptions here are what the reference page says, `SCHEMA.md`.
 */
import * as z from 'zod';
import { conditionsSchema } from './conditions.js';

/**
 * Version that {@link resultRowSchema} describes. 2: faults. 3: cells have keys, open loop, lines are sealed.
 */
export const SCHEMA_VERSION = 3;

/** Operations as results name them. */
export const OPERATIONS = ['search', 'insert', 'update', 'delete', 'put', 'rmw'] as const;
/** One of {@link OPERATIONS}. */
export type Operation = (typeof OPERATIONS)[number];

const name = z.string().min(1);
const count = z.int().min(0);
const positive = z.int().min(1);
const amount = z.number().min(0);
const operation = z.enum(OPERATIONS);
const cellKey = name
  .nullable()
  .default(null)
  .describe('key of the cell: a hash over all that determines it, repetition included');

const latencySchema = z
  .strictObject({ p50: amount, p90: amount, p99: amount, p999: amount, max: amount })
  .describe('percentiles in ns, from merged histograms; `max` is exact');

const perOperationSchema = z
  .strictObject({
    count,
    rtts: amount.nullable(),
    verbs: amount.nullable(),
    bytes: amount.nullable(),
    casFailures: amount.nullable(),
    backgroundVerbs: amount.nullable(),
    backgroundBytes: amount.nullable(),
    polls: amount.nullable(),
  })
  .describe('means per operation, apart from `count`; null where a system cannot count');

const collectionsSchema = z.strictObject({
  count,
  milliseconds: amount,
  longestMs: amount,
  shareOfWindow: z.number().min(0).max(1),
});

const cacheSchema = z.strictObject({ hits: count, misses: count, bypassed: count });
const backgroundSchema = z.strictObject({ rtts: count, verbs: count, bytes: count });
const upkeepSchema = z.strictObject({ cellsReclaimed: count, blocksGivenBack: count, splits: count });

const trustSchema = z.strictObject({
  verdict: z.enum(['ok', 'noisy', 'unusable']),
  reasons: z.array(z.string()),
});

/** How requests arrive in an open loop. */
export const ARRIVALS = ['poisson', 'constant'] as const;
/** What becomes of requests whose start is late: each begins in its turn, or the latest are passed over. */
export const CATCH_UPS = ['all', 'skip'] as const;

const openLoopSchema = z.strictObject({
  arrivals: z.enum(ARRIVALS).describe('intervals between intended starts'),
  offeredOps: amount.describe('requests per second that were asked for, of all clients together'),
  catchUp: z
    .enum(CATCH_UPS)
    .describe('all: each late request begins as soon as it can, in order; skip: see `skipAfterNs`'),
  skipAfterNs: amount.nullable().describe('policy skip: requests later than this are passed over'),
  scheduled: count.describe('requests with an intended start in the window, skipped and dropped ones too'),
  late: count.describe('of those that began: by more than `lateAfterNs` behind their intended start'),
  lateAfterNs: amount,
  skipped: count.describe('passed over, by the policy `skip`'),
  dropped: count.describe('due, and not begun when the window closed'),
  verdict: z
    .enum(['sustained', 'not sustained'])
    .describe('not sustained: more than 1 % of the scheduled requests were skipped or dropped'),
  responseNs: latencySchema.nullable().describe('response times of all operations together'),
});

/** Kinds of injected faults. */
export const FAULT_KINDS = ['kill', 'stop', 'crash', 'delay', 'drop'] as const;

const faultSchema = z
  .strictObject({
    atMs: amount.describe('since the start of the window'),
    endMs: amount.nullable().describe('where it has an end'),
    kind: z.enum(FAULT_KINDS),
    target: name.describe('such as "client 1", "node 0", "client 0 to node 1"'),
    detail: z.record(z.string(), z.unknown()),
    meanBeforeOps: amount.nullable(),
    recoveryMs: amount
      .nullable()
      .describe('until throughput was back at 90 % of the mean before; null: never, or nothing tells'),
    lostOperations: amount
      .nullable()
      .describe('area between the mean before and the throughput until then, or to the end of the window'),
  })
  .describe('one injected fault, and what it cost by the throughput series');

/** One result row: a cell of the experiment and one repetition of it. */
export const resultRowSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  cellKey,
  reusedFrom: name
    .nullable()
    .default(null)
    .describe('run that measured this row, where `--resume` took it from there; null: this run did'),
  system: name,
  workload: name,
  flavour: name.describe("which reading of the workload's definition, such as ycsb-java"),
  fabric: name.describe('shm, tcp, verbs or sim'),
  clients: positive,
  coroutines: positive.describe('operations in flight per client'),
  nodes: positive.describe('MNs'),
  indexReplicas: positive,
  dataReplicas: positive,
  kvBytes: positive,
  seed: z.int(),
  repetition: count.describe('counts from 0'),
  rttNs: amount.describe('time by which completions were held back'),
  warmupMs: amount.nullable().default(null).describe('time that clients ran before the window'),
  operations: count.describe('completed in the window'),
  seconds: amount.describe('length of the window'),
  throughputOps: amount,
  wrongValues: count.nullable(),
  lostKeys: count.nullable(),
  latencyNs: z
    .partialRecord(operation, latencySchema)
    .describe('service times: from the first post to the last completion'),
  responseNs: z
    .partialRecord(operation, latencySchema)
    .nullable()
    .default(null)
    .describe('response times, from the intended start; null in a closed loop, which intends none'),
  openLoop: openLoopSchema
    .nullable()
    .default(null)
    .describe('the schedule of an open loop, and what became of it; null in a closed loop'),
  perOperation: z.partialRecord(operation, perOperationSchema),
  outcomes: z
    .partialRecord(operation, z.record(name, count))
    .describe('how often each operation ended in which outcome'),
  collections: collectionsSchema.nullable().describe('garbage collections in the window'),
  cache: cacheSchema
    .nullable()
    .default(null)
    .describe("look-ups in the clients' caches in the window; a hit is a hint, for a READ to bear out"),
  background: backgroundSchema
    .nullable()
    .default(null)
    .describe('work in the window that no request waited for: reclaim, splits, announcements'),
  upkeep: upkeepSchema
    .nullable()
    .default(null)
    .describe("what background work brought, from the first client's start to the end of the window"),
  trust: trustSchema.nullable().describe('whether the numbers can be relied on, and why not'),
  conditions: conditionsSchema.nullable().default(null).describe('what the verdict rests on'),
  streamHash: name.nullable().describe('hash of the stream of requests'),
  interrupted: z.boolean(),
  linearizable: z.boolean().nullable(),
  faults: z
    .array(faultSchema)
    .nullable()
    .describe('faults that were injected, in order; null when there were none to be'),
});

/** One result row. */
export type ResultRow = z.infer<typeof resultRowSchema>;
/** Whether a row's numbers can be relied on, and why not. */
export type Trust = z.infer<typeof trustSchema>;
/** What one operation cost, as means per operation. */
export type PerOperation = z.infer<typeof perOperationSchema>;
/** Look-ups in the clients' caches in the measured window. */
export type CacheCounts = z.infer<typeof cacheSchema>;
/** Work in the measured window that no request waited for. */
export type BackgroundCounts = z.infer<typeof backgroundSchema>;
/** What background work brought, loading included. */
export type UpkeepCounts = z.infer<typeof upkeepSchema>;
/** The schedule of an open loop, and what became of it. */
export type OpenLoop = z.infer<typeof openLoopSchema>;
/** One injected fault. */
export type FaultRecord = z.infer<typeof faultSchema>;
/** Garbage collections in the measured window. */
export type Collections = z.infer<typeof collectionsSchema>;

/** One interval of throughput over time, of one cell and repetition. */
export const seriesPointSchema = z.strictObject({
  cellKey,
  system: name,
  workload: name,
  fabric: name,
  clients: positive,
  repetition: count,
  tMs: amount.describe('start of the interval, since the start of the window'),
  intervalMs: z.number().positive().default(100),
  operations: count.describe('completed within the interval'),
  p99Ns: amount.nullable(),
});
/** One interval of throughput over time. */
export type SeriesPoint = z.infer<typeof seriesPointSchema>;

/** Something that happened during a run: a fault, a recovery, a phase. */
export const runEventSchema = z.strictObject({
  cellKey,
  at: z.iso.datetime(),
  kind: name,
  label: z.string().describe('short text, drawn on figures'),
  workload: name.nullable().default(null).describe('of the cell that it belongs to, if any'),
  repetition: count.nullable().default(null),
  tMs: z.number().nullable().default(null).describe("since the start of that cell's window"),
  detail: z.record(z.string(), z.unknown()).default({}),
});
/** Something that happened during a run. */
export type RunEvent = z.infer<typeof runEventSchema>;

/** One attempt at a cell: nothing is retried or skipped without one. */
export const attemptSchema = z.strictObject({
  cellKey,
  at: z.iso.datetime(),
  cell: name.describe('workload'),
  repetition: count,
  attempt: positive,
  outcome: z.enum(['ok', 'failed', 'skipped', 'interrupted']),
  reason: z.string().nullable(),
});
/** One attempt at a cell. */
export type Attempt = z.infer<typeof attemptSchema>;

/** Whether a row comes from the simulator rather than from a measurement. */
export const isSimulated = (row: { readonly fabric: string }): boolean => row.fabric === 'sim';
