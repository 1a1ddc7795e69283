/** Reading runs back: everything comes from a run's folder, and is checked as it is read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ResultError } from './error.js';
import { type LatencyInterval, readHlog } from './hlog.js';
import { type Damage, readNdjson, readRows } from './lines.js';
import { ownerSchema } from './owner.js';
import { type Provenance, provenanceSchema } from './provenance.js';
import {
  type Attempt,
  attemptSchema,
  type ResultRow,
  type RunEvent,
  runEventSchema,
  type SeriesPoint,
  seriesPointSchema,
} from './schema.js';
import { RunFile, type RunState, STATE_SUFFIX } from './store.js';
import { parseAs } from './versions.js';

const statusSchema = z.strictObject({
  state: z.enum(['running', 'finished', 'interrupted', 'failed']),
  started: z.iso.datetime(),
  ended: z.iso.datetime().nullable(),
  reason: z.string().nullable(),
  /** Who wrote it; null in runs from before that was noted. */
  owner: ownerSchema.nullable().default(null),
});
/** How a run ended, when, and why if it did not finish. */
export type RunStatus = z.infer<typeof statusSchema>;

/** A run as stored. */
export interface StoredRun {
  readonly folder: string;
  readonly status: RunStatus;
  readonly experiment: unknown;
  readonly provenance: Provenance;
  readonly rows: readonly ResultRow[];
  readonly latency: readonly LatencyInterval[];
  readonly series: readonly SeriesPoint[];
  readonly events: readonly RunEvent[];
  readonly attempts: readonly Attempt[];
  /** Lines that could not be read, and are in none of the above. */
  readonly damage: readonly Damage[];
}

/** A run's status alone. @throws ResultError when there is no run, or naming what is wrong in its status. */
export const readStatus = (folder: string): RunStatus => {
  const path = join(folder, RunFile.STATUS);
  if (!existsSync(path)) throw new ResultError(`${folder} is no run: it has no ${RunFile.STATUS}`);
  return readJson(statusSchema, path);
};

/** A run's provenance alone. @throws ResultError naming what is wrong in it. */
export const readProvenance = (folder: string): Provenance =>
  readJson(provenanceSchema, join(folder, RunFile.PROVENANCE));

/** A run's rows alone, and the lines that could not be read. */
export const readRunRows = (folder: string): { values: readonly ResultRow[]; damage: readonly Damage[] } => {
  const path = join(folder, RunFile.ROWS);
  return readRows(textOf(path), path);
};

/** A run's attempts alone, as far as they can be read. */
export const readAttempts = (folder: string): readonly Attempt[] => {
  const path = join(folder, RunFile.ATTEMPTS);
  return readNdjson<Attempt>(attemptSchema, textOf(path), path).values;
};

/** The latencies of one cell of a run, and what of them could not be read. */
export const readCellLatency = (folder: string, cellKey: string): ReturnType<typeof readHlog> => {
  const path = join(folder, RunFile.CELL_LATENCY, `${cellKey}.hlog`);
  return readHlog(textOf(path), path);
};

/**
 * Reads a run's folder, in whatever state the run is; `status` says which. Lines that cannot be read are left
 * out and stand in `damage`.
 * @throws ResultError when there is no run, or naming the file of what is wrong in status, experiment or
 *   provenance, without which rows mean nothing.
 */
export const readRun = (folder: string): StoredRun => {
  const status = readStatus(folder);
  const damage: Damage[] = [];
  const lines = <T>(schema: z.ZodType<T>, file: string): T[] => {
    const path = join(folder, file);
    const read = readNdjson(schema, textOf(path), path);
    damage.push(...read.damage);
    return read.values;
  };
  const rows = readRunRows(folder);
  damage.push(...rows.damage);
  const latency = latencyFiles(folder).flatMap((path) => {
    const read = readHlog(textOf(path), path);
    damage.push(...read.damage);
    return read.intervals;
  });
  return {
    folder,
    status,
    experiment: readJson(z.unknown(), join(folder, RunFile.EXPERIMENT)),
    provenance: readProvenance(folder),
    rows: rows.values,
    latency: latency.sort((a, b) => a.startMs - b.startMs),
    series: lines<SeriesPoint>(seriesPointSchema, RunFile.SERIES),
    events: lines<RunEvent>(runEventSchema, RunFile.EVENTS),
    attempts: lines(attemptSchema, RunFile.ATTEMPTS),
    damage,
  };
};

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

const readJson = <T>(schema: z.ZodType<T>, path: string): T =>
  parseAs(schema, path, () => JSON.parse(readFileSync(path, 'utf8')));

const latencyFiles = (folder: string): string[] => {
  const cells = join(folder, RunFile.CELL_LATENCY);
  const files = existsSync(cells) ? readdirSync(cells).filter((name) => name.endsWith('.hlog')) : [];
  return [join(folder, RunFile.LATENCY), ...files.sort().map((name) => join(cells, name))];
};

/** A run found under a root. */
export interface RunPlace {
  readonly experiment: string;
  readonly id: string;
  readonly state: RunState;
  readonly folder: string;
}

/** The runs under `root`, oldest first; only finished ones unless `states` names others. */
export const listRuns = (
  root: string,
  options: { readonly experiment?: string; readonly states?: readonly RunState[] } = {},
): RunPlace[] => {
  const states = options.states ?? ['finished'];
  const places: RunPlace[] = [];
  for (const experiment of options.experiment ? [options.experiment] : folders(root)) {
    for (const name of folders(join(root, experiment))) {
      const [, id, suffix] = /^(\d{8}T\d{6}Z-[0-9a-f]+)(\.[a-z]+)?$/.exec(name) ?? [];
      if (id === undefined) continue;
      const state = states.find((one) => STATE_SUFFIX[one] === (suffix ?? ''));
      if (state !== undefined) places.push({ experiment, id, state, folder: join(root, experiment, name) });
    }
  }
  return places.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
};

const folders = (folder: string): string[] => {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
};
