/** One cell: a pool of its own, its clients, load, measured window, read-back; everything ends with it. */
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { hashStreams } from '../../workloads/index.js';
import { Child } from './child.js';
import type { ClientPlan, ClientReport, FromClient, FromNode, ToClient, ToNode } from './messages.js';
import { readCpuTimes } from './trust.js';

/** What a cell reports about its progress. */
export interface CellProgress {
  phase(name: 'start' | 'load' | 'run' | 'check'): void;
  /** Total operations so far in this phase, and the worst client's latest p99. */
  update(operations: number, p99Ns: number): void;
}

export interface CellPlan {
  readonly pool: string;
  readonly config: PoolConfig;
  readonly clients: readonly ClientPlan[];
  readonly warmupMs: number;
  /** Longest window; the streams' end may come first. */
  readonly secondsMax: number;
}

export interface CellOutcome {
  readonly reports: readonly ClientReport[];
  readonly streamHash: string;
  /** null when it was not read back. */
  readonly lostKeys: number | null;
  readonly wrongAtCheck: number;
  readonly loadFailures: number;
  readonly interrupted: boolean;
  readonly cpuBefore: ReturnType<typeof readCpuTimes>;
  readonly cpuAfter: ReturnType<typeof readCpuTimes>;
}

type ClientChild = Child<ToClient, FromClient>;
type NodeChild = Child<ToNode, FromNode>;

/** Time between the order to start and the common start: long enough for every process to have received it. */
const START_DELAY_NS = 20e6;
/** The young generation is sized on purpose: few collections, each short. */
const CLIENT_FLAGS = ['--max-semi-space-size=64', '--min-semi-space-size=64'];

/** Runs a cell. On abort the window closes, what was measured is kept, and the read-back is left out. */
export async function runCell(
  plan: CellPlan,
  progress: CellProgress,
  abort: AbortSignal,
): Promise<CellOutcome> {
  sweepRegions(plan.pool);
  const nodes: NodeChild[] = [];
  const clients: ClientChild[] = [];
  try {
    progress.phase('start');
    await startNodes(plan, nodes);
    abort.throwIfAborted();
    const streamHash = await startClients(plan, clients);
    return await runPhases(plan, clients, { streamHash, progress, abort });
  } finally {
    await Promise.all(clients.map((c) => c.end()));
    await Promise.all(nodes.map((n) => n.end()));
    // A node that was killed cannot have removed its region.
    sweepRegions(plan.pool);
  }
}

async function startNodes(plan: CellPlan, nodes: NodeChild[]): Promise<void> {
  await Promise.all(
    Array.from({ length: plan.config.nodes }, (_, mn) => {
      const node: NodeChild = new Child(`memory node ${mn}`, './node-process');
      nodes.push(node);
      const ready = node.expect('ready');
      node.tell({ type: 'start', pool: plan.pool, mn, config: plan.config });
      return ready;
    }),
  );
}

async function startClients(plan: CellPlan, clients: ClientChild[]): Promise<string> {
  const prepared = await Promise.all(
    plan.clients.map((clientPlan, i) => {
      const client: ClientChild = new Child(`client ${i}`, './client-process', { nodeFlags: CLIENT_FLAGS });
      clients.push(client);
      const answer = client.expect('prepared');
      client.tell({ type: 'prepare', plan: clientPlan });
      return answer;
    }),
  );
  return prepared.length === 1
    ? prepared[0].streamHash
    : hashStreams(prepared.map(({ streamHash }) => ({ hash: streamHash, length: 1 })));
}

async function runPhases(
  plan: CellPlan,
  clients: readonly ClientChild[],
  { streamHash, progress, abort }: { streamHash: string; progress: CellProgress; abort: AbortSignal },
): Promise<CellOutcome> {
  const stop = (): void => {
    for (const client of clients) client.tell({ type: 'stop' });
  };
  abort.addEventListener('abort', stop);
  try {
    follow(clients, progress);
    progress.phase('load');
    const loaded = await all(clients, { type: 'load' }, 'loaded');
    const loadFailures = loaded.reduce((sum, m) => sum + m.failed, 0);
    abort.throwIfAborted();

    progress.phase('run');
    follow(clients, progress);
    const startNs = Number(process.hrtime.bigint()) + START_DELAY_NS;
    const measureNs = startNs + plan.warmupMs * 1e6;
    const endNs = measureNs + plan.secondsMax * 1e9;
    const cpuBefore = readCpuTimes();
    const finished = clients.map((client) => client.expect('finished'));
    for (const client of clients) client.tell({ type: 'run', startNs, measureNs, endNs });
    // The first to end ends the window of all: the rest would run with less company.
    await Promise.race(finished);
    stop();
    const reports = (await Promise.all(finished)).map((m) => m.report);
    const cpuAfter = readCpuTimes();
    const common = { reports, streamHash, loadFailures, cpuBefore, cpuAfter };
    if (abort.aborted) return { ...common, lostKeys: null, wrongAtCheck: 0, interrupted: true };

    progress.phase('check');
    follow(clients, progress);
    const checked = await all(clients, { type: 'check' }, 'checked');
    const lost = checked.map((m) => m.lostKeys);
    return {
      ...common,
      lostKeys:
        lost.includes(null) || abort.aborted ? null : lost.reduce<number>((sum, n) => sum + (n ?? 0), 0),
      wrongAtCheck: checked.reduce((sum, m) => sum + m.wrongValues, 0),
      interrupted: abort.aborted,
    };
  } finally {
    abort.removeEventListener('abort', stop);
  }
}

function all<T extends FromClient['type']>(clients: readonly ClientChild[], order: ToClient, answer: T) {
  const answers = clients.map((client) => client.expect(answer));
  for (const client of clients) client.tell(order);
  return Promise.all(answers);
}

/** Adds the clients' progress up for the display. */
function follow(clients: readonly ClientChild[], progress: CellProgress): void {
  const latest = clients.map(() => ({ operations: 0, p99Ns: 0 }));
  clients.forEach((client, i) => {
    client.onMessage = (message) => {
      if (message.type !== 'progress') return;
      latest[i] = message;
      progress.update(
        latest.reduce((sum, p) => sum + p.operations, 0),
        latest.reduce((worst, p) => Math.max(worst, p.p99Ns), 0),
      );
    };
  });
}
