/**
 * Who is at work in a cell's window: clients that are there from the start, that join and that leave.
 *
 * A client that will join is a process ahead of its time, with its requests made, and knows nothing of the
 * pool: so what joining costs is what it costs a client that is ready to. Only so many wait at a time; when
 * one joins, the next is started.
 */
import { FabricError } from '../../fusee/verbs/index.js';
import type { MembersPort } from '../fault/conduct.js';
import type { PlannedFault } from '../fault/plan.js';
import { type Child, PlannedDeath } from './child.js';
import type { Crew } from './crew.js';
import type { ClientPlan, ClientReport, FromClient, ToClient } from './messages.js';

type Told = Extract<FromClient, { type: 'joined' | 'left' }>;
type Finished = Extract<FromClient, { type: 'finished' }>;

/** Processes that are ready to join, unless more of them join at once. */
const AHEAD_LEAST = 2;

/** Who needs longer to end its requests and hand its blocks on does not get on. */
const LEAVE_MS = 60_000;

/** Who is at work in a window, and when it closes. */
export class Members implements MembersPort {
  /** Resolves when a client has played its requests to the end, or nobody is left. */
  readonly closed: Promise<void>;
  readonly #crew: Crew<ToClient, FromClient>;
  /** Of those that join, whose numbers follow on the others'. */
  readonly #plans: readonly ClientPlan[];
  readonly #ahead: number;
  readonly #prepared: Promise<boolean>[] = [];
  readonly #answers = new Map<number, Promise<Finished | null>>();
  readonly #leaving = new Set<number>();
  readonly #joined = new Set<number>();
  /** Numbers of clients by those that the pool gave them. */
  readonly byCid = new Map<number, number>();
  /** Who waits to hear that a client has joined, or left: it may be told to leave before it is in. */
  readonly #waiting = {
    joined: new Map<number, (atNs: number | null) => void>(),
    left: new Map<number, (atNs: number | null) => void>(),
  };
  #close: () => void = () => {};
  #begin: ((client: number) => Promise<Finished | null>) | null = null;
  #atWork = 0;

  constructor(
    crew: Crew<ToClient, FromClient>,
    { joiners = [], faults = [] }: { joiners?: readonly ClientPlan[]; faults?: readonly PlannedFault[] },
  ) {
    this.#crew = crew;
    this.#plans = joiners;
    this.#ahead = Math.max(AHEAD_LEAST, joinAtOnce(faults));
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** Starts the processes that are to be ready when the window begins; all others have been started. */
  async prepare(): Promise<void> {
    for (let i = 0; i < this.#ahead; i++) this.#startNext();
    await Promise.all(this.#prepared);
  }

  /**
   * The window begins, with these at work.
   * @param begin lets a client join and begin; its answer when it has finished, null when it died.
   */
  open(
    answers: readonly Promise<Finished | null>[],
    begin: (client: number) => Promise<Finished | null>,
  ): void {
    this.#begin = begin;
    for (const [client, answer] of answers.entries()) this.#add(client, answer);
  }

  /** A client says that it has joined, or left. */
  told(client: number, { type, atNs, cid }: Told): void {
    this.#joined.add(client);
    this.byCid.set(cid, client);
    this.#waiting[type].get(client)?.(atNs);
    this.#waiting[type].delete(client);
  }

  /** True for those that are dead, or have left, too: they have been. */
  isAtWork(client: number): boolean {
    return this.#plans.length === 0 || client < this.#firstJoiner || this.#joined.has(client);
  }

  /** The window is to close, though nobody has played its requests to the end. */
  finish(): void {
    this.#close();
  }

  async join(client: number): Promise<number | null> {
    const begin = this.#begin;
    const at = client - this.#firstJoiner;
    if (begin === null) return null;
    while (this.#prepared.length <= at && this.#startNext());
    const child = this.#crew.clients[client];
    // From now on the window waits for it, or it could end because everybody else has died meanwhile.
    const answer = this.#prepared[at].then((isReady) => (isReady && this.#begin ? begin(client) : null));
    const joined = this.#waitFor('joined', { client, child, answer });
    this.#add(client, answer);
    this.#startNext();
    return joined;
  }

  async leave(client: number): Promise<number | null> {
    const child = this.#crew.clients[client];
    const answer = this.#answers.get(client);
    if (answer === undefined || child.isGone || this.#begin === null) return null;
    this.#leaving.add(client);
    const left = this.#waitFor('left', { client, child });
    child.tell({ type: 'leave' });
    let timer: NodeJS.Timeout | undefined;
    const silent = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new FabricError(`client ${client} has not left within ${LEAVE_MS / 1000} s`)),
        LEAVE_MS,
      );
    });
    const atNs = await Promise.race([left, silent]).finally(() => clearTimeout(timer));
    if (atNs !== null) await child.end();
    return atNs;
  }

  /**
   * The window is over: nobody joins any more, and who has not joined ends.
   * @returns everybody's report, by number: the answer's, or null.
   */
  async close(): Promise<(ClientReport | null)[]> {
    this.#begin = null;
    const reports: (ClientReport | null)[] = [];
    for (const [client, answer] of this.#answers) reports[client] = (await answer)?.report ?? null;
    const idle = this.#crew.clients.filter((_, client) => !this.#answers.has(client));
    await Promise.all(idle.map((child) => child.end()));
    return Array.from(reports, (report) => report ?? null);
  }

  get #firstJoiner(): number {
    return this.#plans[0]?.clientIndex ?? 0;
  }

  /** False: there is none left. */
  #startNext(): boolean {
    const plan = this.#plans[this.#prepared.length];
    if (plan === undefined) return false;
    const client = this.#crew.addClient(plan.clientIndex);
    const prepared = client.expect('prepared').then(
      () => true,
      (error: unknown) => {
        if (error instanceof PlannedDeath) return false;
        throw error;
      },
    );
    // Its failure is the crew's, whoever waits for this.
    prepared.catch(() => {});
    this.#prepared.push(prepared);
    client.tell({ type: 'prepare', plan });
    return true;
  }

  #add(client: number, answer: Promise<Finished | null>): void {
    this.#atWork++;
    this.#answers.set(client, answer);
    answer.then(
      (finished) => {
        this.#atWork--;
        const isEnd = finished !== null && !this.#leaving.has(client);
        if (isEnd || this.#atWork === 0) this.#close();
      },
      () => this.#close(),
    );
  }

  /** Until a client has told its time, or there is none to be told: it has died, or never began. */
  #waitFor(
    what: Told['type'],
    {
      client,
      child,
      answer,
    }: { client: number; child: Child<ToClient, FromClient>; answer?: Promise<Finished | null> },
  ): Promise<number | null> {
    return new Promise((resolve) => {
      this.#waiting[what].set(client, resolve);
      void child.death.then(() => resolve(null));
      void child.failure.then(() => resolve(null));
      answer?.then(
        (finished) => finished === null && resolve(null),
        () => resolve(null),
      );
    });
  }
}

/** How many clients join at the same time, at most. */
function joinAtOnce(faults: readonly PlannedFault[]): number {
  const counts = new Map<number, number>();
  for (const fault of faults)
    if (fault.kind === 'join') counts.set(fault.atNs, (counts.get(fault.atNs) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}
