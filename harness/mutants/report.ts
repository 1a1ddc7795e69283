/** What a run of mutants came to: a table, the survivors, and whether it is good enough. */
import { markdownTable } from '../check/markdown-table.js';
import { EQUIVALENTS } from './equivalents.js';
import { diffOf } from './mutant.js';
import type { Verdict } from './runner.js';

/** Of the mutants that are not equivalent, at least this share must be caught. */
const SHARE_LEAST = 0.95;

/** The sum of a run. */
export interface Summary {
  readonly mutants: number;
  readonly caught: number;
  /** Survivors that change nothing, as explained beside. */
  readonly equivalent: number;
  /** Survivors that nobody has explained. */
  readonly unexplained: readonly Verdict[];
  /** Caught, of those that are not equivalent. */
  readonly share: number;
  readonly isGood: boolean;
}

const isEquivalent = ({ mutant, caughtBy }: Verdict): boolean =>
  caughtBy === undefined && EQUIVALENTS[mutant.id] !== undefined;

/** Counts. */
export function summarize(verdicts: readonly Verdict[]): Summary {
  const caught = verdicts.filter((v) => v.caughtBy !== undefined).length;
  const equivalent = verdicts.filter(isEquivalent).length;
  const unexplained = verdicts.filter((v) => v.caughtBy === undefined && !isEquivalent(v));
  const share = caught / Math.max(1, verdicts.length - equivalent);
  const isGood = share >= SHARE_LEAST && unexplained.length === 0;
  return { mutants: verdicts.length, caught, equivalent, unexplained, share, isGood };
}

const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 3)}...`;

/** One mutant as one line, for a run that is watched. */
export function lineOf(verdict: Verdict): string {
  const { mutant, caughtBy, reason, seconds } = verdict;
  const fate = caughtBy ?? (isEquivalent(verdict) ? 'equivalent' : reason.toUpperCase());
  const place = `${mutant.file}:${mutant.line}`;
  return `${seconds.toFixed(1).padStart(5)} s  ${mutant.id}  ${place}  ${cut(fate, 100)}`;
}

/** All mutants as a Markdown table, then the survivors with their changes. */
export function tableOf(verdicts: readonly Verdict[], textOf: (file: string) => string): string {
  const head = ['mutant', 'place', 'operator', 'change', 'caught by', 'seconds'];
  const rows = verdicts.map((verdict) => {
    const { mutant, caughtBy, reason, seconds } = verdict;
    const fate = caughtBy === undefined ? (isEquivalent(verdict) ? 'equivalent' : reason) : caughtBy;
    return [
      mutant.id,
      `${mutant.file}:${mutant.line}`,
      mutant.operator,
      cut(mutant.told, 110),
      caughtBy === undefined ? `**${fate}**` : `${cut(fate, 120)} (${cut(reason, 70)})`,
      seconds.toFixed(1),
    ];
  });
  const lines = markdownTable(head, rows);
  const survivors = verdicts
    .filter((v) => v.caughtBy === undefined)
    .map((v) => `${diffOf(textOf(v.mutant.file), v.mutant)}\n= ${EQUIVALENTS[v.mutant.id] ?? v.reason}`);
  return [...lines, '', ...survivors.flatMap((text) => [text, '']), sumOf(summarize(verdicts))].join('\n');
}

function sumOf({ mutants, caught, equivalent, unexplained, share }: Summary): string {
  return (
    `${mutants} mutants: ${caught} caught, ${equivalent} equivalent, ${unexplained.length} not explained; ` +
    `${(100 * share).toFixed(1)} % of those that differ are caught (${100 * SHARE_LEAST} % needed)`
  );
}
