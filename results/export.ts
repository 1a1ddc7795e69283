/** Rows for other tools: flat, with the provenance of their run, as CSV or NDJSON. */
import type { Provenance } from './provenance.js';
import type { ResultRow } from './schema.js';

/** Forms in which rows can leave. */
export const EXPORT_FORMATS = ['csv', 'ndjson', 'json'] as const;
/** One of {@link EXPORT_FORMATS}. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** A row and where it comes from. */
export interface ExportedRow {
  readonly runId: string;
  readonly row: ResultRow;
  readonly provenance: Provenance;
}

/** The text of an export. CSV has a column for each path of a value, such as `latencyNs.search.p99`. */
export const exportRows = (rows: readonly ExportedRow[], format: ExportFormat): string => {
  const objects = rows.map(({ runId, row, provenance }) => ({ runId, ...row, provenance }));
  if (format === 'json') return `${JSON.stringify(objects, null, 1)}\n`;
  if (format === 'ndjson') return objects.map((one) => `${JSON.stringify(one)}\n`).join('');
  const flat = objects.map((one) => flatten(one, ''));
  const columns = [...new Set(flat.flatMap((one) => [...one.keys()]))];
  const lines = flat.map((one) => columns.map((column) => csvCell(one.get(column))).join(','));
  return [columns.map(csvCell).join(','), ...lines, ''].join('\r\n');
};

/** Lists stay whole, as JSON. */
const flatten = (value: object, prefix: string): Map<string, unknown> => {
  const flat = new Map<string, unknown>();
  for (const [key, part] of Object.entries(value)) {
    const path = `${prefix}${key}`;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) flat.set(path, part);
    else for (const [inner, leaf] of flatten(part, `${path}.`)) flat.set(inner, leaf);
  }
  return flat;
};

/** null is an empty cell; an empty text is quoted. RFC 4180. */
const csvCell = (value: unknown): string => {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
