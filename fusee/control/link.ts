/**
 * A client's end of the control channel: it is in as long as it renews its lease, and stops when it is told
 * to.
 */
import { thisHost, thisProcess } from '../fabric/shm-process.js';
import type { Member, StopReport } from '../master/index.js';
import type { Decisions } from '../ops/index.js';
import { FabricError, UsageError, word } from '../verbs/index.js';
import { LEASES_LOST, Lease, type LeaseKeeper } from './lease.js';
import type { CacheCounts, FromMaster, ToldView } from './messages.js';
import { type MasterAddress, Session } from './session.js';

/** What a client does when the master says so. */
export interface Obedient {
  /** @param out nodes that the view will be made without: nothing is to be waited for that they owe. */
  stop(out: readonly number[]): void;
  /**
   * @param how.joins the node whose memory is another process's now.
   * @param how.isWhole everything counts as changed.
   */
  adopt(view: ToldView, decided: Decisions, how: { joins?: number; isWhole: boolean }): void;
  /** What it has written to since it was asked to note it: nothing of it is under way any more. */
  takeMarks?(): string[] | undefined;
  /** This client counts as dead, or may: it must not go on. @param why it was not the master that said so. */
  expelled(why?: string): void;
  /** Takes no answer of a node when its lease has ended; where a fence is less than death. */
  readonly keeper?: LeaseKeeper;
  /** What its index cache has counted so far. */
  cacheCounts(): CacheCounts;
  /** The number of the view that it works in. */
  viewNumber(): number;
}

/** Number of a renewal by joining: others are above it. */
const JOIN_SEQ = 0;
/** Renewals in the time of a lease. */
const RENEWALS = 4;
/** From one try to reach a master again to the next. */
const RETRY_MS = 50;
/** A process that ends waits so long for its farewell to be heard, and so long one that lives says it. */
const FAREWELL_MS = 500;
const FAREWELLS_MS = 60_000;

/** A client's link to the master; reopened when it breaks, since another master may have taken over. */
export class MasterLink {
  readonly #address: MasterAddress;
  #session: Session;
  #member: Member | undefined;
  #clientKey: bigint | undefined;
  #obedient: Obedient | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #seq = 0;
  /** The latest renewal behind which the master was heard. */
  #heard = 0;
  /** How it says that it goes, until a master has heard it. */
  #farewell: { as: 'leave' | 'resign'; marks: string[] | undefined; untilMs: number } | undefined;
  #wasIn = false;
  #lease: Lease | undefined;
  /** Since when it is stopped for a change of the view. */
  #stoppedMs: number | undefined;
  #isClosed = false;
  #entry: { resolve(view: ToldView): void; reject(error: Error): void } | undefined;
  readonly #suspects = new Set<number>();

  private constructor(address: MasterAddress, session: Session) {
    this.#address = address;
    this.#session = session;
    this.#serve(session);
  }

  /** Connects. @throws FabricError when no master answers; UsageError when the secrets differ. */
  static async open(address: MasterAddress): Promise<MasterLink> {
    return new MasterLink(address, await Session.open(address));
  }

  /** The view when the link was opened. */
  get view(): ToldView {
    return this.#session.view;
  }

  /**
   * Becomes a member; the view then in force. It may take as long as a change of the view.
   * @param clientKey what nodes that it reaches over a network know it by.
   * @throws UsageError when the master cannot have this client.
   */
  join(member: Member, obedient: Obedient, clientKey?: bigint): Promise<ToldView> {
    this.#member = member;
    this.#clientKey = clientKey;
    this.#obedient = obedient;
    if (obedient.keeper !== undefined) this.#lease = new Lease(obedient.keeper);
    return new Promise((resolve, reject) => {
      this.#entry = { resolve, reject };
      this.#introduce();
    });
  }

  /** All that the client had posted is answered. */
  stopped({ rounds, word: of, directory, marks }: StopReport): void {
    const at = { hi: of.hi, lo: of.lo };
    const view = this.#obedient?.viewNumber() ?? 0;
    const told = marks === undefined ? undefined : [...marks];
    this.#session.send({ type: 'stopped', view, rounds: [...rounds], word: at, directory, marks: told });
  }

