/** Brings the tables up to what the runs' folders hold. Each run is read once, and again when it has changed. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { ResultError } from '../error.js';
import { type Damage, readNdjson, readRows, sealLine } from '../lines.js';
import { resultRowSchema } from '../schema.js';
import { RunFile } from '../store.js';
import { listRuns, type RunPlace, readProvenance, readStatus } from '../stored-run.js';
import {
  DAMAGE_COLUMNS,
  ingestLines,
  LINE_TABLES,
  type LineTable,
  quote,
  RUN_COLUMNS,
  transform,
} from './tables.js';
import type { SqlShape } from './types.js';

/** Files named in one statement. */
const BATCH = 200;
const ALL_STATES = ['finished', 'interrupted', 'failed', 'running'] as const;

/** A run as it is now, and what tells whether it is as it was. */
interface Found extends RunPlace {
  readonly fingerprint: string;
}

/** What has changed since the tables were filled. */
export interface Changes {
  readonly fresh: readonly Found[];
  /** Folders that are gone, or are as they were no more. */
  readonly stale: readonly string[];
}

/** Compares the runs below `root` with what the tables have. */
export async function findChanges(connection: DuckDBConnection, root: string): Promise<Changes> {
  const reader = await connection.runAndReadAll('SELECT folder, fingerprint FROM _ingested');
  const known = new Map(reader.getRows().map(([folder, print]) => [String(folder), String(print)]));
  const found = listRuns(resolve(root), { states: ALL_STATES }).map(
    (place): Found => ({ ...place, fingerprint: fingerprintOf(place.folder) }),
  );
  const fresh = found.filter(({ folder, fingerprint }) => known.get(folder) !== fingerprint);
  const now = new Map(found.map(({ folder, fingerprint }) => [folder, fingerprint]));
  const stale = [...known].filter(([folder, print]) => now.get(folder) !== print).map(([folder]) => folder);
  return { fresh, stale };
}

/** Sizes and times of a run's files. A folder that goes meanwhile has none. */
const fingerprintOf = (folder: string): string =>
  [RunFile.STATUS, RunFile.PROVENANCE, ...LINE_TABLES.map(({ file }) => file)]
    .map((file) => statSync(join(folder, file), { throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? '-' : `${stat.size}@${stat.mtimeMs}`))
    .join(' ');

/** Applies changes: all of them or none. */
export async function applyChanges(connection: DuckDBConnection, { fresh, stale }: Changes): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fusee-sql-'));
  try {
    await connection.run('BEGIN');
    for (const table of ['runs', 'damage', ...LINE_TABLES.map(({ name }) => name)]) {
      const gone = `SELECT runId FROM _ingested WHERE folder IN (${stale.map(quote).join(', ')})`;
      if (stale.length > 0) await connection.run(`DELETE FROM ${table} WHERE runId IN (${gone})`);
    }
    if (stale.length > 0) {
      await connection.run(`DELETE FROM _ingested WHERE folder IN (${stale.map(quote).join(', ')})`);
    }
    await new Ingest(connection, folder).all(fresh);
    await connection.run('COMMIT');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Ingest {
  readonly #connection: DuckDBConnection;
  /** For what the engine is to read. */
  readonly #folder: string;
  #files = 0;

  constructor(connection: DuckDBConnection, folder: string) {
    this.#connection = connection;
    this.#folder = folder;
  }

  async all(runs: readonly Found[]): Promise<void> {
    if (runs.length === 0) return;
    const damage: object[] = [];
    const told = runs.flatMap((run) => {
      try {
        return [describeRun(run)];
      } catch (error) {
        if (!(error instanceof ResultError)) throw error;
        damage.push({ runId: run.id, file: run.folder, line: null, reason: error.message });
        return [];
      }
    });
    await this.#insert('runs', RUN_COLUMNS, told);
    const readable = new Set(told.map(({ runId }) => runId));
    for (const table of LINE_TABLES) {
      const files = runs
        .filter(({ id }) => readable.has(id))
        .map(({ id, folder }) => ({ runId: id, path: join(folder, table.file) }))
        .filter(({ path }) => existsSync(path));
      for (let at = 0; at < files.length; at += BATCH) {
        damage.push(...(await this.#lines(table, files.slice(at, at + BATCH))));
      }
    }
    await this.#insert('damage', DAMAGE_COLUMNS, damage);
    const ingested = runs.map(({ folder, fingerprint, id }) => ({ folder, fingerprint, runId: id }));
    const columns = { folder: 'VARCHAR', fingerprint: 'VARCHAR', runId: 'VARCHAR' };
    await this.#insert('_ingested', columns, ingested);
  }

  /** Files with a line that is not sound are read again, line by line; returns what of them is damaged. */
  async #lines(table: LineTable, files: readonly { path: string; runId: string }[]): Promise<object[]> {
    await this.#connection.run(ingestLines(table, files));
    const unsound = `SELECT DISTINCT _path FROM ${table.name} WHERE NOT _isSound`;
    const paths = (await this.#connection.runAndReadAll(unsound)).getRows().map(([path]) => String(path));
    const damage: object[] = [];
    for (const path of paths) {
      const file = files.find((one) => one.path === path);
      if (file === undefined) throw new ResultError(`${path} was read and never asked for`);
      await this.#connection.run(`DELETE FROM ${table.name} WHERE _path = ${quote(path)}`);
      const read = readCarefully(table, path);
      damage.push(...read.damage.map((one) => ({ runId: file.runId, ...one })));
      if (read.values.length === 0) continue;
      const copy = this.#write(read.values.map((value) => sealLine(value as object)));
      await this.#connection.run(ingestLines(table, [{ path: copy, runId: file.runId }]));
    }
    return damage;
  }

  async #insert(table: string, columns: SqlShape, values: readonly object[]): Promise<void> {
    if (values.length === 0) return;
    const path = this.#write(values.map((value) => JSON.stringify(value)));
    await this.#connection.run(
      `INSERT INTO ${table} SELECT r.* FROM (SELECT ${transform('json', columns)} AS r ` +
        `FROM read_ndjson_objects(${quote(path)}))`,
    );
  }

  #write(lines: readonly string[]): string {
    const path = join(this.#folder, `${this.#files++}.ndjson`);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }
}

const readCarefully = (
  { schema }: LineTable,
  path: string,
): { values: readonly unknown[]; damage: readonly Damage[] } => {
  const text = readFileSync(path, 'utf8');
  return schema === resultRowSchema ? readRows(text, path) : readNdjson(schema, text, path);
};

const describeRun = ({ id, experiment, state, folder }: RunPlace): { readonly runId: string } => {
  const { started, ended, reason } = readStatus(folder);
  let settings: unknown;
  try {
    settings = JSON.parse(readFileSync(join(folder, RunFile.EXPERIMENT), 'utf8'));
  } catch (error) {
    throw new ResultError(`${RunFile.EXPERIMENT}: ${(error as Error).message}`, { cause: error });
  }
  const run = { runId: id, experiment, state, folder, started, ended, reason, settings };
  return { ...run, ...readProvenance(folder) };
};
