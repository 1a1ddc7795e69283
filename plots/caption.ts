/** The line under a figure's title: what its numbers hold for, and how far they can be trusted. */
import type { ResultRow } from '../results/schema.js';
import type { StoredRun } from '../results/stored-run.js';

/** A caption, and whether nothing in it warns against the numbers. */
export interface Caption {
  readonly parts: readonly string[];
  readonly trusted: boolean;
}

/** Caption of a figure over all rows of a run. Settings that differ between rows are all named. */
export const runCaption = (run: Pick<StoredRun, 'rows' | 'provenance' | 'status'>): Caption => {
  const { rows, provenance } = run;
  const warnings = warningsOf(run);
  const rttNs = distinct(rows, (row) => row.rttNs);
  const parts = [
    distinct(rows, (row) => row.system).join(', '),
    distinct(rows, (row) => fabricLabel(row.fabric)).join(', '),
    ...(rttNs.some((ns) => ns > 0) ? [`${rttNs.map((ns) => ns / 1000).join('/')} µs added per RTT`] : []),
    plural(
      distinct(rows, (row) => row.clients),
      'client',
    ),
    plural(
      distinct(rows, (row) => row.coroutines),
      'coroutine',
    ),
    plural(
      distinct(rows, (row) => row.nodes),
      'MN',
    ),
    `${distinct(rows, (row) => row.kvBytes).join('/')} B KV`,
    `seed ${distinct(rows, (row) => row.seed).join(', ')}`,
    commitLabel(provenance),
    ...(warnings.length > 0 ? warnings : ['trust ok']),
  ];
  return { parts, trusted: warnings.length === 0 };
};

/** A fabric as readers should see it: shared memory is no network, and the simulator measures nothing. */
export const fabricLabel = (fabric: string): string => {
  if (fabric === 'shm') return 'shm (no network)';
  if (fabric === 'sim') return 'sim (simulated)';
  return fabric;
};

const warningsOf = ({ rows, status }: Pick<StoredRun, 'rows' | 'status'>): string[] => {
  const warnings: string[] = [];
  if (status.state !== 'finished') warnings.push(`RUN ${status.state.toUpperCase()}`);
  const verdicts = distinct(rows, (row) => row.trust?.verdict ?? 'unchecked');
  const worst = ['unusable', 'noisy', 'unchecked'].find((verdict) =>
    (verdicts as string[]).includes(verdict),
  );
  if (worst !== undefined) {
    const reasons = distinct(
      rows.flatMap((row) => row.trust?.reasons ?? []),
      (reason) => reason,
    );
    warnings.push(`trust ${worst}${reasons.length > 0 ? `: ${reasons.join(', ')}` : ''}`);
  }
  const wrong = total(rows, (row) => row.wrongValues);
  const lost = total(rows, (row) => row.lostKeys);
  if (wrong > 0) warnings.push(`${wrong} WRONG VALUES`);
  if (lost > 0) warnings.push(`${lost} LOST KEYS`);
  if (rows.some((row) => row.linearizable === false)) warnings.push('NOT LINEARIZABLE');
  return warnings;
};

const commitLabel = ({ commit, dirty, dirtyHash }: StoredRun['provenance']): string => {
  if (commit === null) return 'no commit';
  return `commit ${commit.slice(0, 8)}${dirty ? ` + changes ${dirtyHash?.slice(0, 6) ?? ''}`.trimEnd() : ''}`;
};

const distinct = <T, V>(values: readonly T[], of: (value: T) => V): V[] => [...new Set(values.map(of))];

const total = (rows: readonly ResultRow[], of: (row: ResultRow) => number | null): number =>
  rows.reduce((sum, row) => sum + (of(row) ?? 0), 0);

const plural = (counts: readonly number[], noun: string): string =>
  `${counts.join('/')} ${noun}${counts.length === 1 && counts[0] === 1 ? '' : 's'}`;
