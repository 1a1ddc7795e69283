/**
 * Who is in the pool, as one memory node knows it, and what each of them has asked last.
 *
 * Node 0 grants client ids and places in the client table; the other nodes are told of each (a JOIN with the
 * CID granted) before that client asks them for anything. Rules of this file:
 * - CIDs only grow and are never granted again. So a CID that is not above the highest known one, and has no
 *   place, has left, and nothing that it asks is served any more: its late duplicates must not allocate.
 * - A client that is declared dead (RETIRE) is refused like one that has left, but keeps its place: its word
 *   in the client table has to stand until it is recovered, and belongs to the place. One recoverer at a time
 *   acts for it: the one that was named last, since it replaces one that died.
 * - One above the highest known has joined no pool: tests and simulators give out CIDs by hand. It is served.
 * - A place has one holder, and each holder's CID is above the former one's. So a late JOIN of one that has
 *   left cannot take the place again; and a node that was not told of a LEAVE forgets that client when its
 *   place has another holder.
 * - A JOIN has no CID to tell its repetition by: its caller draws a nonce, which is remembered while that
 *   client stays, and beyond that for the latest {@link NONCES_MAX}. So is the refusal FULL: repeated later,
 *   when a place has become free, it would take it for a caller that has given up.
 * - Of each lane only the latest request and its answer are remembered, a refusal like a grant: NO_MEMORY
 *   served anew, when blocks have become free, would be a grant that nobody waits for. What is malformed by
 *   itself is not remembered; it is refused again.
 * - All of it is bounded: {@link CLIENTS_MAX} places with {@link LANES_MAX} lanes each, as many strangers,
 *   and the nonces.
 */
import { CLIENTS_MAX } from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';

/** JOINs whose nonces are remembered; those of clients that are still there are kept besides. */
export const NONCES_MAX: number = 4 * CLIENTS_MAX;

/** What JOIN grants. */
export interface Membership {
  readonly cid: number;
  readonly place: number;
}

/** A JOIN found no free place. */
export const FULL = 'full';
/** A request that came too late: nothing is to be done for it. */
export const STALE = 'stale';

interface Remembered {
  readonly requestId: number;
  readonly answer: Uint8Array;
}

/** The members of a pool; the head of this file states its rules. */
export class Members {
  /** The highest CID known: on node 0 as many clients have ever joined. */
  lastCid = 0;
  /** Per place its holder's CID, 0 = free; and the CID of its latest holder. */
  readonly #holders = new Uint32Array(CLIENTS_MAX);
  readonly #latestHolders = new Uint32Array(CLIENTS_MAX);
  readonly #placeOf = new Map<number, number>();
  /** Per place: its holder will tell a master that it is there. */
  readonly #haveMaster = new Uint8Array(CLIENTS_MAX);
  /** In the order of their arrival. */
  readonly #nonces = new Map<string, Membership | typeof FULL>();
  readonly #lanes = new Map<number, Map<number, Remembered>>();
  /** Clients declared dead, and who recovers them; in the order of their deaths. */
  readonly #recoverers = new Map<number, number>();

  /** Grants a CID and the lowest free place: node 0 only. The same again for the same nonce. */
  join(nonceLo: number, nonceHi: number, hasMaster = false): Membership | typeof FULL | typeof STALE {
    const nonce = `${nonceHi}:${nonceLo}`;
    const before = this.#nonces.get(nonce);
    if (before !== undefined) return before === FULL || this.#placeOf.has(before.cid) ? before : STALE;
    const place = this.#holders.indexOf(0);
    const granted = place < 0 ? FULL : { cid: this.lastCid + 1, place };
    if (granted !== FULL) this.#hold(granted, hasMaster);
    this.#forgetNonces();
    this.#nonces.set(nonce, granted);
    return granted;
  }

