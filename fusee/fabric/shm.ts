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
import { native, type ProcessId, type ShmSession } from '../../native/index.js';
import { UsageError, type VerbBatch } from '../verbs/index.js';
import { checkSettings, NativeFabric, type SessionSettings } from './native-fabric.js';
import { Recorder, type Recording } from './recording.js';
import { callNative } from './shm-process.js';

/** What a client of the shared-memory fabric takes. */
export interface ShmFabricOptions extends SessionSettings {
  /**
   * Names of the MNs' regions, see {@link regionName}; MN i is the i-th. At most 64. An empty name stands for
   * an MN that is known to be dead: every verb to it FAILs.
   */
  regions: readonly string[];
  /** Maps all pages now, so that no first access pays for it later. @default true */
  prefault?: boolean;
}

/** One client's fabric over the regions of node processes. */
export class ShmFabric extends NativeFabric {
  readonly kind = 'shm';
  readonly #session: ShmSession;
  #recorder: Recorder | undefined;

  /**
   * Attaches to every region.
   * @throws FabricError when a region is not there, not ready, left behind, of another version or another
   *   user.
   */
  constructor(options: ShmFabricOptions) {
    const { regions, prefault = true } = options;
    const settings = checkSettings(options);
    const session = callNative(() => new (native().ClientSession)({ ...settings, regions, prefault }));
    super(session, settings.queueCapacity);
    this.#session = session;
  }

  /**
   * Some node is served over verbs, and so its atomics are its NIC's: CAS and FAA from here could lose updates.
   */
  get meetsNic(): boolean {
    return this.#session.meetsNic();
  }

  override post(batch: VerbBatch): boolean {
    if (!super.post(batch)) return false;
    if (this.#recorder !== undefined) this.#recorder.add(batch);
    return true;
  }

  override poll(done: VerbBatch[]): number {
    if (this.#recorder !== undefined && this.outstanding > 0) this.#recorder.ring();
    return super.poll(done);
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
    if (this.outstanding !== 0)
      throw new UsageError(`${this.outstanding} batches are outstanding: poll them first`);
    const { images, offsets, doorbellEnds } = recording;
    return callNative(() => this.#session.replay(images, offsets, doorbellEnds, passes));
  }

  /** Has all verbs to a node FAIL from now on, everybody's, whose process may only have been stopped. */
  fenceNode(mn: number): void {
    this.#session.fence(mn);
  }

  /**
   * Processes of whose threads all that were attached to these nodes have ended, without detaching: nothing
   * that they have posted executes any more. The kernel says so at once (`native/src/life.h`), where /proc
   * shows a process until its memory is given back.
   */
  endedProcesses(): ProcessId[] {
    return this.#session.endedProcesses();
  }

  /**
   * Has the nodes' memory looked at ahead of use, by a thread of its own and a little at a time: the first
   * access to a page may cost 10 µs (`native/src/toucher.h`). At most 1 GiB of it.
   */
  touchAhead(): void {
    callNative(() => this.#session.touchAhead());
  }

  override reattach(mn: number, region: string): void {
    if (this.outstanding !== 0)
      throw new UsageError(`${this.outstanding} batches are outstanding: poll them first`);
    this.memoryBytes[mn] = callNative(() => this.#session.reattach(mn, region));
  }
}
