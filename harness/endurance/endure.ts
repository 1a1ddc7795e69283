/** The endurance check: many times its size is written to a pool, whose memory must neither grow nor rot. */
import { fsck, memoryStats } from '../../fusee/client/fsck.js';
import { describeFinding, type PoolReport } from '../../fusee/fsck/index.js';
import { SERIES_MS } from '../run/recorder.js';
import { CHURN_CYCLE } from './loads.js';
import type { Faults, WorkerPlan } from './messages.js';
import { Observer } from './observer.js';
import { type CheckHooks, mergeFaults, type Party, withParty } from './party.js';
import { type EnduranceLoad, type EnduranceSize, planEndurance } from './plan.js';
import {
  type CellBytes,
  type CellFlatness,
  cellFlatness,
  type Flatness,
  flatness,
  type MemorySample,
  mergeSeries,
  type Throughput,
  throughput,
} from './summary.js';

/** Time between two looks at the block tables, and the looks between two at the cells. */
const SAMPLE_MS = 100;
const SAMPLES_PER_LINE = 3;
/** Cells are looked at whenever the run has come so much further: a quick one is looked at as often. */
const CELLS_SHARE = 1 / 24;

/** What an endurance check is told. */
export interface EnduranceOptions extends EnduranceSize {
  readonly load: EnduranceLoad;
  /** Times that the pool's data size is written. */
  readonly times: number;
  readonly seed: number;
  readonly deadlineNs: number;
}

/** What an endurance check brought. */
export interface EnduranceResult {
  readonly load: EnduranceLoad;
  readonly dataBytes: number;
  /** Share of the data regions that live objects took at the end. */
  readonly liveShare: number;
  readonly bytesWritten: number;
  readonly operations: number;
  readonly seconds: number;
  readonly memory: Flatness;
  readonly blocksTotal: number;
  readonly samples: readonly MemorySample[];
  /** Cells of all nodes' primaries, in bytes. */
  readonly cells: readonly CellBytes[];
  readonly inUse: CellFlatness;
  readonly throughput: Throughput;
  readonly faults: Faults;
  readonly keysChecked: number;
  readonly freed: number;
  readonly reclaimed: number;
  /** By fsck, once all clients rest, and once they have left: bytes of garbage, and what does not add up. */
  readonly garbageBytes: number;
  /** What nobody will ever free, when all have left. */
  readonly leakedBytes: number;
  readonly awaitingBytes: number;
  readonly findings: Faults;
  readonly findingsAfterLeave: Faults;
  /** What must hold and does not; empty when all is well. */
  readonly failures: readonly string[];
}