  /** Notes what node 0 has granted: the other nodes. False: that client has left, or is no client. */
  welcome({ cid, place }: Membership, hasMaster = false): boolean {
    if (!Number.isInteger(place) || place < 0 || place >= CLIENTS_MAX || cid === ORPHAN) return false;
    if (this.#holders[place] === cid) return true;
    if (this.#recoverers.has(cid)) return false;
    if (cid <= this.#latestHolders[place] || this.#placeOf.has(cid)) return false;
    if (this.#holders[place] !== 0) this.#forget(this.#holders[place]);
    this.#hold({ cid, place }, hasMaster);
    return true;
  }

  /**
   * Holders of places from that one on who will tell a master that they are there, or have; `next`: the place
   * to go on with, -1 at the end.
   */
  holders(from: number, most: number): { holders: Membership[]; next: number } {
    const holders: Membership[] = [];
    for (let place = from; place < CLIENTS_MAX; place++) {
      if (this.#holders[place] === 0 || this.#haveMaster[place] === 0) continue;
      if (holders.length === most) return { holders, next: place };
      holders.push({ cid: this.#holders[place], place });
    }
    return { holders, next: -1 };
  }

  /** Frees a client's place and forgets its lanes. False: it has never joined. Repeating it does no harm. */
  leave(cid: number): boolean {
    if (this.#placeOf.has(cid)) this.#forget(cid);
    return this.hasLeft(cid);
  }

  /** Declares a client dead: nothing that it asks is served any more, and `recoverer` may act for it. */
  retire(cid: number, recoverer: number): void {
    if (this.hasLeft(cid)) return;
    this.#lanes.delete(cid);
    this.#recoverers.set(cid, recoverer);
    const strangers = [...this.#recoverers.keys()].filter((dead) => !this.#placeOf.has(dead));
    if (strangers.length > CLIENTS_MAX) this.#recoverers.delete(strangers[0]);
  }

  /** May `recoverer` act for this client? */
  isRecovered(cid: number, recoverer: number): boolean {
    return this.#recoverers.get(cid) === recoverer;
  }

  /** Has it been here, and gone? */
  hasLeft(cid: number): boolean {
    return cid !== 0 && cid <= this.lastCid && !this.#placeOf.has(cid);
  }

  /**
   * Serves a lane's request, unless it has been served before: then the same answer again.
   * @returns STALE: the lane has asked something newer, or the client has left, or is declared dead.
   */
  once(
    request: { cid: number; lane: number; requestId: number },
    serve: () => Uint8Array,
  ): Uint8Array | typeof STALE {
    const { cid, lane, requestId } = request;
    const lanes = this.#lanesOf(cid);
    if (lanes === undefined) return STALE;
    const latest = lanes.get(lane);
    // Ids count modulo 2^32.
    const newer = latest === undefined ? 1 : (requestId - latest.requestId) | 0;
    if (newer < 0) return STALE;
    if (latest !== undefined && newer === 0) return latest.answer;
    const answer = serve();
    lanes.set(lane, { requestId, answer });
    return answer;
  }

  #lanesOf(cid: number): Map<number, Remembered> | undefined {
    if (this.#recoverers.has(cid)) return undefined;
    const known = this.#lanes.get(cid);
    if (known !== undefined) return known;
    if (this.hasLeft(cid)) return undefined;
    const isStranger = !this.#placeOf.has(cid);
    if (isStranger && this.#lanes.size >= 2 * CLIENTS_MAX) return undefined;
    const lanes = new Map<number, Remembered>();
    this.#lanes.set(cid, lanes);
    return lanes;
  }

  #hold({ cid, place }: Membership, hasMaster: boolean): void {
    this.#haveMaster[place] = Number(hasMaster);
    this.#holders[place] = cid;
    this.#latestHolders[place] = cid;
    this.#placeOf.set(cid, place);
    this.lastCid = Math.max(this.lastCid, cid);
  }

  #forget(cid: number): void {
    this.#holders[this.#placeOf.get(cid) as number] = 0;
    this.#placeOf.delete(cid);
    this.#lanes.delete(cid);
    this.#recoverers.delete(cid);
  }

  /** Makes room for one more: the oldest goes whose client is not there. */
  #forgetNonces(): void {
    if (this.#nonces.size < NONCES_MAX) return;
    for (const [nonce, granted] of this.#nonces) {
      if (granted !== FULL && this.#placeOf.has(granted.cid)) continue;
      this.#nonces.delete(nonce);
      return;
    }
  }

  /** Entries of every kind that are kept: for tests, which hold them bounded. */
  get remembered(): { clients: number; nonces: number; answers: number } {
    let answers = 0;
    for (const lanes of this.#lanes.values()) answers += lanes.size;
    return { clients: this.#placeOf.size, nonces: this.#nonces.size, answers };
  }
}
