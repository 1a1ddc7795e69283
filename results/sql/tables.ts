/** The tables that SQL sees of all runs, and how lines get into them. */
import type * as z from 'zod';
import { SEAL_DIGITS, SEAL_LENGTH } from '../lines.js';
import { provenanceSchema } from '../provenance.js';
import {
  attemptSchema,
  resultRowSchema,
  runEventSchema,
  SCHEMA_VERSION,
  seriesPointSchema,
} from '../schema.js';
import { RunFile } from '../store.js';
import { columnsOf, type SqlShape } from './types.js';

/** A table that holds the lines of one file of each run. */
export interface LineTable {
  readonly name: string;
  readonly file: string;
  readonly schema: z.ZodType;
}

/** Tables of lines; their views have the same names without the underscore. */
export const LINE_TABLES: readonly LineTable[] = [
  { name: '_rows', file: RunFile.ROWS, schema: resultRowSchema },
  { name: '_series', file: RunFile.SERIES, schema: seriesPointSchema },
  { name: '_events', file: RunFile.EVENTS, schema: runEventSchema },
  { name: '_attempts', file: RunFile.ATTEMPTS, schema: attemptSchema },
];

/** What is known of a run: its status, and its provenance, field by field. */
export const RUN_COLUMNS: { readonly [field: string]: SqlShape } = {
  runId: 'VARCHAR',
  experiment: 'VARCHAR',
  state: 'VARCHAR',
  folder: 'VARCHAR',
  started: 'VARCHAR',
  ended: 'VARCHAR',
  reason: 'VARCHAR',
  settings: 'JSON',
  ...columnsOf(provenanceSchema),
};

/** What cannot be read. */
export const DAMAGE_COLUMNS = { runId: 'VARCHAR', file: 'VARCHAR', line: 'BIGINT', reason: 'VARCHAR' };

/** A text as SQL has it. */
export const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** `json` as a struct of these columns. */
export const transform = (json: string, columns: SqlShape): string =>
  `json_transform(${json}, ${quote(JSON.stringify(columns))})`;

/** Every table and view. What was taken from another run is in `all_rows` only. */
export const CREATE: readonly string[] = [
  `CREATE TABLE runs AS SELECT r.* FROM (SELECT ${transform("'{}'", RUN_COLUMNS)} AS r) LIMIT 0`,
  `CREATE TABLE damage AS SELECT r.* FROM (SELECT ${transform("'{}'", DAMAGE_COLUMNS)} AS r) LIMIT 0`,
  'CREATE TABLE _ingested (folder VARCHAR, fingerprint VARCHAR, runId VARCHAR)',
  ...LINE_TABLES.map(
    ({ name, schema }) =>
      `CREATE TABLE ${name} AS SELECT '' AS runId, '' AS _path, true AS _isSound, r.* ` +
      `FROM (SELECT ${transform("'{}'", columnsOf(schema))} AS r) LIMIT 0`,
  ),
  'CREATE VIEW all_rows AS SELECT * EXCLUDE (_path, _isSound) FROM _rows',
  'CREATE VIEW rows AS SELECT * FROM all_rows WHERE reusedFrom IS NULL',
  ...LINE_TABLES.slice(1).map(
    ({ name }) => `CREATE VIEW ${name.slice(1)} AS SELECT * EXCLUDE (_path, _isSound) FROM ${name}`,
  ),
];

/** A line's seal fits what stands before it (`lines.ts`). */
const IS_SEALED =
  `coalesce(substr(md5(substr(line, 1, length(line) - ${SEAL_LENGTH}) || '}'), 1, ${SEAL_DIGITS}) = ` +
  `substr(line, -${SEAL_DIGITS + 2}, ${SEAL_DIGITS}), false)`;

/**
 * Reads files into a table, at the engine's speed: a line that is sealed was checked when it was written. All
 * others are in the table too, as unsound, so that their files are known and can be read with care.
 * @param files each file, and the run that it belongs to.
 */
export const ingestLines = (
  { name, schema }: LineTable,
  files: readonly { readonly path: string; readonly runId: string }[],
): string => {
  const paths = `[${files.map(({ path }) => quote(path)).join(', ')}]`;
  const runs = `MAP {${files.map(({ path, runId }) => `${quote(path)}: ${quote(runId)}`).join(', ')}}`;
  const isSound = schema === resultRowSchema ? `sealed AND r.schemaVersion = ${SCHEMA_VERSION}` : 'sealed';
  const runId = files.length === 1 ? quote(files[0].runId) : `element_at(${runs}, filename)[1]`;
  return (
    `INSERT INTO ${name} SELECT ${runId}, filename, coalesce(${isSound}, false), r.* FROM (` +
    `SELECT filename, ${IS_SEALED} AS sealed, ${transform('line', columnsOf(schema))} AS r FROM (` +
    'SELECT json::VARCHAR AS line, filename FROM ' +
    `read_ndjson_objects(${paths}, ignore_errors = true, filename = true)))`
  );
};
