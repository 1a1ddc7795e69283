/**
 * Values and claims that Shen et al. published (FUSEE, FAST 2023), digitised from the figures. They are drawn
 * as published, never as measured here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { ResultError } from './error.js';
import { parseAs } from './versions.js';

const axisSchema = z.strictObject({ label: z.string().min(1), unit: z.string() });

const pointSchema = z.tuple([z.union([z.number(), z.string()]), z.number().nullable()]);

/** Single figures carry more about a series (percentiles of a CDF), which is kept as it is. */
const paperSeriesSchema = z.looseObject({ name: z.string().min(1), points: z.array(pointSchema).min(1) });

const paperFigureSchema = z.looseObject({
  /** Number of the figure or panel, such as "13a", or "Table 1". */
  figure: z.string().min(1),
  title: z.string().min(1),
  x: axisSchema,
  y: axisSchema,
  series: z.array(paperSeriesSchema).min(1),
  /** What the paper says about how it was measured. */
  setup: z.string(),
  extracted: z.string(),
  note: z.string(),
  /** Where the paper's text and figure disagree. */
  text_check: z.string(),
});

const claimSchema = z.strictObject({
  figure: z.string().min(1),
  claim: z.string().min(1),
  source: z.string().min(1),
});

/**
 * One figure, or one panel of one. A point is [x, y]; y is null where a system does not support the
 * operation.
 */
export type PaperFigure = z.infer<typeof paperFigureSchema>;
/** One curve, or one set of bars. */
export type PaperSeries = z.infer<typeof paperSeriesSchema>;
/** Something the paper says a figure shows. */
export type PaperClaim = z.infer<typeof claimSchema>;

const CLAIMS_FILE = 'claims.json';

/**
 * The panels of figure `id`, such as "fig13" or "table1"; an empty list when that figure was not digitised.
 * @throws ResultError naming the file and the fields that are wrong.
 */
export const loadPaperFigure = (id: string, folder = paperFolder()): PaperFigure[] => {
  const path = join(folder, `${id}.json`);
  if (!existsSync(path)) return [];
  const value = readJson(path);
  return parseAs(z.array(paperFigureSchema).min(1), path, () => (Array.isArray(value) ? value : [value]));
};

/** The ids {@link loadPaperFigure} knows, sorted. */
export const listPaperFigures = (folder = paperFolder()): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== CLAIMS_FILE)
    .map((name) => name.slice(0, -'.json'.length))
    .sort();

/** Everything the paper claims that is held against our results. */
export const loadPaperClaims = (folder = paperFolder()): PaperClaim[] => {
  const path = join(folder, CLAIMS_FILE);
  return parseAs(z.array(claimSchema).min(1), path, () => readJson(path));
};

/** The compiled program stands in `dist/`, where the compiler copies no data, or in a bundle further down. */
const paperFolder = (): string => {
  for (const relative of ['./paper', '../../results/paper', '../../../results/paper']) {
    const folder = fileURLToPath(new URL(relative, import.meta.url));
    if (existsSync(join(folder, CLAIMS_FILE))) return folder;
  }
  throw new ResultError('the published values (results/paper) are missing from this installation');
};

const readJson = (path: string): unknown => {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ResultError(`${path}: ${(error as Error).message}`, { cause: error });
  }
};
