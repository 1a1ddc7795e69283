/** Rows as older versions wrote them, brought up to today's. */
import type * as z from 'zod';
import { ResultError } from './error.js';
import { type ResultRow, resultRowSchema, SCHEMA_VERSION } from './schema.js';

/** Turns a row of the version it is filed under into one of the next version. */
export type Migration = (row: Record<string, unknown>) => Record<string, unknown>;

/** One entry for each version older than {@link SCHEMA_VERSION}. */
const MIGRATIONS: Readonly<Record<number, Migration>> = {
  // Nothing could be injected then.
  1: (row) => ({ ...row, faults: null }),
  // All loops were closed, and cells had no keys.
  2: (row) => ({ ...row, cellKey: null, reusedFrom: null, responseNs: null, openLoop: null }),
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
