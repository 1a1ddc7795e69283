import { requireOneOf, WorkloadError } from './errors.js';

/** The workloads a run can name. */
export type WorkloadName = (typeof workloadNames)[number];

/** All names, as a usage message lists them. */
export const workloadNames = [
  'ycsb-a',
  'ycsb-b',
  'ycsb-c',
  'ycsb-d',
  'ycsb-f',
  'micro-insert',
  'micro-update',
  'micro-search',
  'micro-delete',
  'mix',
  'trace',
] as const;

/**
 * How the key of a request is chosen; `sequential` goes round a coroutine's own keys in order of insertion.
 */
export type Distribution = 'zipfian' | 'latest' | 'uniform' | 'sequential';

/** The share of requests of each kind; they add up to 1, but for `trace`, whose file decides. */
export interface RequestShares {
  readonly search: number;
  readonly update: number;
  readonly insert: number;
  readonly remove: number;
  readonly readModifyWrite: number;
}

/** What a workload is, without its sizes and its seed. */
export interface WorkloadSpec {
  readonly name: WorkloadName;
  readonly shares: RequestShares;
  readonly distribution: Distribution;
  /** Keys all clients share, keys private to each coroutine, or the keys of a trace file. */
  readonly keySpace: 'shared' | 'private' | 'trace';
}

/** What a caller may choose about a workload beyond its name. */
export interface WorkloadSpecOptions {
  /** `mix` only, where it is required: the share of SEARCH, 0 to 1; the rest is UPDATE. */
  readonly searchRatio?: number;
  /** `mix`: zipfian (default) or uniform. UPDATE and SEARCH of `micro`: sequential (default) or uniform. */
  readonly distribution?: Distribution;
}

const none: RequestShares = { search: 0, update: 0, insert: 0, remove: 0, readModifyWrite: 0 };

function shared(
  name: WorkloadName,
  shares: Partial<RequestShares>,
  distribution: Distribution,
): WorkloadSpec {
  return { name, shares: { ...none, ...shares }, distribution, keySpace: 'shared' };
}

function micro(name: WorkloadName, shares: Partial<RequestShares>): WorkloadSpec {
  return { name, shares: { ...none, ...shares }, distribution: 'sequential', keySpace: 'private' };
}

/** YCSB's `workloads/workload{a,b,c,d,f}`, and the paper's microbenchmarks (FUSEE section 6.2). */
const specs: Record<WorkloadName, WorkloadSpec> = {
  'ycsb-a': shared('ycsb-a', { search: 0.5, update: 0.5 }, 'zipfian'),
  'ycsb-b': shared('ycsb-b', { search: 0.95, update: 0.05 }, 'zipfian'),
  'ycsb-c': shared('ycsb-c', { search: 1 }, 'zipfian'),
  'ycsb-d': shared('ycsb-d', { search: 0.95, insert: 0.05 }, 'latest'),
  'ycsb-f': shared('ycsb-f', { search: 0.5, readModifyWrite: 0.5 }, 'zipfian'),
  'micro-insert': micro('micro-insert', { insert: 1 }),
  'micro-update': micro('micro-update', { update: 1 }),
  'micro-search': micro('micro-search', { search: 1 }),
  'micro-delete': micro('micro-delete', { remove: 1 }),
  mix: shared('mix', {}, 'zipfian'),
  trace: { name: 'trace', shares: none, distribution: 'sequential', keySpace: 'trace' },
};

/** The distributions a caller may choose from, for the workloads that leave a choice. */
const choices: Partial<Record<WorkloadName, readonly Distribution[]>> = {
  mix: ['zipfian', 'uniform'],
  'micro-update': ['sequential', 'uniform'],
  'micro-search': ['sequential', 'uniform'],
};

/**
 * The workload of a name. Throws `WorkloadError` for a name that is unknown, for YCSB's workload E, and for
 * an option the workload does not have.
 */
export function workloadSpec(name: string, options: WorkloadSpecOptions = {}): WorkloadSpec {
  if (name === 'ycsb-e') {
    throw new WorkloadError(
      "workload 'ycsb-e' scans ranges of keys, and a hash index has no scans: " +
        'choose ycsb-a, ycsb-b, ycsb-c, ycsb-d or ycsb-f',
    );
  }
  const known = requireOneOf('workload', name, workloadNames);
  const spec = specs[known];
  return {
    ...spec,
    shares: known === 'mix' ? mixShares(options.searchRatio) : spec.shares,
    distribution: chosenDistribution(spec, options),
  };
}

function mixShares(searchRatio: number | undefined): RequestShares {
  if (searchRatio !== undefined && searchRatio >= 0 && searchRatio <= 1) {
    return { ...none, search: searchRatio, update: 1 - searchRatio };
  }
  throw new WorkloadError(
    `workload 'mix' has the search ratio ${String(searchRatio)}, but needs one from 0 (UPDATE only) to 1 (SEARCH only)`,
  );
}

function chosenDistribution(spec: WorkloadSpec, options: WorkloadSpecOptions): Distribution {
  if (options.searchRatio !== undefined && spec.name !== 'mix') {
    throw new WorkloadError(
      `workload '${spec.name}' has fixed shares, so the search ratio ${options.searchRatio} cannot apply: use 'mix'`,
    );
  }
  const wanted = options.distribution ?? spec.distribution;
  const allowed = choices[spec.name] ?? [spec.distribution];
  if (allowed.includes(wanted)) return wanted;
  throw new WorkloadError(
    `workload '${spec.name}' cannot be ${wanted}, only ${allowed.join(' or ')}: use 'mix' for another distribution`,
  );
}
