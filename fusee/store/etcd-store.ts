/**
 * Several masters that stand by for each other, by way of etcd: it elects the one that leads, and keeps what
 * the next one must know.
 *
 * Rules of this file:
 * - `fusee/POOL/leader` is there while a master leads, on an etcd lease of whole seconds. Whoever makes it
 *   leads; the revision that made it is the number of the term, which only grows.
 * - A master holds its term only while it knows that etcd does not give it to another: until a lease's length
 *   after it *asked* for the latest renewal that was granted. A master that was stopped, or cut off, does
 *   nothing from then on, and ends when etcd says that the term is over.
 * - `fusee/POOL/state` is written on the condition that the leader's key is of this term: what a deposed
 *   master still writes is refused.
 * - States are sealed with the pool's secret (HMAC-SHA-256). A state names processes to be killed: whoever can
 *   write to etcd, but does not know the secret, must not choose them.
 */
import { createHmac } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { isProof } from '../control/channel.js';
import { FabricError, UsageError } from '../verbs/index.js';
import { EtcdClient, EtcdRefusal, parseEndpoints, txn } from './etcd-client.js';
import { type MasterState, parseState } from './state.js';
import type { Candidate, Store, Term } from './store.js';

/** Renewals in the time of etcd's lease. */
const RENEWALS = 4;
/** Clocks may run differently: a term is given up so much of its lease early. */
const CLOCK_SHARE = 0.05;
/** From one try to reach etcd again to the next. */
const RETRY_MS = 100;

/** How long one server of several, and an only one, may take to answer. */
const CALL_LEAST_MS = 500;
const CALL_ALONE_MS = 5000;

/** Least and most seconds of etcd's lease; etcd itself may make it longer. */
const ELECTION_SECONDS = { least: 1, most: 60 } as const;

interface Keys {
  readonly leader: string;
  readonly state: string;
}

/** The store of a pool's masters in an etcd cluster. */
export class EtcdStore implements Store {
  readonly name: string;
  readonly #pool: string;
  readonly #etcd: EtcdClient;
  readonly #seconds: number;

  /**
   * @param options.seconds a master that etcd has not heard of for so long is replaced.
   * @throws UsageError when the address is none, or the time out of limits.
   */
  constructor(pool: string, options: { url: string; seconds: number }) {
    const { least, most } = ELECTION_SECONDS;
    if (!Number.isInteger(options.seconds) || options.seconds < least || options.seconds > most) {
      throw new UsageError(
        `the election time is ${options.seconds} s; choose whole seconds from ${least} to ${most}: ` +
          "etcd's leases have no fractions",
      );
    }
    this.name = options.url;
    this.#pool = pool;
    this.#seconds = options.seconds;
    const endpoints = parseEndpoints(options.url);
    // Where nobody else can be asked, there is no point in giving up early.
    const shareMs = Math.max(CALL_LEAST_MS, (options.seconds * 1000) / RENEWALS);
    this.#etcd = new EtcdClient(endpoints, endpoints.length === 1 ? CALL_ALONE_MS : shareMs);
  }

