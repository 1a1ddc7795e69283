/** One cell: a pool of its own, its clients, load, measured window, read-back; everything ends with it. */
import { fsck } from '../../fusee/client/fsck.js';
import type { PoolReport } from '../../fusee/fsck/index.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { FabricError } from '../../fusee/verbs/index.js';
import { hashStreams } from '../../workloads/index.js';
import { Conductor, type Injected } from '../fault/conduct.js';
import { lastWordsOf } from '../fault/crash.js';
import type { PlannedFault } from '../fault/plan.js';
import { type Child, PlannedDeath } from './child.js';
import { type CpuTimes, readCpuTimes } from './cpu-times.js';
import { Crew, orAbort } from './crew.js';
import type { ClientPlan, ClientReport, FromClient, Phase, ToClient } from './messages.js';
import { chooseWarmup } from './warmup.js';

/** What a cell reports about its progress. */
export interface CellProgress {
  phase(name: 'start' | 'load' | 'run' | 'check' | 'fsck'): void;
  /** Total operations so far in this phase, and the worst client's latest p99. */
  update(operations: number, p99Ns: number): void;
  /** A fault has been injected, so many ns after the window began. */
  fault?(injected: Injected, windowNs: number): void;
}

/** All that a cell is, resolved. */
export interface CellPlan {
  readonly pool: string;
  readonly config: PoolConfig;
  readonly clients: readonly ClientPlan[];
  /** null: chosen by how fast the load went. */
  readonly warmupMs: number | null;
  /** Longest window; the streams' end may come first. */
  readonly secondsMax: number;
  /** Walk the pool's memory at the end, when nothing moves any more. */
  readonly inspects?: boolean;
  /** What is to go wrong in the window; left out when nothing is. */
  readonly faults?: readonly PlannedFault[];
  /** How many masters run beside it: one leads, the others stand by. @default 0 */
  readonly masters?: number;
  /** @default the store's own */
  readonly leaseMs?: number;
}

/** What a cell brought, or what it had brought when it was interrupted. */
export interface CellOutcome {
  readonly reports: readonly ClientReport[];
  readonly streamHash: string;
  /** null when it was not read back. */
  readonly lostKeys: number | null;
  /** Values that the read-back compared, and how many of them were wrong. */
  readonly checkedAtCheck: number;
  readonly wrongAtCheck: number;
  readonly interrupted: boolean;
  /** What a walk over the pool's memory found; null when nobody looked. */
  readonly memory: PoolReport | null;
  readonly cpuBefore: CpuTimes;
  readonly cpuAfter: CpuTimes;
  readonly warmupMs: number;
  /** Faults that happened, and those that were planned and did not; null when there were none to be. */
  readonly faults: { readonly injected: readonly Injected[]; readonly unmet: readonly string[] } | null;
}

type ClientChild = Child<ToClient, FromClient>;
type ClientCrew = Crew<ToClient, FromClient>;

/**
 * Time between the order to start and the common start: long enough for every process to have received it.
 */
const START_DELAY_NS = 20e6;
/**
 * Share of a client's requests after which the window begins in any case, unless the user chose a warm-up.
 */
const WARM_SHARE = 0.2;
/** Clients at work report five times a second: one that is silent for so long is stuck or stopped. */
const SILENT_MS = 20_000;
/** A master has so long to see to the dead, once nobody dies any more. */
const SETTLE_MS = 30_000;

/**
 * Runs a cell. On abort before the window it throws the abort's reason; later the window closes, what was
 * measured is kept, and the read-back is left out.
 * @throws FabricError when a process fails, dies or falls silent, and when records could not be loaded.
 */
export async function runCell(
  plan: CellPlan,
  progress: CellProgress,
  abort: AbortSignal,
): Promise<CellOutcome> {
  const crew: ClientCrew = new Crew<ToClient, FromClient>(plan.pool, './client-process');
  try {
    progress.phase('start');
    await crew.whileWhole(orAbort(crew.startNodes(plan.config), abort));
    // Where something is to die, somebody must see to what it leaves.
    if ((plan.masters ?? 0) > 0) await crew.whileWhole(orAbort(crew.masters.start(plan), abort));
    const streams = await crew.whileWhole(orAbort(start(plan, crew), abort));
    return await crew.whileWhole(runPhases(plan, crew, { streams, progress, abort }));
  } finally {
    await crew.end();
  }
}

/** The streams of all clients together. */
interface Streams {
  readonly hash: string;
  readonly requests: number;
}

