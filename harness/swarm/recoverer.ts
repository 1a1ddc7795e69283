/** Puts right what a dead client left half done, as another client would, by the product's own generator. */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { IndexCache } from '../../fusee/index/index.js';
import { View } from '../../fusee/layout/index.js';
import {
  ClientState,
  type Context,
  DIRECTORY_READ_BYTES,
  DIRECTORY_READ_VERBS,
  loadDirectory,
  makeCoroutine,
} from '../../fusee/ops/index.js';
import {
  type LoggedObject,
  Recovered,
  recoverRequest,
  retireClient,
  walkLogs,
} from '../../fusee/recovery/index.js';
import { type Op, VerbBatch } from '../../fusee/verbs/index.js';
import { clientBytes, type Run } from './client.js';
import type { Teller } from './trace.js';

/** Pause of a recovery that polls, or that met silence. */
const PAUSE_NS = 2000;

export interface RecovererOptions {
  readonly cid: number;
  /** Whose requests it recovers. */
  readonly dead: number;
  /** The recoverer dies after so many batches. */
  readonly diesAfter: number;
  /** All requests are put right. */
  readonly onDone: () => void;
  /** The recoverer has died. */
  readonly onDeath: (recoverer: Recoverer) => void;
}

/** Recovers the requests of dead clients, and may die itself. */
export class Recoverer {
  readonly fabric: SimFabric;
  /** What became of each object looked at. */
  readonly results: Recovered[] = [];
  readonly #run: Run;
  readonly #options: RecovererOptions;
  readonly #steps: Op<void>;
  readonly #teller: Teller;
  #posted = 0;
  #isDone = false;

  constructor(run: Run, options: RecovererOptions) {
    this.#run = run;
    this.#options = options;
    this.fabric = new SimFabric(run.world, {
      localBytes: clientBytes(1),
      rpcTimeoutNs: run.plan.rpcTimeoutNs,
    });
    this.#teller = { name: `recoverer ${options.cid}`, request: '', key: -1 };
    this.fabric.onCompleted = (batch) => {
      run.trace?.completed(batch);
      this.#advance();
    };
    const state = new ClientState({
      view: new View(run.view.geometry, run.view),
      local: this.fabric.local,
      cache: new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 }),
      cid: options.cid,
      coroutines: 1,
    });
    this.#steps = this.#recoverAll(makeCoroutine(state, 0).cx);
  }

  start(): void {
    this.#advance();
  }

  /** Ends it as it stands: none of its verbs executes any more. */
  halt(): void {
    this.#isDone = true;
    this.fabric.crash();
    this.fabric.fence();
  }

  *#recoverAll(cx: Context): Op<void> {
    // Behind the fence: no split that begins later can end, since the dead client's word holds it up.
    const { local, view, directory } = cx.client;
    const batch = new VerbBatch(local, DIRECTORY_READ_VERBS);
    const into = local.reserve(DIRECTORY_READ_BYTES);
    while (!(yield* loadDirectory(directory, { view, batch, into })));
    for (const list of yield* this.#walk(cx)) {
      // The newest object first: while its log entry is not there, the one before may be the one in flight.
      for (let o = 0; o < list.length; ) {
        cx.write.expired = false;
        const recovered = yield* (this.#run.hooks.recover ?? recoverRequest)(cx, list[o]);
        this.results.push(recovered);
        this.#run.trace?.note(`has recovered: ${Object.keys(Recovered)[recovered - 1]}`, this.#teller);
        this.#run.world.note(recovered);
        if (recovered === Recovered.DROPPED) o++;
        else if (recovered !== Recovered.FAILED) break;
      }
    }
    const dead = { cid: this.#options.dead, index: this.#options.dead - 1 };
    while (!(yield* retireClient(cx.batch, cx.client.view, dead)));
  }

  /** The dead client's log lists, by its blocks on all nodes; again and again, since RPCs may be lost. */
  *#walk(cx: Context): Op<LoggedObject[][]> {
    const blocks: { pointer: number; sizeClass: number }[] = [];
    for (let mn = 0; mn < this.#run.plan.pool.nodes; mn++) {
      if (cx.client.view.isDead(mn)) continue;
      let listed: readonly { pointer: number; sizeClass: number }[] | undefined;
      while (listed === undefined) listed = yield* cx.allocator.list(mn, this.#options.dead);
      blocks.push(...listed);
    }
    let lists: LoggedObject[][] | undefined;
    while (lists === undefined) lists = yield* walkLogs(cx, blocks);
    return lists;
  }

  #advance(): void {
    if (this.fabric.isCrashed) return;
    try {
      const next = this.#steps.next();
      if (!next.done) this.#post(next.value);
      else {
        this.#isDone = true;
        this.#options.onDone();
      }
    } catch (error) {
      this.#run.fail('error', `recovery by client ${this.#options.cid}: ${(error as Error).message}`);
    }
  }

  #post(batch: VerbBatch): void {
    if (batch.isPoll) this.#run.world.at(this.#run.world.nowNs + PAUSE_NS, () => this.#ring(batch));
    else this.#ring(batch);
  }

  #ring(batch: VerbBatch): void {
    const { world, trace } = this.#run;
    trace?.posted(batch, this.#teller);
    this.fabric.post(batch);
    if (++this.#posted !== this.#options.diesAfter) return;
    world.at(world.nowNs + world.random.below(3000), () => {
      if (this.#isDone) return;
      this.fabric.crash();
      trace?.note(`recoverer ${this.#options.cid} DIES`);
      this.#options.onDeath(this);
    });
  }
}
