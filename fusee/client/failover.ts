/**
 * A client's part in changes of the view (FUSEE section 5.2): it stops when the master asks for it, tells
 * what its requests may have left half done, and goes on in the next view.
 *
 * Whoever drives generators over the client's fabric (the reactor, or `drive` of the session) is the
 * *driver*: it posts nothing while {@link Failover.isStopped}, says when all that it had posted is answered,
 * and lets its generators go on when the view has changed. One driver at a time.
 *
 * While a node's place is filled the client notes what it writes to, and tells it whenever it stops
 * (`master/fill.ts`).
 */
import type { Fabric } from '../fabric/contract.js';
import { Marks, type MasterView, type StopReport } from '../master/index.js';
import { type ClientState, type Decisions, openRounds } from '../ops/index.js';
import { FabricError } from '../verbs/index.js';

/** Who drives generators at present. */
export interface Driver {
  /** All that it had posted is answered, and it has nothing to post that was made in the present view. */
  readonly isDrained: boolean;
  /** The view has changed, and the client goes on. */
  adopted(decided: Decisions): void;
}

/** What reaches the master, and how. */
export interface MasterPort {
  /** All that this client had posted is answered. */
  stopped(report: StopReport): void;
  /** A node did not answer: is it dead? */
  suspect(mn: number): void;
  /** The node's memory is another process's from now on. */
  attach(mn: number): void;
}

/** One client's failover; made with its session. */
export class Failover {
  isStopped = false;
  readonly #fabric: Fabric;
  readonly #state: ClientState;
  readonly #port: MasterPort;
  #driver: Driver | null = null;
  #hasReported = true;
  #goOn: () => void = () => {};
  #giveUp: (reason: Error) => void = () => {};
  #going: Promise<void> = Promise.resolve();
  #marks: Marks | null = null;

  constructor(client: { fabric: Fabric; state: ClientState }, port: MasterPort) {
    this.#fabric = client.fabric;
    this.#state = client.state;
    this.#port = port;
  }

  /** Notes from now on what is written to, or no more. */
  note(isFilling: boolean): void {
    if (isFilling === (this.#marks !== null)) return;
    const { config, nodeBytes } = this.#state.view.geometry;
    const marks = isFilling ? new Marks({ nodes: config.nodes, nodeBytes }) : null;
    this.#marks = marks;
    this.#fabric.onPost = marks === null ? null : (batch) => marks.add(batch);
  }

  /** What has been written to since it was told last, if it is noted. Only while nothing is posted. */
  takeMarks(): string[] | undefined {
    return this.#marks?.take();
  }

  /** Somebody begins to drive, or nobody does any more. */
  drivenBy(driver: Driver | null): void {
    this.#driver = driver;
    this.look();
  }

  /**
   * The master asks the client to stop.
   * @param out nodes that the view will be made without: what was posted to them FAILs, be it that they are
   *   only silent. Nothing is read there any more, so what executes late does no harm.
   */
  stop(out: readonly number[]): void {
    for (const mn of out) this.#fabric.cut?.(mn);
    if (!this.isStopped) {
      this.isStopped = true;
      this.#going = new Promise((resolve, reject) => {
        this.#goOn = resolve;
        this.#giveUp = reject;
      });
      // Nobody may wait for it.
      this.#going.catch(() => {});
    }
    this.#hasReported = false;
    this.look();
  }

  /** Looks whether the client has stopped by now; for drivers, whenever something is answered. */
  look(): void {
    if (this.#hasReported || this.#fabric.outstanding > 0 || this.#driver?.isDrained === false) return;
    this.#hasReported = true;
    const { directory, grace } = this.#state;
    const { version, globalDepth: depth } = directory;
    this.#port.stopped({
      rounds: openRounds(this.#state),
      word: grace.word,
      directory: { version, depth },
      marks: this.takeMarks(),
    });
  }

  /**
   * The view has changed.
   * @param how.joins the node whose memory is another process's now.
   * @param how.isWhole everything counts as changed.
   */
  adopt(view: MasterView, decided: Decisions, how: { joins?: number; isWhole: boolean }): void {
    const state = this.#state;
    const control = state.view.controlMn;
    if (how.joins !== undefined) this.#port.attach(how.joins);
    this.note(view.filling !== undefined);
    state.view.change(view.number, view.dead, how.isWhole);
    state.grace.adoptTable(control !== state.view.controlMn);
    this.isStopped = false;
    this.#hasReported = true;
    this.#driver?.adopted(decided);
    this.#goOn();
  }

  /** The client is out of the pool: whoever waits for it to go on is told so. */
  abandon(why: string): void {
    this.#giveUp(new FabricError(why));
  }

  /** Resolves when the client is not stopped. @throws FabricError when it has been expelled meanwhile. */
  goingOn(): Promise<void> {
    return this.#going;
  }

  /** A node did not answer. */
  suspect(mn: number): void {
    this.#port.suspect(mn);
  }
}
