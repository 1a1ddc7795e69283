/** Reading runs back: everything comes from a run's folder, and is checked as it is read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { ResultError } from './error.js';
import { type LatencyInterval, readHlog } from './hlog.js';
import { type Provenance, provenanceSchema } from './provenance.js';
import {
  type Attempt,
  attemptSchema,
  parseAs,
  type ResultRow,
  type RunEvent,
  readNdjson,
  readRows,
  runEventSchema,
  type SeriesPoint,
  seriesPointSchema,
} from './schema.js';
import { RunFile, type RunState, STATE_SUFFIX } from './store.js';

const statusSchema = z.strictObject({
  state: z.enum(['running', 'finished', 'interrupted', 'failed']),
  started: z.iso.datetime(),
  ended: z.iso.datetime().nullable(),
  reason: z.string().nullable(),
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
}

/**
 * Reads a run's folder, in whatever state the run is; `status` says which.
 * @throws ResultError when there is no run, or naming file and line of what is wrong in it.
 */
export const readRun = (folder: string): StoredRun => {
  if (!existsSync(join(folder, RunFile.STATUS))) {
    throw new ResultError(`${folder} is no run: it has no ${RunFile.STATUS}`);
  }
  const path = (file: string): string => join(folder, file);
  const text = (file: string): string => (existsSync(path(file)) ? readFileSync(path(file), 'utf8') : '');
  const json = <T>(schema: z.ZodType<T>, file: string): T =>
    parseAs(schema, path(file), () => JSON.parse(readFileSync(path(file), 'utf8')));
  const lines = <T>(schema: z.ZodType<T>, file: string): T[] => readNdjson(schema, text(file), path(file));
  return {
    folder,
    status: json(statusSchema, RunFile.STATUS),
    experiment: json(z.unknown(), RunFile.EXPERIMENT),
    provenance: json(provenanceSchema, RunFile.PROVENANCE),
    rows: readRows(text(RunFile.ROWS), path(RunFile.ROWS)),
    latency: readHlog(text(RunFile.LATENCY), path(RunFile.LATENCY)),
    series: lines<SeriesPoint>(seriesPointSchema, RunFile.SERIES),
    events: lines<RunEvent>(runEventSchema, RunFile.EVENTS),
    attempts: lines(attemptSchema, RunFile.ATTEMPTS),
  };
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