async function start(plan: CellPlan, crew: ClientCrew): Promise<Streams> {
  const prepared = await Promise.all(
    plan.clients.map((clientPlan, i) => {
      const diesByItself = clientPlan.faults?.crashes.length ?? 0;
      const client = crew.addClient(i, (stderr) => diesByItself > 0 && lastWordsOf(stderr) !== null);
      const answer = client.expect('prepared');
      client.tell({ type: 'prepare', plan: clientPlan });
      return answer;
    }),
  );
  const hash =
    prepared.length === 1
      ? prepared[0].streamHash
      : hashStreams(prepared.map(({ streamHash }) => ({ hash: streamHash, length: 1 })));
  return { hash, requests: prepared.reduce((sum, { requests }) => sum + requests, 0) };
}

async function runPhases(
  plan: CellPlan,
  crew: ClientCrew,
  { streams, progress, abort }: { streams: Streams; progress: CellProgress; abort: AbortSignal },
): Promise<CellOutcome> {
  const { clients } = crew;
  let phase: Phase = 'load';
  const stop = (): void => {
    for (const client of clients) client.tell({ type: 'stop', phase });
  };
  abort.throwIfAborted();
  abort.addEventListener('abort', stop);
  try {
    progress.phase('load');
    const loaded = await load(clients, { progress, abort });
    progress.phase('run');
    phase = 'run';
    const warmup = {
      warmupMs: plan.warmupMs ?? chooseWarmup({ requests: streams.requests, ...loaded }),
      // One that nobody chose is a guess, which must not swallow the window.
      warmShare: plan.warmupMs === null ? WARM_SHARE : null,
    };
    const measured = await measure(plan, crew, warmup, { progress, stop });
    const common = { ...measured, streamHash: streams.hash };
    const nothing = { lostKeys: null, checkedAtCheck: 0, wrongAtCheck: 0, memory: null };
    const unchecked = { ...common, ...nothing, interrupted: true };
    if (abort.aborted) return unchecked;

    progress.phase('check');
    phase = 'check';
    const checked = await readBack(clients, progress, plan.faults !== undefined);
    if (abort.aborted) return { ...unchecked, ...checked, lostKeys: null };
    if (plan.inspects !== true) return { ...common, ...checked, memory: null, interrupted: false };

    progress.phase('fsck');
    // What died is recovered by now, or the walk would find what it left half done.
    if ((plan.masters ?? 0) > 0) await crew.masters.settled(SETTLE_MS);
    return { ...common, ...checked, memory: await fsck({ pool: plan.pool }), interrupted: false };
  } finally {
    abort.removeEventListener('abort', stop);
  }
}

/**
 * Returns what it loaded and how long it took. @throws the abort's reason; FabricError when records failed.
 */
async function load(
  clients: readonly ClientChild[],
  { progress, abort }: { progress: CellProgress; abort: AbortSignal },
): Promise<{ loaded: number; loadMs: number }> {
  const startMs = performance.now();
  const loaded = await all(clients, { type: 'load' }, 'loaded', progress);
  abort.throwIfAborted();
  const outcomes = loaded.flatMap((m) => m.outcomes);
  const failures = loaded.reduce((sum, m) => sum + m.failed, 0);
  if (failures === 0) {
    return { loaded: loaded.reduce((sum, m) => sum + m.keys, 0), loadMs: performance.now() - startMs };
  }
  throw new FabricError(
    `${failures} records could not be loaded (${[...new Set(outcomes)].sort().join(', ')}); ` +
      'the pool was planned too small, or its nodes fail',
  );
}

