/** Puts right what a dead client left half done, as another client would, by the product's own generator. */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { IndexCache } from '../../fusee/index/index.js';
import { ClientState, type Context, makeCoroutine } from '../../fusee/ops/index.js';
import { Recovered, recoverRequest, retireClient } from '../../fusee/recovery/index.js';
import type { Op, VerbBatch } from '../../fusee/verbs/index.js';
import { clientBytes, type Run, type TakenObject } from './client.js';
import type { Teller } from './trace.js';

/** The objects of one request, oldest first: what a walk of the log would find. */
export type Task = readonly TakenObject[];

/** Pause of a recovery that polls, or that met silence. */
const PAUSE_NS = 2000;

export interface RecovererOptions {
  readonly cid: number;
  readonly tasks: readonly Task[];
  /** Whose they were. */
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
      view: run.view,
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

  *#recoverAll(cx: Context): Op<void> {
    for (const task of this.#options.tasks) {
      // The newest object first: while its log entry is not there, the one before may be the one in flight.
      for (let o = task.length - 1; o >= 0; ) {
        cx.write.expired = false;
        const recovered = yield* (this.#run.hooks.recover ?? recoverRequest)(cx, task[o]);
        this.results.push(recovered);
        this.#run.trace?.note(`has recovered: ${Object.keys(Recovered)[recovered - 1]}`, this.#teller);
        this.#run.world.note(recovered);
        if (recovered === Recovered.DROPPED) o--;
        else if (recovered !== Recovered.FAILED) break;
      }
    }
    const dead = { cid: this.#options.dead, index: this.#options.dead - 1 };
    while (!(yield* retireClient(cx.batch, cx.client.view, dead)));
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