  /** A node did not answer. */
  suspect(mn: number): void {
    if (this.#suspects.has(mn)) return;
    this.#suspects.add(mn);
    setTimeout(() => this.#suspects.delete(mn), 20).unref();
    this.#session.send({ type: 'suspect', mn });
  }

  /**
   * Ends the link. Nothing of the client executes any more: it has left nothing behind (`leave`), or what it
   * has left is to be recovered (`resign`). While there is no master, the next one is told: a process that
   * lives, and is not heard of, would be fenced.
   */
  close(as: 'leave' | 'resign'): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#renewal);
    if (this.#obedient === undefined) {
      clearTimeout(this.#retry);
      this.#session.socket.end();
      return;
    }
    const marks = this.#obedient.takeMarks?.();
    this.#farewell = { as, marks, untilMs: performance.now() + FAREWELLS_MS };
    this.#sayFarewell();
  }

  #sayFarewell(): void {
    const { socket } = this.#session;
    if (socket.destroyed || this.#farewell === undefined) return;
    // Until it is heard the process stays, but not for a master that is stopped.
    socket.ref();
    setTimeout(() => socket.unref(), FAREWELL_MS).unref();
    const cache = this.#obedient?.cacheCounts() ?? { hits: 0, misses: 0, bypassed: 0 };
    this.#session.send({ type: this.#farewell.as, cache, marks: this.#farewell.marks });
  }

  #introduce(): void {
    if (this.#member === undefined || this.#obedient === undefined) return;
    const { cid, place } = this.#member;
    const obedient = this.#obedient;
    const { pid, startTime } = thisProcess();
    const key = this.#clientKey === undefined ? {} : { key: String(this.#clientKey) };
    const view = obedient.viewNumber();
    this.#lease?.asks(JOIN_SEQ);
    this.#session.send({
      type: 'join',
      cid,
      place,
      pid,
      startTime,
      host: thisHost(),
      view,
      isBack: this.#wasIn,
      ...key,
    });
    clearInterval(this.#renewal);
    if (this.#isClosed) return;
    this.#heard = this.#seq;
    this.#renewal = setInterval(() => {
      // A master that hears nobody for a whole lease has stopped, or is cut off: another may lead.
      if (this.#seq - this.#heard > RENEWALS) this.#session.socket.destroy();
      if (this.#lease?.isLost(this.#session.leaseMs) === true)
        obedient.expelled("no master has renewed this client's lease for a long time; connect again");
      if (this.#hasStoppedForGood) {
        this.#stoppedMs = undefined;
        obedient.expelled(
          'a change of the view has not ended for a long time, for want of a master; connect again',
        );
      }
      this.#seq++;
      this.#lease?.asks(this.#seq);
      this.#session.send({ type: 'renew', seq: this.#seq, cache: obedient.cacheCounts() });
    }, this.#session.leaseMs / RENEWALS);
    // Neither the link nor its renewals keep a process alive that has nothing else to do.
    this.#renewal.unref();
  }

  #serve(session: Session): void {
    session.onMessage = (message) => {
      this.#heard = this.#seq;
      this.#obey(message);
    };
    session.onClosed = () => this.#reopen();
  }

  /** It has stopped for a change of the view; its master has died, or stands still, and no other leads. */
  get #hasStoppedForGood(): boolean {
    if (this.#stoppedMs === undefined) return false;
    return performance.now() - this.#stoppedMs > LEASES_LOST * this.#session.leaseMs;
  }

  /** Is there anything left to be said, or heard? */
  get #isOver(): boolean {
    return this.#isClosed && !(performance.now() < (this.#farewell?.untilMs ?? 0));
  }

  #reopen(): void {
    if (this.#isOver) return;
    this.#retry = setTimeout(() => {
      Session.open(this.#address, this.#session.term).then(
        (session) => {
          this.#session = session;
          this.#serve(session);
          this.#introduce();
          this.#sayFarewell();
        },
        () => this.#reopen(),
      );
    }, RETRY_MS);
    // Who waits to be let in, or to go on, has something left to do.
    if (this.#entry === undefined && this.#stoppedMs === undefined) this.#retry.unref();
  }

  /** The master knows that this client has gone. */
  #end(): void {
    this.#farewell = undefined;
    this.#session.socket.end();
  }

  #obey(message: FromMaster): void {
    switch (message.type) {
      case 'renewed':
        this.#lease?.granted(message.seq, this.#session.leaseMs);
        return;
      case 'in':
        this.#wasIn = true;
        this.#lease?.granted(JOIN_SEQ, this.#session.leaseMs);
        // From now on the link keeps no process alive that has nothing else to do, unless it waits for the
        // master.
        this.#session.socket.unref();
        this.#entry?.resolve(message.view);
        this.#entry = undefined;
        return;
      case 'refused':
        this.#entry?.reject(
          message.isLate === true
            ? new FabricError(`the master refuses this client: ${message.reason}`)
            : new UsageError(`the master refuses this client: ${message.reason}`),
        );
        this.#entry = undefined;
        return;
      case 'stop':
        if (this.#isClosed) return;
        this.#session.socket.ref();
        this.#stoppedMs ??= performance.now();
        this.#obedient?.stop(message.out);
        return;
      case 'adopt':
        this.#stoppedMs = undefined;
        this.#session.socket.unref();
        this.#obedient?.adopt(
          message.view,
          new Map(message.decided.map(({ slot, hi, lo }) => [slot, word(hi, lo)])),
          message,
        );
        return;
      case 'expelled':
        if (this.#isClosed) this.#end();
        else this.#obedient?.expelled();
        return;
      case 'farewell':
        this.#end();
        return;
    }
  }
}

/** The view in force, by the master of a pool. @throws FabricError when none answers. */
export async function askView(address: MasterAddress): Promise<ToldView> {
  const session = await Session.open(address);
  session.socket.destroy();
  return session.view;
}

/** Asks the master of a pool for its status. @throws FabricError when none answers. */
export async function askStatus(address: MasterAddress): Promise<unknown> {
  const session = await Session.open(address);
  try {
    return await new Promise((resolve, reject) => {
      session.onMessage = (message) => {
        if (message.type === 'status') resolve(message.status);
      };
      session.onClosed = () => reject(new FabricError('the master has closed the connection'));
      session.send({ type: 'status' });
    });
  } finally {
    session.onClosed = () => {};
    session.socket.destroy();
  }
}
