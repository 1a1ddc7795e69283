/**
 * What is stored about one cell and repetition, and its neighbours in a run folder: versioned, validated when
 * written and when read. `null` means that something was not checked or does not apply; it is never written
 * as 0.
 */
import * as z from 'zod';
import { conditionsSchema } from './conditions.js';
import { ResultError } from './error.js';

/** Version that {@link resultRowSchema} describes. */
export const SCHEMA_VERSION = 2;

/** Operations as results name them. */
export const OPERATIONS = ['search', 'insert', 'update', 'delete', 'put', 'rmw'] as const;
/** One of {@link OPERATIONS}. */
export type Operation = (typeof OPERATIONS)[number];

const name = z.string().min(1);
const count = z.int().min(0);
const positive = z.int().min(1);
const amount = z.number().min(0);
const operation = z.enum(OPERATIONS);

const latencySchema = z.strictObject({ p50: amount, p90: amount, p99: amount, p999: amount, max: amount });

/** Means per operation, apart from `count`; null where a system cannot count. */
const perOperationSchema = z.strictObject({
  count,
  rtts: amount.nullable(),
  verbs: amount.nullable(),
  bytes: amount.nullable(),
  casFailures: amount.nullable(),
  backgroundVerbs: amount.nullable(),
  backgroundBytes: amount.nullable(),
  polls: amount.nullable(),
});

/** Garbage collections in the measured window. */
const collectionsSchema = z.strictObject({
  count,
  milliseconds: amount,
  longestMs: amount,
  shareOfWindow: z.number().min(0).max(1),
});

/** Look-ups in the clients' caches in the measured window; a hit is a hint, for a READ to bear out. */
const cacheSchema = z.strictObject({ hits: count, misses: count, bypassed: count });

/** Work in the measured window that no request waited for: reclaim, splits, announcements. */
const backgroundSchema = z.strictObject({ rtts: count, verbs: count, bytes: count });

/** What background work brought, from the first client's start to the end of the window. */
const upkeepSchema = z.strictObject({ cellsReclaimed: count, blocksGivenBack: count, splits: count });

const trustSchema = z.strictObject({
  verdict: z.enum(['ok', 'noisy', 'unusable']),
  reasons: z.array(z.string()),
});

/** Kinds of injected faults. */
export const FAULT_KINDS = ['kill', 'stop', 'crash', 'delay', 'drop'] as const;

/** One injected fault, and what it cost by the throughput series. */
const faultSchema = z.strictObject({
  /** When it happened, and ended where it has an end, since the start of the window. */
  atMs: amount,
  endMs: amount.nullable(),
  kind: z.enum(FAULT_KINDS),
  /** Such as "client 1", "node 0", "client 0 to node 1". */
  target: name,
  detail: z.record(z.string(), z.unknown()),
  meanBeforeOps: amount.nullable(),
  /** Until throughput was back at 90 % of the mean before; null when it never was, or nothing tells. */
  recoveryMs: amount.nullable(),
  /** Area between the mean before and the throughput until then, or to the end of the window. */
  lostOperations: amount.nullable(),
});

/** One result row: a cell of the experiment and one repetition of it. */
export const resultRowSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  system: name,
  workload: name,
  /** Which reading of the workload's definition, such as ycsb-java. */
  flavour: name,
  /** shm, tcp, verbs or sim. */
  fabric: name,
  clients: positive,
  /** Operations in flight per client. */
  coroutines: positive,
  /** MNs. */
  nodes: positive,
  indexReplicas: positive,
  dataReplicas: positive,
  kvBytes: positive,
  seed: z.int(),
  /** Counts from 0. */
  repetition: count,
  /** Time by which completions were held back, in ns. */
  rttNs: amount,
  /** Time that clients ran before the window. */
  warmupMs: amount.nullable().default(null),
  /** Operations completed in the window, and its length. */
  operations: count,
  seconds: amount,
  throughputOps: amount,
  wrongValues: count.nullable(),
  lostKeys: count.nullable(),
  latencyNs: z.partialRecord(operation, latencySchema),
  perOperation: z.partialRecord(operation, perOperationSchema),
  /** How often each operation ended in which outcome. */
  outcomes: z.partialRecord(operation, z.record(name, count)),
  collections: collectionsSchema.nullable(),
  cache: cacheSchema.nullable().default(null),
  background: backgroundSchema.nullable().default(null),
  upkeep: upkeepSchema.nullable().default(null),
  trust: trustSchema.nullable(),
  /** What the verdict rests on. */
  conditions: conditionsSchema.nullable().default(null),
  /** Hash of the stream of requests. */
  streamHash: name.nullable(),
  interrupted: z.boolean(),
  linearizable: z.boolean().nullable(),
  /** Faults that were injected, in order; null when there were none to be. */
  faults: z.array(faultSchema).nullable(),
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

