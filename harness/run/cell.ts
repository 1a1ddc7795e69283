/** One cell: a pool of its own, its clients, load, measured window, read-back; everything ends with it. */
import { fsck } from '../../fusee/client/fsck.js';
import type { HostFabricKind } from '../../fusee/fabric/open.js';
import type { RdmaChoice } from '../../fusee/fabric/verbs.js';
import type { PoolReport } from '../../fusee/fsck/index.js';
import type { ChangeReport, RecoveryReport } from '../../fusee/host/status.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { FabricError } from '../../fusee/verbs/index.js';
import { hashStreams } from '../../workloads/index.js';
import { Conductor, type Injected } from '../fault/conduct.js';
import { lastWordsOf } from '../fault/crash.js';
import type { PlannedFault } from '../fault/plan.js';
import { type CpuTimes, readCpuTimes } from './cpu-times.js';
import { Crew, orAbort } from './crew.js';
import { type Hiccups, HiccupWatch } from './hiccups.js';
import { Members } from './members.js';
import type { ClientPlan, ClientReport, FromClient, Phase, ToClient } from './messages.js';
import { all, answers, type ClientChild, type Heard } from './orders.js';
import { SERIES_MS } from './recorder.js';
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
  /** What leads to its nodes. @default 'shm' */
  readonly fabric?: HostFabricKind;
  /** Over verbs: the clients' RDMA device. */
  readonly rdma?: RdmaChoice;
  readonly config: PoolConfig;
  readonly clients: readonly ClientPlan[];
  /** Those that join in the window, as its plan of faults says. */
  readonly joiners?: readonly ClientPlan[];
  /** null: chosen by how fast the load went. */
  readonly warmupMs: number | null;
  /** Longest window; the streams' end may come first. */
  readonly secondsMax: number;
  /** Walk the pool's memory at the end, when nothing moves any more. */
  readonly inspects?: boolean;
  /** What is to go wrong in the window; left out when nothing is. */
  readonly faults?: readonly PlannedFault[];
  /** The window closes when all of that has happened. */
  readonly endsWithFaults?: boolean;
  /** How many masters run beside it: one leads, the others stand by. @default 0 */
  readonly masters?: number;
  /** The lease that they give. @default {@link LEASE_MS} */
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
  /** How late an idle thread woke in the window and its warm-up. */
  readonly hiccups: Hiccups | null;
  readonly warmupMs: number;
  /** Faults that happened, and those that were planned and did not; null when there were none to be. */
  readonly faults: { readonly injected: readonly Injected[]; readonly unmet: readonly string[] } | null;
  /** What the master saw to, with the client's number where it is known; left out without a master. */
  readonly recoveries?: readonly (RecoveryReport & { readonly client: number | null })[];
  readonly changes?: readonly ChangeReport[];
}

type ClientCrew = Crew<ToClient, FromClient>;

/**
 * Time between the order to start and the common start: long enough for every process to have received it.
 */
const START_DELAY_NS = 20e6;
/**
 * Share of a client's requests after which the window begins in any case, unless the user chose a warm-up.
 */
const WARM_SHARE = 0.2;
/** Time that a window which ends with its faults goes on behind the last one. */
const AFTERMATH_MS = 500;
/**
 * A death is seen at once, and a planned stop is no failure; but on a busy machine a process may not run for
 * longer than the store's own lease.
 */
const LEASE_MS = 20_000;
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
  const members = new Members(crew, plan);
  try {
    progress.phase('start');
    await crew.whileWhole(orAbort(crew.startNodes(plan.config, plan), abort));
    // Where something is to die, somebody must see to what it leaves.
    const { masters = 0, leaseMs = LEASE_MS } = plan;
    const mastered = crew.masters.start(crew.access, { masters, leaseMs });
    crew.access = await crew.whileWhole(orAbort(mastered, abort));
    const streams = await crew.whileWhole(orAbort(start(plan, crew, members), abort));
    await crew.whileWhole(orAbort(members.prepare(), abort));
    return await crew.whileWhole(runPhases(plan, crew, { streams, members, progress, abort }));
  } finally {
    await crew.end();
  }
}

/** The streams of all clients together. */
interface Streams {
  readonly hash: string;
  readonly requests: number;
}

async function start(plan: CellPlan, crew: ClientCrew, members: Members): Promise<Streams> {
  const prepared = await Promise.all(
    plan.clients.map((clientPlan, i) => {
      const diesByItself = clientPlan.faults?.crashes.length ?? 0;
      const client = crew.addClient(i, (stderr) => diesByItself > 0 && lastWordsOf(stderr) !== null);
      const answer = client.expect('prepared');
      client.tell({ type: 'prepare', plan: { ...clientPlan, ...crew.access } });
      return answer;
    }),
  );
  for (const [i, { cid }] of prepared.entries()) if (cid !== null) members.byCid.set(cid, i);
  const hash =
    prepared.length === 1
      ? prepared[0].streamHash
      : hashStreams(prepared.map(({ streamHash }) => ({ hash: streamHash, length: 1 })));
  return { hash, requests: prepared.reduce((sum, { requests }) => sum + requests, 0) };
}

