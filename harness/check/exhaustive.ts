/**
 * The table behind `fusee verify --exhaustive`: every suite explored to the end, one row each.
 *
 * A suite fails by a violation, by a branch that could not be explored, or, all suites together, by a verdict
 * of the protocol that was never reached: an exploration that never sees Rule 3 says nothing about it.
 */
import { Verdict } from '../../fusee/replication/index.js';
import { story } from './find.js';
import { markdownTable } from './markdown-table.js';
import { FULL_SUITES, LONG_SUITES, SHORT_SUITES, type Suite } from './scenario/suites.js';
import { Exhaustive, type Exploration } from './strategies/exhaustive.js';

/** One suite, explored. */
export interface ExhaustiveRow {
  readonly suite: string;
  readonly scenarios: number;
  /** Clients of its smallest and largest scenario. */
  readonly clients: readonly [number, number];
  readonly replicas: number;
  /** Client crashes, and link failures, that may happen. */
  readonly crashes: number;
  readonly linkFailures: number;
  readonly schedules: number;
  readonly states: number;
  readonly largestStates: number;
  /** Branches that end where a request would have used a fifth object. */
  readonly truncated: number;
  /** Verdicts reached, by name. */
  readonly verdicts: readonly string[];
  readonly milliseconds: number;
  /** The story of each violation, verb by verb. */
  readonly violations: readonly string[];
}

export interface ExhaustiveResult {
  readonly rows: readonly ExhaustiveRow[];
  /** Verdicts that no suite reached. */
  readonly missing: readonly string[];
  /** No violation, nothing missing: the process may exit with 0. */
  readonly isClean: boolean;
}

/** The verdicts that must be reached, by the names of the table. */
const REQUIRED: readonly (readonly [name: string, verdict: number])[] = [
  ['Rule 1', Verdict.RULE_1],
  ['Rule 2', Verdict.RULE_2],
  ['Rule 3', Verdict.RULE_3],
  ['LOSE', Verdict.LOSE],
  ['FINISH', Verdict.FINISH],
  ['FAIL', Verdict.FAIL],
];

/**
 * Explores the suites.
 * @param options.short the table for every push, in place of the whole one.
 * @param options.long the table for a release, behind the whole one.
 * @param options.suites other suites in place of both.
 * @param options.onRow called after each suite.
 */
export function runExhaustive(
  options: {
    short?: boolean;
    long?: boolean;
    suites?: readonly Suite[];
    onRow?: (row: ExhaustiveRow) => void;
  } = {},
): ExhaustiveResult {
  const whole = options.long === true ? [...FULL_SUITES, ...LONG_SUITES] : FULL_SUITES;
  const suites = options.suites ?? (options.short === true ? SHORT_SUITES : whole);
  const rows = suites.map((suite) => {
    const row = exploreSuite(suite);
    options.onRow?.(row);
    return row;
  });
  const reached = new Set(rows.flatMap((row) => row.verdicts));
  const missing = REQUIRED.map(([name]) => name).filter((name) => !reached.has(name));
  const isClean = missing.length === 0 && rows.every((row) => row.violations.length === 0);
  return { rows, missing, isClean };
}

function exploreSuite({ name, scenarios }: Suite): ExhaustiveRow {
  const explorations = scenarios.map((s) => new Exhaustive(s, { countsSchedules: true }).run());
  const sum = (of: (e: Exploration) => number): number => explorations.reduce((total, e) => total + of(e), 0);
  const clients = scenarios.map((s) => s.programs.length);
  const verdicts = explorations.reduce((set, e) => set | e.verdicts, 0);
  const [{ replicas, crashes, cuts }] = scenarios;
  return {
    suite: name,
    scenarios: scenarios.length,
    clients: [Math.min(...clients), Math.max(...clients)],
    replicas,
    crashes,
    linkFailures: cuts,
    schedules: sum((e) => e.schedules ?? 0),
    states: sum((e) => e.states),
    largestStates: Math.max(...explorations.map((e) => e.states)),
    truncated: sum((e) => e.cuts),
    verdicts: REQUIRED.filter(([, verdict]) => (verdicts >> verdict) & 1).map(([verdict]) => verdict),
    milliseconds: sum((e) => e.milliseconds),
    violations: explorations.flatMap(violationOf),
  };
}

function violationOf(exploration: Exploration): string[] {
  const told = story(exploration);
  if (told !== undefined) return [told];
  return exploration.isPartial
    ? [`${exploration.scenario.name}: too many states, not explored to the end`]
    : [];
}

const HEADINGS = [
  'suite',
  'scenarios',
  'clients',
  'r',
  'crashes',
  'links',
  'schedules',
  'states',
  'verdicts',
  'time',
  'result',
];

/** The rows as a Markdown table, and what is missing below it. */
export function exhaustiveTable({ rows, missing }: ExhaustiveResult): string {
  const cells = rows.map((row) => [
    row.suite,
    String(row.scenarios),
    row.clients[0] === row.clients[1] ? String(row.clients[0]) : row.clients.join(' to '),
    String(row.replicas),
    String(row.crashes),
    String(row.linkFailures),
    row.schedules < 1e6 ? String(row.schedules) : row.schedules.toExponential(1),
    String(row.states),
    row.verdicts.join(', '),
    `${(row.milliseconds / 1000).toFixed(1)} s`,
    row.violations.length > 0
      ? `${row.violations.length} VIOLATIONS`
      : row.truncated > 0
        ? `clean, ${row.truncated} cut`
        : 'clean',
  ]);
  const lines = markdownTable(HEADINGS, cells);
  if (missing.length > 0) lines.push('', `Never reached: ${missing.join(', ')}.`);
  return lines.join('\n');
}
