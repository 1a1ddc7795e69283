/**
 * The lines of a run's NDJSON files. Each is sealed: its last field, `check`, is a hash of what stands before
 * it, so that a line that was changed, cut short or run together with another is known as damaged, also when
 * it is still JSON that the schema would take. A damaged line is reported and skipped; its neighbours stand.
 * Lines of runs from before version 3 have no seal, and are held to the schema alone.
 */
import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { ResultError } from './error.js';
import type { ResultRow } from './schema.js';
import { parseAs, parseRow } from './versions.js';

/** Hexadecimal digits of a seal: the first of the MD5 of the line without it. */
export const SEAL_DIGITS = 8;
/** Characters of the seal at the end of a line, its closing brace included. */
export const SEAL_LENGTH = ',"check":""}'.length + SEAL_DIGITS;
/** Version from which on rows are sealed. */
const SEALED_SINCE = 3;
const SEALED = /,"check":"([0-9a-f]{8})"\}$/;

/** What cannot be read, where, and why. */
export interface Damage {
  readonly file: string;
  /** Counts from 1; null: the file as a whole. */
  readonly line: number | null;
  readonly reason: string;
}

/** A line, or a file, that cannot be read, as text. */
export const describeDamage = ({ file, line, reason }: Damage): string =>
  `${file}${line === null ? '' : `:${line}`}: ${reason}`;

const sealOf = (json: string): string => createHash('md5').update(json).digest('hex').slice(0, SEAL_DIGITS);

/** One line, without its line break, for an object that is not empty. */
export const sealLine = (value: object): string => sealBeside(value, '');

/** The same for an object that goes with another line of text: the seal holds both. */
export const sealBeside = (value: object, beside: string): string => {
  const json = JSON.stringify(value);
  return `${json.slice(0, -1)},"check":"${sealOf(json + beside)}"}`;
};

/**
 * What {@link sealLine} or {@link sealBeside} wrote, or the JSON of a line without a seal.
 * @throws ResultError when the line is not JSON or its seal is broken.
 */
export const openLine = (
  line: string,
  beside = '',
): { readonly value: unknown; readonly isSealed: boolean } => {
  const seal = SEALED.exec(line)?.[1];
  const json = seal === undefined ? line : `${line.slice(0, -SEAL_LENGTH)}}`;
  if (seal !== undefined && sealOf(json + beside) !== seal) {
    throw new ResultError('the line was changed after it was written: its check does not fit');
  }
  try {
    return { value: JSON.parse(json), isSealed: seal !== undefined };
  } catch (error) {
    throw new ResultError(`not JSON (${(error as Error).message})`, { cause: error });
  }
};

/** The lines that can be read, checked against `schema`, and what cannot. */
export const readNdjson = <T>(schema: z.ZodType<T>, text: string, file: string) =>
  readLines(text, file, (value) => parseAs(schema, 'line', () => value));

/** The rows that can be read, of this and of older versions, and what cannot. */
export const readRows = (text: string, file: string): { values: ResultRow[]; damage: Damage[] } =>
  readLines(text, file, (value, isSealed) => {
    const row = parseRow(value, 'line');
    const { schemaVersion } = value as { schemaVersion: number };
    if (!isSealed && schemaVersion >= SEALED_SINCE) throw new ResultError('the line has lost its check');
    return row;
  });

/** Empty lines are skipped. */
const readLines = <T>(
  text: string,
  file: string,
  parse: (value: unknown, isSealed: boolean) => T,
): { values: T[]; damage: Damage[] } => {
  const values: T[] = [];
  const damage: Damage[] = [];
  for (const [number, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      const { value, isSealed } = openLine(line);
      values.push(parse(value, isSealed));
    } catch (error) {
      if (!(error instanceof ResultError)) throw error;
      damage.push({ file, line: number + 1, reason: error.message.replace(/^line: /, '') });
    }
  }
  return { values, damage };
};
