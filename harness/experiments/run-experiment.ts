/** Runs an experiment: its benches as one run, and beside their results what they come to. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../fusee/verbs/index.js';
import { type FigureRow, formatCsv } from '../../plots/figure.js';
import { readRun } from '../../results/stored-run.js';
import { textTable } from '../cli/text-table.js';
import { type BenchHooks, type BenchOutcome, runParts } from '../run/bench.js';
import type { Conclusion, Experiment, Scale } from './experiment.js';

const SCALE_MAX = { clients: 32, repetitions: 100, kills: 10_000 } as const;

/** What an experiment brought; no conclusion when it failed or was interrupted. */
export interface ExperimentOutcome {
  readonly bench: BenchOutcome;
  readonly conclusion: Conclusion | null;
}

/**
 * Runs an experiment. Its run's folder has `conclusion.json` and `.csv` beside rows and events, and figures.
 * @throws UsageError before anything starts; what {@link runParts} throws.
 */
export async function runExperiment(
  experiment: Experiment,
  scale: Scale,
  hooks: BenchHooks,
): Promise<ExperimentOutcome> {
  for (const [name, most] of Object.entries(SCALE_MAX)) {
    const value = scale[name as keyof typeof SCALE_MAX];
    const least = name === 'kills' ? 2 : 1;
    if (value !== undefined && (value < least || value > most)) {
      throw new UsageError(`${name} is ${value}; choose a whole number from ${least} to ${most}`);
    }
  }
  let conclusion: Conclusion | null = null;
  // It is told with figures or without.
  const parts = experiment.parts(scale).map((part) => ({ ...part, figures: true }));
  const bench = await runParts(parts, hooks, {
    experiment: experiment.name,
    draw: async (folder) => {
      conclusion = experiment.conclude(readRun(folder));
      return writeConclusion(folder, conclusion, scale.figures);
    },
  });
  return { bench, conclusion: bench.interrupted ? null : conclusion };
}

async function writeConclusion(
  folder: string,
  conclusion: Conclusion,
  hasFigures: boolean,
): Promise<string[]> {
  const { figures, ...told } = conclusion;
  const paths = { json: join(folder, 'conclusion.json'), csv: join(folder, 'conclusion.csv') };
  writeFileSync(paths.json, `${JSON.stringify(told, null, 1)}\n`);
  writeFileSync(paths.csv, formatCsv(told.table));
  const written: string[] = Object.values(paths);
  if (!hasFigures || figures.length === 0) return written;
  const { writeFigure } = await import('../../plots/ycsb.js');
  for (const figure of figures)
    written.push(...(await writeFigure(figure, { outFolder: join(folder, 'figures') })));
  return written;
}

/** A conclusion for a terminal. */
export function describeConclusion({ title, table, verdicts, notes }: Conclusion): string {
  const heads = Object.keys(table[0] ?? {});
  const lines = [title, ...textTable([heads, ...table.map((row) => heads.map((head) => cell(row[head])))])];
  if (verdicts.length > 0) {
    const said = { true: 'holds', false: 'DOES NOT HOLD', null: 'unknown' };
    const rows = verdicts.map(({ text, asked, measured, holds }) => [
      text,
      asked,
      measured,
      said[`${holds}` as keyof typeof said],
    ]);
    lines.push('', ...textTable([['what', 'asked', 'measured', ''], ...rows]));
  }
  return `${[...lines, '', ...notes.map((note) => `note: ${note}`)].join('\n')}\n`;
}

function cell(value: FigureRow[string]): string {
  if (value === null) return '-';
  if (typeof value === 'string' || Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 3);
}
