/**
 * SQL over all runs below a folder. The runs' files are the truth; what the engine needs of them is kept in a
 * file of its own beside them, brought up to date before each query, and made anew when it cannot be used.
 * The engine is an optional package of 70 MB, and loaded here only.
 */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { ResultError } from '../error.js';
import { applyChanges, type Changes, findChanges } from './ingest.js';
import { CREATE } from './tables.js';

/** What a query brought. Whole numbers beyond 2^53 are text. */
export interface QueryResult {
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Lines and runs that cannot be read, and take no part. */
  readonly damaged: number;
  readonly milliseconds: number;
}

/** Another process may be at the index: so long it is waited for. */
const LOCKED_MS = 5000;
const LOCKED_AGAIN_MS = 100;

/** An index for other tables than today's is of no use. */
const VERSION = createHash('sha256').update(CREATE.join('\n')).digest('hex').slice(0, 8);

/**
 * Runs one statement over the runs below `root`. Nothing is changed: the tables are opened for reading, and
 * the engine may touch no file but its own.
 * @throws ResultError when the engine is not installed, or naming what is wrong with the statement.
 */
export async function queryRuns(root: string, sql: string): Promise<QueryResult> {
  const engine = await openEngine(root);
  try {
    const { connection } = engine;
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    const started = performance.now();
    const reader = await readOne(connection, sql);
    const rows = reader.getRowObjectsJS().map((row) => plain(row) as Record<string, unknown>);
    const milliseconds = performance.now() - started;
    const damaged = await connection.runAndReadAll('SELECT count(*) FROM damage');
    return {
      columns: reader.columnNames(),
      rows,
      damaged: Number(damaged.getRows()[0][0]),
      milliseconds,
    };
  } finally {
    engine.close();
  }
}

async function readOne(connection: DuckDBConnection, sql: string) {
  try {
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) {
      throw new ResultError(`the query holds ${statements.count} statements; give one`);
    }
    return await connection.runAndReadAll(sql);
  } catch (error) {
    if (error instanceof ResultError) throw error;
    throw new ResultError(`the query fails: ${(error as Error).message}`, { cause: error });
  }
}

interface Engine {
  readonly connection: DuckDBConnection;
  readonly close: () => void;
}

/** The tables, up to date and open for reading. */
async function openEngine(root: string): Promise<Engine> {
  const { DuckDBInstance: Instance } = await loadEngine();
  const folder = join(resolve(root), '.index');
  const path = join(folder, `${VERSION}.duckdb`);
  const open = async (mode: 'READ_ONLY' | 'READ_WRITE', at = path): Promise<Engine> => {
    const config = { access_mode: mode, autoinstall_known_extensions: 'false' };
    const instance: DuckDBInstance = await Instance.create(at, at === ':memory:' ? {} : config);
    const connection = await instance.connect();
    return {
      connection,
      close: () => {
        connection.closeSync();
        instance.closeSync();
      },
    };
  };
  for (const end = performance.now() + LOCKED_MS; ; ) {
    try {
      const engine = await open('READ_ONLY');
      const changes = await changesOrClose(engine, root);
      if (changes === null) return engine;
    } catch (error) {
      if (isUseless(error)) rmSync(path, { force: true });
      else if (!isMissing(error) && !isLocked(error)) break;
    }
    try {
      await mkdir(folder, { recursive: true });
      await update(await open('READ_WRITE'), root);
    } catch (error) {
      if (performance.now() > end || !(isLocked(error) || isUseless(error))) break;
      if (isUseless(error)) rmSync(path, { force: true });
      await new Promise((resolve) => setTimeout(resolve, LOCKED_AGAIN_MS));
    }
  }
  // It cannot be used, or somebody holds it for long: the files are the truth, so all goes without it.
  const engine = await open('READ_WRITE', ':memory:');
  await fill(engine, root);
  return engine;
}

/** What has changed; closes the engine if anything has. */
async function changesOrClose(engine: Engine, root: string): Promise<Changes | null> {
  try {
    const changes = await findChanges(engine.connection, root);
    if (changes.fresh.length + changes.stale.length === 0) return null;
    engine.close();
    return changes;
  } catch (error) {
    engine.close();
    throw error;
  }
}

async function update(engine: Engine, root: string): Promise<void> {
  try {
    await fill(engine, root);
  } finally {
    engine.close();
  }
}

async function fill({ connection }: Engine, root: string): Promise<void> {
  const tables = await connection.runAndReadAll(
    "SELECT 1 FROM duckdb_tables() WHERE table_name = '_ingested'",
  );
  if (tables.currentRowCount === 0) for (const statement of CREATE) await connection.run(statement);
  // Which line came first matters to nobody, and keeping the order costs memory.
  await connection.run('SET preserve_insertion_order = false');
  await applyChanges(connection, await findChanges(connection, root));
}

async function loadEngine(): Promise<typeof import('@duckdb/node-api')> {
  try {
    return await import('@duckdb/node-api');
  } catch (error) {
    throw new ResultError(
      `SQL needs the optional package @duckdb/node-api, which cannot be loaded (${(error as Error).message}); ` +
        'install it with npm install, or use `fusee results export`',
      { cause: error },
    );
  }
}

const says = (error: unknown, pattern: RegExp): boolean =>
  error instanceof Error && pattern.test(error.message);
/** By another process, or within this one. */
const isLocked = (error: unknown): boolean =>
  says(error, /lock|already attached|file handle conflict|different configuration/i);
const isMissing = (error: unknown): boolean => says(error, /does not exist/i);
/** Cut short by a crash, or of another version of the engine. */
const isUseless = (error: unknown): boolean =>
  !isLocked(error) &&
  says(error, /not a valid DuckDB|serializ|corrupt|checksum|version|table.*does not exist/i);

/** Values as JSON has them. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const isMap = value.length > 0 && value.every(isEntry);
    return isMap ? Object.fromEntries(value.map((e) => [String(e.key), plain(e.value)])) : value.map(plain);
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
}

const isEntry = (value: unknown): value is { key: unknown; value: unknown } =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'key,value';
