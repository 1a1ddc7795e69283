/** The results of long-running checks, for a person. */
import { percent, textTable } from '../cli/text-table.js';
import type { EnduranceResult } from './endure.js';
import { type GrowthResult, SEARCH_FACTOR_MOST, SPLIT_LOAD_LEAST } from './grow.js';
import { GROWTH_MAX, THROUGHPUT_LEAST } from './summary.js';

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
const thousands = (n: number): string => (n / 1000).toFixed(1);
const verdict = (holds: boolean): string => (holds ? 'held' : 'MISSED');
const micros = (ns: number | undefined): string => (ns === undefined ? 'none' : (ns / 1000).toFixed(1));

/** A row per load. */
export function enduranceTable(results: readonly EnduranceResult[]): string[] {
  const head = [
    'load',
    'pool MiB',
    'live',
    'written MiB',
    'times',
    's',
    'blocks',
    'warm',
    'most',
    'growth',
    'in use',
    'first kops/s',
    'last kops/s',
    'ratio',
    'per CPU s',
    'noise',
    'wrong',
    'fsck',
    'garbage',
  ];
  const rows = results.map((r) => [
    r.load,
    mib(r.dataBytes),
    percent(r.liveShare),
    mib(r.bytesWritten),
    (r.bytesWritten / r.dataBytes).toFixed(1),
    r.seconds.toFixed(1),
    r.blocksTotal,
    r.memory.atWarm,
    r.memory.most,
    percent(r.memory.growth),
    percent(r.inUse.growth),
    thousands(r.throughput.first),
    thousands(r.throughput.last),
    r.throughput.ratio.toFixed(2),
    r.throughput.cpuRatio.toFixed(2),
    percent(r.throughput.spread),
    r.faults.count,
    r.findings.count + r.findingsAfterLeave.count,
    r.garbageBytes,
  ]);
  return [...textTable([head, ...rows]), ...results.flatMap(enduranceVerdicts)];
}

function enduranceVerdicts({ load, memory, inUse, throughput, failures }: EnduranceResult): string[] {
  const isFlat = memory.isFlat && inUse.isFlat;
  const isFast = throughput.ratio >= THROUGHPUT_LEAST;
  return [
    `${load}: memory grows by at most ${percent(GROWTH_MAX)} behind the warm-up: ${verdict(isFlat)}; ` +
      `last tenth at least ${THROUGHPUT_LEAST} of the first: ${verdict(isFast)}`,
    ...failures.map((failure) => `${load}: FAILED: ${failure}`),
  ];
}

/** A row per size of subtables. */
export function growthTable(results: readonly GrowthResult[]): string[] {
  const head = [
    'groups',
    'keys',
    's',
    'kinserts/s',
    'subtables',
    'load at split',
    'least',
    'at end',
    'split ms p50',
    'p99',
    'most',
    'in splits',
    'searches',
    'p99 us beside',
    'quiet',
    'factor',
    'wrong',
    'fsck',
  ];
  const rows = results.map((r) => [
    r.groups,
    r.keys,
    r.seconds.toFixed(1),
    thousands(r.insertsPerSecond),
    r.subtables,
    r.load.mean.toFixed(3),
    r.load.least.toFixed(3),
    r.loadAtEnd.toFixed(3),
    r.splitMs.median.toFixed(1),
    r.splitMs.p99.toFixed(1),
    r.splitMs.most.toFixed(1),
    percent(r.splitShare),
    r.searches,
    micros(r.search.beside?.p99),
    micros(r.search.quiet?.p99),
    r.searchFactor === null ? 'none' : r.searchFactor.toFixed(2),
    r.faults.count,
    r.findings.count + r.findingsAfterLeave.count,
  ]);
  return [...textTable([head, ...rows]), ...results.flatMap(growthVerdicts)];
}

function growthVerdicts({ groups, rates, load, searchFactor, failures }: GrowthResult): string[] {
  const isQuick = searchFactor !== null && searchFactor <= SEARCH_FACTOR_MOST;
  return [
    `${groups} groups: kinserts/s by tenth of the run: ${rates.map(thousands).join(' ')}`,
    `${groups} groups: load at splits above ${SPLIT_LOAD_LEAST}: ${verdict(load.mean > SPLIT_LOAD_LEAST)}; ` +
      `SEARCH p99 beside splits at most ${SEARCH_FACTOR_MOST} times that in quiet: ${verdict(isQuick)}`,
    ...failures.map((failure) => `${groups} groups: FAILED: ${failure}`),
  ];
}