async function measure(
  { secondsMax, faults }: CellPlan,
  crew: ClientCrew,
  { warmupMs, warmShare }: { warmupMs: number; warmShare: number | null },
  { progress, stop }: { progress: CellProgress; stop: () => void },
): Promise<Pick<CellOutcome, 'reports' | 'cpuBefore' | 'cpuAfter' | 'warmupMs' | 'faults'>> {
  const { clients, pids } = crew;
  const startNs = Number(process.hrtime.bigint()) + START_DELAY_NS;
  let measureNs = startNs + warmupMs * 1e6;
  const endNs = measureNs + secondsMax * 1e9;
  const conductor = new Conductor(faults ?? [], crew, (injected) => progress.fault?.(injected, measureNs));
  const own = [process.pid, ...pids];
  const cpuBefore = readCpuTimes(own);
  const order: ToClient = { type: 'run', startNs, measureNs, endNs, warmShare };
  // The first client to have come so far starts the window of all, when it has not started by itself.
  let isStarted = false;
  const onWarm = (): void => {
    const nowNs = Number(process.hrtime.bigint());
    if (isStarted || nowNs >= measureNs) return;
    isStarted = true;
    measureNs = nowNs;
    for (const client of clients) client.tell({ type: 'measure', measureNs: nowNs });
  };
  const onReport = (i: number, report: ClientReport): void => conductor.reported(i, report);
  const finished = answers(clients, () => order, 'finished', { progress, onWarm, onReport });
  conductor.begin(() => measureNs);
  try {
    // The first to end ends the window of all: the rest would run with less company.
    await firstAnswer(finished);
  } finally {
    stop();
    await conductor.end();
  }
  const ended = await Promise.all(finished);
  const reports = ended.flatMap((answer, i) => answer?.report ?? conductor.lastReport(i) ?? []);
  const startedNs = Math.min(...reports.map((report) => report.measureNs));
  const tookMs = Math.max(0, Math.round((startedNs - startNs) / 1e6));
  const cpuAfter = readCpuTimes(own);
  const happened = faults === undefined ? null : { injected: conductor.injected, unmet: conductor.unmet() };
  return { reports, cpuBefore, cpuAfter, warmupMs: tookMs, faults: happened };
}

/** The first answer; who has died gives way to the others. */
const firstAnswer = (answers: readonly Promise<object | null>[]): Promise<unknown> => {
  const every = Promise.all(answers);
  return Promise.race([every, ...answers.map((answer) => answer.then((one) => one ?? every))]);
};

/**
 * Where faults were injected, a key whose SEARCH brought no answer is not lost: nobody knows. The first
 * client alive reads back what the dead ones had loaded.
 */
async function readBack(
  clients: readonly ClientChild[],
  progress: CellProgress,
  hadFaults: boolean,
): Promise<Pick<CellOutcome, 'lostKeys' | 'checkedAtCheck' | 'wrongAtCheck'>> {
  const dead = clients.flatMap((client, i) => (client.isDead ? [i] : []));
  const heir = clients.findIndex((client) => !client.isDead);
  const order = (i: number): ToClient => ({ type: 'check', alsoOf: i === heir ? dead : [] });
  const checked = (await Promise.all(answers(clients, order, 'checked', { progress }))).filter(
    (answer) => answer !== null,
  );
  const sum = (of: (m: (typeof checked)[number]) => number): number =>
    checked.reduce((total, m) => total + of(m), 0);
  const lost = sum((m) => m.lostKeys ?? 0);
  const unread = sum((m) => m.unreadKeys);
  const isUnknown = checked.some((m) => m.lostKeys === null) || (hadFaults && unread > 0);
  return {
    lostKeys: isUnknown && lost === 0 ? null : hadFaults ? lost : lost + unread,
    checkedAtCheck: sum((m) => m.keys - (m.lostKeys ?? 0)),
    wrongAtCheck: sum((m) => m.wrongValues),
  };
}

/** Sends all clients an order, and waits for everybody's answer. */
const all = async <T extends FromClient['type']>(
  clients: readonly ClientChild[],
  order: ToClient,
  answer: T,
  progress: CellProgress,
): Promise<Extract<FromClient, { type: T }>[]> =>
  (await Promise.all(answers(clients, () => order, answer, { progress }))).filter((one) => one !== null);

/**
 * Sends all clients their orders; their answers, with the clients' progress on the display meanwhile. Who
 * dies as planned, or has done so, answers null.
 */
function answers<T extends FromClient['type']>(
  clients: readonly ClientChild[],
  order: (client: number) => ToClient,
  answer: T,
  heard: {
    progress: CellProgress;
    onWarm?: () => void;
    onReport?: (client: number, report: ClientReport) => void;
  },
): Promise<Extract<FromClient, { type: T }> | null>[] {
  const latest = clients.map(() => ({ operations: 0, p99Ns: 0 }));
  clients.forEach((client, i) => {
    client.onMessage = (message) => {
      if (message.type === 'warm') heard.onWarm?.();
      if (message.type !== 'progress') return;
      if (message.report !== undefined) heard.onReport?.(i, message.report);
      latest[i] = message;
      heard.progress.update(
        latest.reduce((sum, p) => sum + p.operations, 0),
        latest.reduce((worst, p) => Math.max(worst, p.p99Ns), 0),
      );
    };
  });
  const awaited = clients.map((client) =>
    client.expect(answer, { silentMs: SILENT_MS }).catch((error: unknown) => {
      if (error instanceof PlannedDeath) return null;
      throw error;
    }),
  );
  for (const [i, client] of clients.entries()) client.tell(order(i));
  return awaited;
}
