/**
 * What fabrics over a native session have in common: batches go into a ring in memory that both share, one
 * native call takes all of them and brings back those that are complete.
 */
import { type ClientSession, Control } from '../../native/index.js';
import { Header, LocalMemory, UsageError, type VerbBatch } from '../verbs/index.js';
import type { Fabric, FabricKind } from './contract.js';
import { validateBatch } from './validate.js';

/** What a client takes of any native fabric. */
export interface SessionSettings {
  /** Bytes of registered memory, rounded up to 64. @default 4 MiB */
  localBytes?: number;
  /** Batches that may be outstanding at once. @default 1024 */
  queueCapacity?: number;
  /**
   * Holds every answer back until this long after the post, to see what a network's round trip does. The
   * verbs themselves execute at once. @default 0
   */
  rttNs?: number;
  /** An RPC without an answer for so long FAILs. @default 1 s */
  rpcTimeoutNs?: number;
}

/** Settings within their limits, all of them given. @throws UsageError naming the limits. */
export function checkSettings(settings: SessionSettings): Required<SessionSettings> {
  const localBytes = Math.ceil((settings.localBytes ?? 4 << 20) / 64) * 64;
  const { queueCapacity = 1024, rttNs = 0, rpcTimeoutNs = 1e9 } = settings;
  requireRange('localBytes', localBytes, { min: 64, max: 2 ** 32 - 64 });
  requireRange('queueCapacity', queueCapacity, { min: 1, max: 2 ** 20 });
  requireRange('rttNs', rttNs, { min: 0, max: 1e12 });
  requireRange('rpcTimeoutNs', rpcTimeoutNs, { min: 1, max: 1e15 });
  return { localBytes, queueCapacity, rttNs, rpcTimeoutNs };
}

/** Refuses a number that is none, or out of its limits. */
export function requireRange(name: string, value: number, range: { min: number; max: number }): void {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return;
  throw new UsageError(`${name} is ${value}: choose a whole number from ${range.min} to ${range.max}`);
}

/** One client's fabric over a native session of any kind. */
export abstract class NativeFabric implements Fabric {
  abstract readonly kind: FabricKind;
  readonly local: LocalMemory;
  /** Bytes of each MN's memory, indexed by MN. */
  readonly memoryBytes: Float64Array;
  readonly #session: ClientSession;
  readonly #doorbell: () => void;
  readonly #stampNow: () => void;
  readonly #control: Uint32Array;
  readonly #controlDoubles: Float64Array;
  readonly #queueCapacity: number;
  /** By the number in the batch's header; a batch gets one at its first post. */
  readonly #batches: VerbBatch[] = [];
  #outstanding = 0;
  #isClosed = false;
  /** Told of every batch that is posted; null: nobody. */
  onPost: ((batch: VerbBatch) => void) | null = null;

  /** Takes over an open session with a queue of that capacity. */
  protected constructor(session: ClientSession, queueCapacity: number) {
    this.#session = session;
    this.#queueCapacity = queueCapacity;
    this.#doorbell = session.doorbell;
    this.#stampNow = session.stampNow;
    this.#control = new Uint32Array(session.control);
    this.#controlDoubles = new Float64Array(session.control);
    const memoryBytes = Float64Array.from(session.memoryBytes);
    // Nobody can look how much a dead one had: a verb to it is to FAIL, and not to be refused.
    this.memoryBytes = memoryBytes.map((bytes) => (bytes === 0 ? Math.max(...memoryBytes) : bytes));
    this.local = new LocalMemory(session.local, checksumOf(session, this.#control));
  }

  get mnCount(): number {
    return this.memoryBytes.length;
  }

  get outstanding(): number {
    return this.#outstanding;
  }

  post(batch: VerbBatch): boolean {
    if (this.#isClosed) throw new UsageError('the fabric is closed: open another one');
    if (this.#outstanding >= this.#queueCapacity) return false;
    validateBatch(batch, this);
    const id = (batch.offset >>> 2) + Header.ID;
    const words = this.local.words;
    if (this.#batches[words[id]] !== batch) words[id] = this.#batches.push(batch) - 1;
    this.#outstanding++;
    const control = this.#control;
    control[Control.RINGS + control[Control.SUBMITTED]++] = batch.offset;
    if (this.onPost !== null) this.onPost(batch);
    return true;
  }

  poll(done: VerbBatch[]): number {
    if (this.#outstanding === 0) return 0;
    this.#doorbell();
    const control = this.#control;
    const words = this.local.words;
    const count = control[Control.COMPLETED];
    const first = Control.RINGS + this.#queueCapacity;
    for (let i = 0; i < count; i++) {
      done[i] = this.#batches[words[(control[first + i] >>> 2) + Header.ID]];
    }
    this.#outstanding -= count;
    return count;
  }

  /** Hands no batch back after that time, until it is a later one; see `control/lease.ts`. */
  leaseUntil(atNs: number): void {
    this.#controlDoubles[Control.LEASE_NS >>> 1] = atNs;
  }

  nowNs(): number {
    this.#stampNow();
    return this.#controlDoubles[Control.NOW_NS >>> 1];
  }

  /**
   * Attaches to another process in place of an MN's, whose place it has taken.
   * @throws UsageError while batches are outstanding, or where the fabric cannot; FabricError as at first.
   */
  reattach(mn: number, place: string): void {
    throw new UsageError(
      `over ${this.kind} nobody can attach to another process in place of node ${mn} (${place}) yet: ` +
        'start the pool anew',
    );
  }

  /** See the contract; for who waits for silence: elsewhere verbs FAIL as soon as an MN is out. */
  cut(_mn: number): void {}

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#outstanding = 0;
    this.#session.close();
  }
}

/** The arguments lie in shared words: passing them would take longer than the checksum of a short object. */
function checksumOf(session: ClientSession, control: Uint32Array): LocalMemory['crc32c'] {
  const checksum = session.checksum;
  return (offset, lengthBytes, seed) => {
    control[Control.CRC_OFFSET] = offset;
    control[Control.CRC_BYTES] = lengthBytes;
    control[Control.CRC_SEED] = seed;
    checksum();
    return control[Control.CRC_RESULT];
  };
}
