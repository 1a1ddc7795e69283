/**
 * The shared-memory fabric: the client's own CPU executes its verbs in the memory of node processes on this
 * host.
 *
 * A batch executes at the first {@link ShmFabric.poll} after its post, all that was posted in one native
 * call. FAIL is certain and prompt: a thread of the session learns of a node's death from the kernel and sets
 * the flag that every verb looks at after it executed.
 *
 * An RPC takes its place in the posting order when its request is delivered: the node sees every WRITE posted
 * before it, and serves a client's requests in their order. It is not waited for: verbs behind it may execute
 * before the node has answered.
 */
import { type ClientSession, Control, native } from '../../native/index.js';
import { Header, LocalMemory, UsageError, type VerbBatch } from '../verbs/index.js';
import type { Fabric } from './contract.js';
import { Recorder, type Recording } from './recording.js';
import { callNative } from './shm-process.js';
import { validateBatch } from './validate.js';

/** What a client of the shared-memory fabric takes. */
export interface ShmFabricOptions {
  /**
   * Names of the MNs' regions, see {@link regionName}; MN i is the i-th. At most 64. An empty name stands for
   * an MN that is known to be dead: every verb to it FAILs.
   */
  regions: readonly string[];
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
  /** Maps all pages now, so that no first access pays for it later. @default true */
  prefault?: boolean;
}

/** One client's fabric over the regions of node processes. */
export class ShmFabric implements Fabric {
  readonly kind = 'shm';
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
  #recorder: Recorder | undefined;
  #isClosed = false;
  /** Told of every batch that is posted; null: nobody. */
  onPost: ((batch: VerbBatch) => void) | null = null;

  /**
   * Attaches to every region.
   * @throws FabricError when a region is not there, not ready, left behind, of another version or another
   *   user.
   */
  constructor(options: ShmFabricOptions) {
    const { regions, rttNs = 0, rpcTimeoutNs = 1e9, prefault = true } = options;
    const localBytes = Math.ceil((options.localBytes ?? 4 << 20) / 64) * 64;
    this.#queueCapacity = options.queueCapacity ?? 1024;
    requireRange('localBytes', localBytes, { min: 64, max: 2 ** 32 - 64 });
    requireRange('queueCapacity', this.#queueCapacity, { min: 1, max: 2 ** 20 });
    requireRange('rttNs', rttNs, { min: 0, max: 1e12 });
    requireRange('rpcTimeoutNs', rpcTimeoutNs, { min: 1, max: 1e15 });
    const queueCapacity = this.#queueCapacity;
    this.#session = callNative(
      () =>
        new (native().ClientSession)({ regions, localBytes, queueCapacity, rttNs, rpcTimeoutNs, prefault }),
    );
    this.#doorbell = this.#session.doorbell;
    this.#stampNow = this.#session.stampNow;
    this.#control = new Uint32Array(this.#session.control);
    this.#controlDoubles = new Float64Array(this.#session.control);
    const memoryBytes = Float64Array.from(this.#session.memoryBytes);
    // Nobody can look how much a dead one had: a verb to it is to FAIL, and not to be refused.
    this.memoryBytes = memoryBytes.map((bytes) => (bytes === 0 ? Math.max(...memoryBytes) : bytes));
    this.local = new LocalMemory(this.#session.local, checksumOf(this.#session, this.#control));
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
    if (this.#recorder !== undefined) this.#recorder.add(batch);
    if (this.onPost !== null) this.onPost(batch);
    return true;
  }

  poll(done: VerbBatch[]): number {
    if (this.#outstanding === 0) return 0;
    if (this.#recorder !== undefined) this.#recorder.ring();
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

  nowNs(): number {
    this.#stampNow();
    return this.#controlDoubles[Control.NOW_NS >>> 1];
  }

  /** Copies every batch posted from now on, until it holds `verbsMax` verbs or {@link stopRecording}. */
  record(verbsMax: number): void {
    this.#recorder = new Recorder(verbsMax);
  }

  /** Ends the recording and gives it; batches posted and not yet polled are not part of it. */
  stopRecording(): Recording {
    if (this.#recorder === undefined) throw new UsageError('no recording runs: call record() first');
    const recording = this.#recorder.take();
    this.#recorder = undefined;
    return recording;
  }

  /**
   * Executes a recording `passes` times in a native loop, through the executor that live verbs take and with
   * the same batches per doorbell: the yardstick for what TypeScript costs. Returns nanoseconds in all.
   *
   * The same bytes move between the same places, but WRITEs take what registered memory holds now, and a CAS
   * that succeeded live finds its word changed and mostly fails, at the same cost. The nodes' memory is of no
   * use afterwards.
   * @throws UsageError while batches are outstanding, or when the recording does not hold together.
   */
  replay(recording: Recording, passes = 1): number {
    if (this.#outstanding !== 0)
      throw new UsageError(`${this.#outstanding} batches are outstanding: poll them first`);
    const { images, offsets, doorbellEnds } = recording;
    return callNative(() => this.#session.replay(images, offsets, doorbellEnds, passes));
  }

  /**
   * Attaches to another region in place of an MN's, whose place another process has taken.
   * @throws UsageError while batches are outstanding; FabricError as at first.
   */
  reattach(mn: number, region: string): void {
    if (this.#outstanding !== 0)
      throw new UsageError(`${this.#outstanding} batches are outstanding: poll them first`);
    this.memoryBytes[mn] = callNative(() => this.#session.reattach(mn, region));
  }

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

function requireRange(name: string, value: number, range: { min: number; max: number }): void {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return;
  throw new UsageError(`${name} is ${value}: choose a whole number from ${range.min} to ${range.max}`);
}