async function runPhases(
  plan: CellPlan,
  crew: ClientCrew,
  {
    streams,
    members,
    progress,
    abort,
  }: { streams: Streams; members: Members; progress: CellProgress; abort: AbortSignal },
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
    const loaded = await load(clients.slice(0, plan.clients.length), { progress, abort });
    progress.phase('run');
    phase = 'run';
    const warmup = {
      warmupMs: plan.warmupMs ?? chooseWarmup({ requests: streams.requests, ...loaded }),
      // One that nobody chose is a guess, which must not swallow the window.
      warmShare: plan.warmupMs === null ? WARM_SHARE : null,
    };
    const measured = await measure(plan, crew, warmup, { members, progress, stop });
    const common = { ...measured, streamHash: streams.hash };
    const nothing = { lostKeys: null, checkedAtCheck: 0, wrongAtCheck: 0, memory: null };
    const unchecked = { ...common, ...nothing, interrupted: true };
    if (abort.aborted) return unchecked;

    progress.phase('check');
    phase = 'check';
    const checked = await readBack(clients, progress, plan);
    if (abort.aborted) return { ...unchecked, ...checked, lostKeys: null };
    const done = { ...common, ...checked, memory: null, interrupted: false };
    if (plan.inspects !== true) return { ...done, ...seenToBy(await crew.masters.told(), members) };

    progress.phase('fsck');
    // What died is recovered by now, or the walk would find what it left half done.
    const seen = (plan.masters ?? 0) > 0 ? await crew.masters.settled(SETTLE_MS) : null;
    return { ...done, ...seenToBy(seen, members), memory: await fsck(crew.access) };
  } finally {
    abort.removeEventListener('abort', stop);
  }
}

function seenToBy(
  seen: { recoveries: readonly RecoveryReport[]; changes: readonly ChangeReport[] } | null,
  { byCid }: Members,
): Pick<CellOutcome, 'recoveries' | 'changes'> {
  if (seen === null) return {};
  const { recoveries, changes } = seen;
  return { recoveries: recoveries.map((one) => ({ ...one, client: byCid.get(one.cid) ?? null })), changes };
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
  { secondsMax, faults, endsWithFaults = false, clients: { length: initial } }: CellPlan,
  crew: ClientCrew,
  { warmupMs, warmShare }: { warmupMs: number; warmShare: number | null },
  { members, progress, stop }: { members: Members; progress: CellProgress; stop: () => void },
): Promise<Pick<CellOutcome, 'reports' | 'cpuBefore' | 'cpuAfter' | 'hiccups' | 'warmupMs' | 'faults'>> {
  const { clients } = crew;
  const watch = new HiccupWatch();
  await watch.begun;
  const startNs = Number(process.hrtime.bigint()) + START_DELAY_NS;
  let measureNs = startNs + warmupMs * 1e6;
  const endNs = measureNs + secondsMax * 1e9;
  const onInjected = (injected: Injected): void => progress.fault?.(injected, measureNs);
  const conductor = new Conductor(faults ?? [], crew, onInjected, members);
  const cpuBefore = readCpuTimes([process.pid, ...crew.pids]);
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
  const heard: Heard = {
    progress,
    onWarm,
    onReport: (i, report) => conductor.reported(i, report),
    onMember: (i, told) => members.told(i, told),
    latest: [],
  };
  const begin = (client: number) => {
    const joins: ToClient = { ...order, startNs: 0, measureNs: intervalOf(measureNs), warmShare: null };
    return answers([clients[client]], () => joins, 'finished', heard, client)[0];
  };
  members.open(
    answers(clients.slice(0, initial), () => order, 'finished', heard),
    begin,
  );
  conductor.begin(() => measureNs);
  let hiccups: Hiccups | null = null;
  if (endsWithFaults) {
    // What follows on the last of them belongs to the window.
    void conductor.isThrough.then(() => setTimeout(() => members.finish(), AFTERMATH_MS).unref());
  }
  try {
    // The first to end ends the window of all: the rest would run with less company.
    await members.closed;
  } finally {
    stop();
    await conductor.end();
    hiccups = await watch.end();
  }
  const ended = await members.close();
  const reports = ended.flatMap((report, i) => report ?? conductor.lastReport(i) ?? []);
  const startedNs = Math.min(...reports.map((report) => report.measureNs));
  const tookMs = Math.max(0, Math.round((startedNs - startNs) / 1e6));
  const cpuAfter = readCpuTimes([process.pid, ...crew.pids]);
  const happened = faults === undefined ? null : { injected: conductor.injected, unmet: conductor.unmet() };
  return { reports, cpuBefore, cpuAfter, hiccups, warmupMs: tookMs, faults: happened };
}

/** Start of the present interval of the series: who joins counts from there. */
const intervalOf = (measureNs: number): number => {
  const sinceNs = Number(process.hrtime.bigint()) - measureNs;
  return measureNs + Math.max(0, Math.floor(sinceNs / 1e6 / SERIES_MS)) * SERIES_MS * 1e6;
};

/**
 * Where faults were injected, a key whose SEARCH brought no answer is not lost: nobody knows. The first
 * client alive reads back what the dead ones had loaded.
 */
async function readBack(
  clients: readonly ClientChild[],
  progress: CellProgress,
  plan: CellPlan,
): Promise<Pick<CellOutcome, 'lostKeys' | 'checkedAtCheck' | 'wrongAtCheck'>> {
  const hadFaults = plan.faults !== undefined;
  const gone = clients.flatMap((client, i) => (client.isGone ? [i] : []));
  // Of those that joined and are gone one tells as much as all: had they inserted, nobody would know.
  const firstJoiner = gone.find((i) => i >= plan.clients.length) ?? -1;
  const dead = gone.filter((i) => i <= Math.max(plan.clients.length - 1, firstJoiner));
  const heir = clients.findIndex((client) => !client.isGone);
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