/** Runs the check once. Errors as `withParty`. */
export async function endure(options: EnduranceOptions, hooks: CheckHooks): Promise<EnduranceResult> {
  const { config, load } = planEndurance(options.load, options);
  const pool = `endure-${process.pid}`;
  const { clients, coroutines, seed, deadlineNs } = options;
  const plans = Array.from({ length: clients }, (_, clientIndex): WorkerPlan => {
    return { pool, clientIndex, clients, coroutines, seed, deadlineNs, load };
  });
  return await withParty({ pool, config, plans }, hooks, async (party) => {
    hooks.say(`${options.load}: loading`);
    const loaded = await party.all({ type: 'load' }, 'loaded');
    const bytesMax = options.times * options.dataBytes;
    const observer = new Observer(pool, config);
    let watched: Watched;
    let finished: Awaited<ReturnType<Party['run']>>;
    const startMs = performance.now();
    let seconds = 0;
    try {
      const watching = new AbortController();
      const samples = watch({ pool, party, observer, bytesMax }, watching.signal, (progress) =>
        hooks.say(`${options.load}: ${Math.floor(100 * progress)} % written`),
      );
      party.onProgress = () => {
        // All end together: what one has left to free in the blocks of another, only the other takes back.
        if (writtenBy(party) >= bytesMax) party.stop('run');
      };
      const stop = (): void => party.stop('run');
      finished = await party.run(bytesMax / clients, party.clients, stop).finally(() => watching.abort());
      seconds = (performance.now() - startMs) / 1000;
      watched = await samples;
    } finally {
      observer.close();
    }
    hooks.say(`${options.load}: reading back`);
    const checked = await party.all({ type: 'check' }, 'checked');
    const rested = await party.whileWhole(fsck({ pool }));
    await party.all({ type: 'leave' }, 'left');
    const left = await party.whileWhole(fsck({ pool }));
    const reports = finished.map(({ report }) => report);
    const sum = (of: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((total, report) => total + of(report), 0);
    const result = {
      load: options.load,
      dataBytes: options.dataBytes,
      liveShare: bytesOf(rested, 'live') / options.replicas / options.dataBytes,
      bytesWritten: sum(({ bytes }) => bytes),
      operations: sum(({ operations }) => operations),
      seconds,
      memory: flatness(watched.samples, options.load === 'churn-shift' ? CHURN_CYCLE : null),
      blocksTotal: (config.nodes * config.regionsPerNode * config.regionBytes) / config.blockBytes,
      samples: watched.samples,
      cells: watched.cells,
      inUse: cellFlatness(watched.cells),
      throughput: throughput(mergeSeries(reports.map(({ series }) => series)), SERIES_MS),
      faults: mergeFaults([...loaded, ...finished, ...checked].map(({ faults }) => faults)),
      keysChecked: checked.reduce((total, { keys }) => total + keys, 0),
      freed: sum(({ freed }) => freed),
      reclaimed: sum(({ reclaimed }) => reclaimed),
      garbageBytes: bytesOf(rested, 'garbage'),
      leakedBytes: bytesOf(left, 'garbage') + bytesOf(left, 'unfreed'),
      awaitingBytes: bytesOf(rested, 'awaiting'),
      findings: findingsOf(rested),
      findingsAfterLeave: findingsOf(left),
    };
    return {
      ...result,
      failures: failuresOf(
        result,
        reports.some(({ hasStopped }) => hasStopped),
      ),
    };
  });
}

interface Watched {
  readonly samples: MemorySample[];
  readonly cells: CellBytes[];
}

const writtenBy = (party: Party): number => party.progress.reduce((sum, { bytes }) => sum + bytes, 0);

/** Looks at the pool's memory again and again until it is told to end. */
async function watch(
  { pool, party, observer, bytesMax }: { pool: string; party: Party; observer: Observer; bytesMax: number },
  end: AbortSignal,
  say: (progress: number) => void,
): Promise<Watched> {
  const watched: Watched = { samples: [], cells: [] };
  let next = 0;
  while (!end.aborted) {
    const progress = Math.min(1, writtenBy(party) / bytesMax);
    watched.samples.push({ progress, blocks: await observer.blocks() });
    if (progress >= next) {
      next = progress + CELLS_SHARE;
      watched.cells.push({ progress, ...cellsOf(await memoryStats({ pool })) });
    }
    if (watched.samples.length % SAMPLES_PER_LINE === 0) say(progress);
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
  }
  return watched;
}

function cellsOf({ nodes }: PoolReport): Omit<CellBytes, 'progress'> {
  const classes = nodes.flatMap((node) => node.classes);
  const bytes = (of: (c: (typeof classes)[number]) => number): number =>
    classes.reduce((sum, c) => sum + of(c) * c.cellBytes, 0);
  return {
    live: bytes((c) => c.live),
    tombstones: bytes((c) => c.tombstones),
    awaiting: bytes((c) => c.awaiting + c.free),
  };
}

const bytesOf = ({ nodes }: PoolReport, category: 'live' | 'garbage' | 'unfreed' | 'awaiting'): number =>
  nodes.reduce((sum, { bytes }) => sum + (bytes?.[category] ?? 0), 0);

/** The findings of a walk, as faults. */
export const findingsOf = ({ findings, findingCount }: PoolReport): Faults => ({
  count: findingCount,
  examples: findings.slice(0, 5).map(describeFinding),
});

function failuresOf(result: Omit<EnduranceResult, 'failures'>, hasStopped: boolean): string[] {
  const { faults, findings, findingsAfterLeave, memory, inUse, garbageBytes, leakedBytes } = result;
  const failures: string[] = [];
  if (faults.count > 0) failures.push(`${faults.count} requests went wrong: ${faults.examples.join('; ')}`);
  if (findings.count > 0)
    failures.push(`fsck has ${findings.count} findings: ${findings.examples.join('; ')}`);
  if (findingsAfterLeave.count > 0) {
    const { count, examples } = findingsAfterLeave;
    failures.push(`fsck has ${count} findings when all have left: ${examples.join('; ')}`);
  }
  if (!memory.isFlat) {
    const { atWarm, most, samples } = memory;
    failures.push(
      `memory is not flat: ${atWarm} blocks behind the warm-up, then up to ${most} (${samples} samples)`,
    );
  }
  if (!inUse.isFlat) {
    const { first, last, samples } = inUse;
    failures.push(
      `cells in use are not flat: ${first} bytes behind the warm-up, then ${last} (means of ${samples} samples)`,
    );
  }
  if (leakedBytes > 0) failures.push(`${leakedBytes} bytes have leaked`);
  if (garbageBytes > 0) failures.push(`${garbageBytes} bytes are garbage that nobody will free`);
  if (hasStopped) failures.push('a client has given up reclaim, as if a node had died');
  return failures;
}