/** One injected fault. */
export type FaultRecord = z.infer<typeof faultSchema>;
/** Garbage collections in the measured window. */
export type Collections = z.infer<typeof collectionsSchema>;

/** One interval of throughput over time, of one cell and repetition. */
export const seriesPointSchema = z.strictObject({
  system: name,
  workload: name,
  fabric: name,
  clients: positive,
  repetition: count,
  /** Start of the interval since the start of the window, and the interval's length. */
  tMs: amount,
  intervalMs: z.number().positive().default(100),
  /** Operations completed within the interval. */
  operations: count,
  p99Ns: amount.nullable(),
});
/** One interval of throughput over time. */
export type SeriesPoint = z.infer<typeof seriesPointSchema>;

/** Something that happened during a run: a fault, a recovery, a phase. */
export const runEventSchema = z.strictObject({
  at: z.iso.datetime(),
  kind: name,
  /** Short text, drawn on figures. */
  label: z.string(),
  /** The cell it belongs to and the time since the start of that cell's window, where there is one. */
  workload: name.nullable().default(null),
  repetition: count.nullable().default(null),
  tMs: z.number().nullable().default(null),
  detail: z.record(z.string(), z.unknown()).default({}),
});
/** Something that happened during a run. */
export type RunEvent = z.infer<typeof runEventSchema>;

/** One attempt at a cell: nothing is retried or skipped without one. */
export const attemptSchema = z.strictObject({
  at: z.iso.datetime(),
  cell: name,
  repetition: count,
  attempt: positive,
  outcome: z.enum(['ok', 'failed', 'skipped', 'interrupted']),
  reason: z.string().nullable(),
});
/** One attempt at a cell. */
export type Attempt = z.infer<typeof attemptSchema>;

/** Whether a row comes from the simulator rather than from a measurement. */
export const isSimulated = (row: { readonly fabric: string }): boolean => row.fabric === 'sim';

/** Turns a row of the version it is filed under into one of the next version. */
export type Migration = (row: Record<string, unknown>) => Record<string, unknown>;

/** One entry for each version older than {@link SCHEMA_VERSION}. */
const MIGRATIONS: Readonly<Record<number, Migration>> = {
  // Nothing could be injected then.
  1: (row) => ({ ...row, faults: null }),
};

/**
 * Brings a stored row up to version `current` by the migrations in between.
 * @throws ResultError for a row without a version, of a newer version, or of a version nothing migrates.
 */
export const upgradeRow = (
  row: unknown,
  current: number,
  migrations: Readonly<Record<number, Migration>>,
): Record<string, unknown> => {
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new ResultError('not an object');
  let upgraded = row as Record<string, unknown>;
  const version = upgraded['schemaVersion'];
  if (typeof version !== 'number' || !Number.isInteger(version)) {
    throw new ResultError(`schemaVersion is ${JSON.stringify(version)}, not a whole number`);
  }
  if (version > current) {
    throw new ResultError(
      `schemaVersion is ${version}; this program reads up to ${current}: use a newer one`,
    );
  }
  for (let from = version; from < current; from++) {
    const migrate = migrations[from];
    if (migrate === undefined)
      throw new ResultError(`no way from schemaVersion ${from} to ${from + 1} is known`);
    upgraded = { ...migrate(upgraded), schemaVersion: from + 1 };
  }
  return upgraded;
};

/**
 * A row as stored by this or an older version.
 * @throws ResultError that names `place` and each field that is wrong.
 */
export const parseRow = (value: unknown, place: string): ResultRow =>
  parseAs(resultRowSchema, place, () => upgradeRow(value, SCHEMA_VERSION, MIGRATIONS));

/**
 * The rows of an NDJSON text; empty lines are skipped.
 * @throws ResultError naming file and line of the first bad row.
 */
export const readRows = (text: string, file: string): ResultRow[] =>
  readLines(text, file, (value, place) => parseRow(value, place));

/** The lines of an NDJSON text, each checked against `schema`; throws ResultError naming file and line. */
export const readNdjson = <T>(schema: z.ZodType<T>, text: string, file: string): T[] =>
  readLines(text, file, (value, place) => parseAs(schema, place, () => value));

/** `get()` checked against `schema`; throws ResultError naming `place` and the fields that are wrong. */
export const parseAs = <T>(schema: z.ZodType<T>, place: string, get: () => unknown): T => {
  let value: unknown;
  try {
    value = get();
  } catch (error) {
    throw new ResultError(`${place}: ${(error as Error).message}`, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'value'}: ${issue.message}`);
  throw new ResultError(`${place}: ${issues.join('; ')}`);
};

const readLines = <T>(text: string, file: string, parse: (value: unknown, place: string) => T): T[] => {
  const values: T[] = [];
  for (const [number, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const place = `${file}:${number + 1}`;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw new ResultError(`${place}: not JSON (${(error as Error).message})`, { cause: error });
    }
    values.push(parse(value, place));
  }
  return values;
};
