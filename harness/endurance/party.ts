/** The processes of one long-running check, and what all of them are told. */
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import type { Child } from '../run/child.js';
import { Crew, orAbort } from '../run/crew.js';
import { requireRoom } from '../run/plan.js';
import type { Faults, FromWorker, ToWorker, WorkerPhase, WorkerPlan } from './messages.js';

/** Clients at work report many times a second: one that is silent for so long is stuck or stopped. */
const SILENT_MS = 60_000;
/** Time between the order to run and the common start. */
const START_DELAY_NS = 50e6;
/** What a client process takes: its code, its cache, its records of latencies. */
const CLIENT_BYTES = 300 << 20;

/** A client process of a check. */
export type Worker = Child<ToWorker, FromWorker>;
type Answer<T extends FromWorker['type']> = Extract<FromWorker, { type: T }>;
type Progress = Answer<'progress'>;

/** What a check needs to know of its surroundings. */
export interface CheckHooks {
  readonly abort: AbortSignal;
  /** Hears what the check does now. */
  readonly say: (text: string) => void;
}

/** A pool and its clients, all of them prepared. */
export class Party {
  readonly clients: readonly Worker[];
  readonly #crew: Crew<ToWorker, FromWorker>;
  readonly #abort: AbortSignal;
  /** Each client's latest report of its progress. */
  readonly progress: Progress[];
  /** Called whenever a client has reported its progress. */
  onProgress: () => void = () => {};

  constructor(crew: Crew<ToWorker, FromWorker>, abort: AbortSignal) {
    this.#crew = crew;
    this.#abort = abort;
    this.clients = crew.clients;
    this.progress = crew.clients.map(() => ({ type: 'progress', operations: 0, bytes: 0, inserted: 0 }));
    crew.clients.forEach((client, i) => {
      client.onMessage = (message) => {
        if (message.type !== 'progress') return;
        this.progress[i] = message;
        this.onProgress();
      };
    });
  }

  /**
   * Sends clients an order, and waits for all their answers; the check ends when one of them dies, or on
   * abort.
   */
  async all<T extends FromWorker['type']>(
    order: ToWorker,
    answer: T,
    clients: readonly Worker[] = this.clients,
  ): Promise<Answer<T>[]> {
    const awaited = clients.map((client) => client.expect(answer, { silentMs: SILENT_MS }));
    for (const client of clients) client.tell(order);
    return await this.whileWhole(Promise.all(awaited));
  }

  /**
   * Lets clients run until they end, or are told to.
   * @param onFirst called when the first of them has ended.
   */
  async run(
    bytes: number,
    clients: readonly Worker[] = this.clients,
    onFirst: () => void = () => {},
  ): Promise<Answer<'finished'>[]> {
    const startNs = Number(process.hrtime.bigint()) + START_DELAY_NS;
    const awaited = clients.map((client) => client.expect('finished', { silentMs: SILENT_MS }));
    for (const client of clients) client.tell({ type: 'run', startNs, bytes });
    // Should one fail, all of them tell.
    void Promise.race(awaited).then(onFirst, () => {});
    return await this.whileWhole(Promise.all(awaited));
  }

  stop(phase: WorkerPhase, clients: readonly Worker[] = this.clients): void {
    for (const client of clients) client.tell({ type: 'stop', phase });
  }

  /** Waits for work while nobody dies and nobody aborts. */
  whileWhole<T>(work: Promise<T>): Promise<T> {
    return this.#crew.whileWhole(orAbort(work, this.#abort));
  }
}

/**
 * Starts a pool and clients, lets `body` do the check, and ends them whatever happens.
 * @throws UsageError when the machine has too little memory; FabricError when a process dies; the abort's
 * reason.
 */
export async function withParty<T>(
  { pool, config, plans }: { pool: string; config: PoolConfig; plans: readonly WorkerPlan[] },
  { abort }: CheckHooks,
  body: (party: Party) => Promise<T>,
): Promise<T> {
  requireRoom(config, { clientBytes: plans.length * CLIENT_BYTES });
  // What dead runs left behind, of any pool: their owners are gone.
  sweepRegions();
  const crew = new Crew<ToWorker, FromWorker>(pool, '../endurance/client-process');
  try {
    await crew.whileWhole(orAbort(crew.startNodes(config), abort));
    for (const [i] of plans.entries()) crew.addClient(i);
    const party = new Party(crew, abort);
    const prepared = party.clients.map((client, i) => {
      const answer = client.expect('prepared', { silentMs: SILENT_MS });
      client.tell({ type: 'prepare', plan: plans[i] });
      return answer;
    });
    await party.whileWhole(Promise.all(prepared));
    return await body(party);
  } finally {
    await crew.end();
  }
}

/** Faults of all clients together. */
export function mergeFaults(all: readonly Faults[]): Faults {
  return {
    count: all.reduce((sum, { count }) => sum + count, 0),
    examples: all.flatMap(({ examples }) => examples).slice(0, 10),
  };
}
