/** Recovers a dead client, as another client would, by the product's own generator. */
import { SimFabric } from '../../fusee/fabric/sim/index.js';
import { IndexCache } from '../../fusee/index/index.js';
import { View } from '../../fusee/layout/index.js';
import { ClientState, type Context, makeCoroutine } from '../../fusee/ops/index.js';
import { Recovered, type RecoveryStep, recoverClient } from '../../fusee/recovery/index.js';
import type { Op, VerbBatch } from '../../fusee/verbs/index.js';
import { clientBytes } from './client.js';
import { buffers } from './registered.js';
import type { Run } from './run.js';
import type { Teller } from './trace.js';

/** Pause of a recovery that polls, or that met silence. */
const PAUSE_NS = 2000;

export interface RecovererOptions {
  readonly cid: number;
  /** Whom it recovers. */
  readonly dead: number;
  /** The recoverer dies after so many batches. */
  readonly diesAfter: number;
  /** It has walked so many entries of the dead client's log. */
  readonly onWalked: (entries: number) => void;
  /** The dead client is recovered. */
  readonly onDone: () => void;
  /** The recoverer has died. */
  readonly onDeath: (recoverer: Recoverer) => void;
}

/** Recovers a dead client, and may die itself. */
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
      localBuffer: buffers.take(clientBytes(1)),
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

  /** From the top again and again, since calls may be lost: what was done is found done. */
  *#recoverAll(cx: Context): Op<void> {
    const dead = { cid: this.#options.dead, index: this.#options.dead - 1 };
    const { trace, world, hooks } = this.#run;
    const options = {
      recoverRequest: hooks.recover,
      onRecovered: (recovered: Recovered) => {
        this.results.push(recovered);
        trace?.note(`has recovered: ${Object.keys(Recovered)[recovered - 1]}`, this.#teller);
        world.note(recovered);
      },
      onWalked: this.#options.onWalked,
      onStep: (step: RecoveryStep) => trace?.note(`begins to recover: ${step}`, this.#teller),
    };
    while (!(yield* recoverClient(cx, dead, options)));
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