  /** As {@link Store.lead}; it waits while another master leads. @throws FabricError when etcd is silent. */
  async lead({ secret, signal, onStandby }: Candidate): Promise<Term> {
    const keys = { leader: `fusee/${this.#pool}/leader`, state: `fusee/${this.#pool}/state` };
    let isWaiting = false;
    for (;;) {
      signal?.throwIfAborted();
      try {
        const won = await this.#campaign(keys);
        if ('term' in won) {
          const { term, left } = won;
          const seal = { secret, pool: this.#pool };
          try {
            return new EtcdTerm(term, { etcd: this.#etcd, keys, seal, left: unseal(left, seal, keys.state) });
          } catch (error) {
            await this.#etcd.revoke(term.lease);
            throw error;
          }
        }
        if (!isWaiting) onStandby?.();
        isWaiting = true;
        if (!(await this.#etcd.removal(keys.leader, won.revision, signal))) await pause(RETRY_MS);
      } catch (error) {
        // One that stands by outlives an etcd that is away for a while; at its start it says so.
        if (!isWaiting || !(error instanceof FabricError) || error instanceof EtcdRefusal) throw error;
        await pause(RETRY_MS);
      }
    }
  }

  /** Tries to lead once; or the revision at which another did. */
  async #campaign(keys: Keys): Promise<{ term: Granted; left: string | undefined } | { revision: number }> {
    const { leader, state } = keys;
    const before = await this.#etcd.commit({ compare: [], success: [txn.get(leader)] });
    if (before.found[0] !== undefined) return { revision: before.revision };
    const askedMs = performance.now();
    const { lease, seconds } = await this.#etcd.grant(this.#seconds);
    const answer = await this.#etcd.commit({
      compare: [txn.isAbsent(leader)],
      success: [txn.put(leader, String(process.pid), lease), txn.get(leader), txn.get(state)],
      failure: [txn.get(leader), txn.get(state)],
    });
    const [holder, left] = answer.found;
    // An answer that was lost may have made the key: then this is the second try.
    if (holder?.lease !== lease) {
      await this.#etcd.revoke(lease);
      return { revision: answer.revision };
    }
    const untilMs = askedMs + seconds * 1000 * (1 - CLOCK_SHARE);
    return { term: { number: holder.createRevision, lease, seconds, untilMs }, left: left?.value };
  }
}

/** What etcd has granted. */
interface Granted {
  readonly number: number;
  readonly lease: string;
  readonly seconds: number;
  readonly untilMs: number;
}

interface Seal {
  readonly secret: Buffer;
  readonly pool: string;
}

class EtcdTerm implements Term {
  readonly number: number;
  readonly left: MasterState | undefined;
  readonly lost: Promise<string>;
  readonly #etcd: EtcdClient;
  readonly #keys: Keys;
  readonly #seal: Seal;
  readonly #lease: string;
  readonly #leaseMs: number;
  #untilMs: number;
  #lose: (reason: string) => void = () => {};
  #isOver = false;
  #hasGivenUp = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    { number, lease, seconds, untilMs }: Granted,
    of: { etcd: EtcdClient; keys: Keys; seal: Seal; left: MasterState | undefined },
  ) {
    this.number = number;
    this.left = of.left;
    this.#etcd = of.etcd;
    this.#keys = of.keys;
    this.#seal = of.seal;
    this.#lease = lease;
    this.#leaseMs = seconds * 1000;
    this.#untilMs = untilMs;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.#renewSoon(this.#leaseMs / RENEWALS);
  }

  get isHeld(): boolean {
    return !this.#isOver && performance.now() < this.#untilMs;
  }

  async save(state: MasterState): Promise<void> {
    const value = sealed(state, this.#seal);
    for (;;) {
      if (this.#isOver) throw new FabricError('the term of this master is over');
      try {
        const { leader, state: key } = this.#keys;
        const compare = [txn.wasMadeIn(leader, this.number)];
        const { succeeded } = await this.#etcd.commit({ compare, success: [txn.put(key, value)] });
        if (succeeded) return;
        this.#end('another master has been elected');
      } catch (error) {
        if (!(error instanceof FabricError)) throw error;
        // Nothing may follow from what is not kept: it leads no more, and says why.
        if (error instanceof EtcdRefusal) await this.#giveUp(error);
        else await pause(RETRY_MS);
      }
    }
  }

  /** Another master need not wait for the lease's end: it may meet another etcd, or one with room by then. */
  async #giveUp(refusal: EtcdRefusal): Promise<never> {
    this.#hasGivenUp = true;
    this.#end(refusal.message);
    // Where it refuses that too, the lease ends by itself.
    await this.#etcd.revoke(this.#lease).catch(() => undefined);
    throw refusal;
  }

  async resign(state: MasterState | null): Promise<void> {
    if (this.#hasGivenUp) return;
    const { leader, state: key } = this.#keys;
    const left =
      state === null ? txn.remove(key) : txn.put(key, sealed({ ...state, leader: undefined }, this.#seal));
    this.abandon();
    await this.#etcd.commit({
      compare: [txn.wasMadeIn(leader, this.number)],
      success: [left, txn.remove(leader)],
    });
    await this.#etcd.revoke(this.#lease);
  }

  abandon(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #renewSoon(ms: number): void {
    this.#timer = setTimeout(() => void this.#renew(), ms);
  }

  async #renew(): Promise<void> {
    const askedMs = performance.now();
    let next = this.#leaseMs / RENEWALS;
    try {
      const seconds = await this.#etcd.keepAlive(this.#lease);
      if (this.#isOver) return;
      if (seconds === 0) {
        this.#end('etcd has not heard of this master in time');
        return;
      }
      this.#untilMs = askedMs + seconds * 1000 * (1 - CLOCK_SHARE);
    } catch (error) {
      // While etcd is away nobody else is elected either: it says itself when the term is over.
      if (!(error instanceof FabricError)) throw error;
      next = RETRY_MS;
    }
    if (!this.#isOver) this.#renewSoon(next);
  }

  #end(reason: string): void {
    if (this.#isOver) return;
    this.abandon();
    this.#lose(reason);
  }
}

const macOf = (text: string, { secret, pool }: Seal): string =>
  createHmac('sha256', secret).update(`fusee-state-1 ${pool} ${text}`).digest('hex');

function sealed(state: MasterState, seal: Seal): string {
  const text = JSON.stringify(state);
  return `${macOf(text, seal)} ${text}`;
}

function unseal(value: string | undefined, seal: Seal, key: string): MasterState | undefined {
  if (value === undefined) return undefined;
  const [mac] = value.split(' ', 1);
  const text = value.slice(mac.length + 1);
  if (isProof(mac, macOf(text, seal))) return parseState(text, `key ${key} of etcd`);
  throw new UsageError(
    `key ${key} of etcd was not written under our secret; give all masters of the pool the same --secret-file, ` +
      'or remove the key when it is of a pool that is no more',
  );
}
