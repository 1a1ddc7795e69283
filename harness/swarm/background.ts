/**
 * A client's background work in virtual time: it announces the client before its first request, has a round
 * now and then, and when the client is done and nothing is left to free, it gives the client's word up.
 */
import { Janitor } from '../../fusee/background/index.js';
import type { SimFabric } from '../../fusee/fabric/sim/index.js';
import { DIRECTORY_BASE } from '../../fusee/layout/index.js';
import { type Op, Opcode, type VerbBatch } from '../../fusee/verbs/index.js';
import type { SwarmClient } from './client.js';
import type { Run } from './run.js';
import { BEHIND, type Teller } from './trace.js';

/** Drives one client's janitor. */
export class BackgroundWork {
  readonly janitor: Janitor;
  readonly #run: Run;
  readonly #fabric: SimFabric;
  readonly #client: SwarmClient;
  readonly #teller: Teller;
  readonly #sleeper: number;
  #steps: Op<unknown> | undefined;
  /** It was due while the client had stopped. */
  #isDue = false;
  #isResting = false;

  constructor(run: Run, client: SwarmClient) {
    this.#run = run;
    this.#client = client;
    this.#fabric = client.fabric;
    this.janitor = new Janitor(client.state);
    this.#teller = { name: `client ${client.cid} behind`, request: '', key: BEHIND };
    this.#sleeper = run.world.sleeper(() => this.#round());
  }

  /** Announces the client, then lets its requests begin. */
  start(onEntered: () => void, onSilence: () => void): void {
    this.#begin(this.janitor.enter(), (hasEntered) => {
      if (hasEntered !== true) {
        onSilence();
        return;
      }
      onEntered();
      this.#sleep();
    });
  }

  /** A batch of background work is complete. */
  completed(): void {
    this.#advance();
  }

  /** The client goes on after a stop. */
  goOn(): void {
    if (!this.#isDue) return;
    this.#isDue = false;
    this.#round();
  }

  #sleep(): void {
    if (this.#run.plan.roundNs > 0) this.#run.world.wake(this.#sleeper, this.#run.plan.roundNs);
  }

  #round(): void {
    if (this.#client.isDead || this.#isResting) return;
    if (this.#client.isStopped) {
      this.#isDue = true;
      return;
    }
    if (this.#client.state.grace.isSilent || this.janitor.reclaim.isStopped) {
      // Others would wait for it for ever: somebody has to declare it dead.
      this.#run.lost(this.#client);
      return;
    }
    if (this.#client.isFinished && this.janitor.isIdle) {
      this.#isResting = true;
      this.#begin(this.#leave(), (hasLeft) => {
        // Others would wait for it for ever: somebody has to declare it dead.
        if (hasLeft !== true) this.#run.lost(this.#client);
      });
    } else this.#begin(this.janitor.round(), () => this.#sleep());
  }

  *#leave(): Op<unknown> {
    return (yield* this.janitor.blocks.leave()) && (yield* this.janitor.rest());
  }

  #onEnd: (result: unknown) => void = () => {};

  #begin(steps: Op<unknown>, onEnd: (result: unknown) => void): void {
    this.#steps = steps;
    this.#onEnd = onEnd;
    this.#advance();
  }

  #advance(): void {
    const { trace } = this.#run;
    try {
      const next = (this.#steps as Op<unknown>).next();
      if (next.done) this.#onEnd(next.value);
      else {
        next.value.tag = this.#client.state.coroutines;
        if (changesMemory(next.value)) trace?.posted(next.value, this.#teller);
        this.#fabric.post(next.value);
      }
    } catch (error) {
      this.#run.fail('error', `${this.#teller.name}: ${(error as Error).message}`);
    }
  }
}

/** Looks around and announcements are most of what background work does, and tell nothing. */
function changesMemory(batch: VerbBatch): boolean {
  for (let i = 0; i < batch.count; i++) {
    const isAnnouncement = batch.opcode(i) === Opcode.WRITE && batch.remote(i) < DIRECTORY_BASE;
    if (batch.opcode(i) !== Opcode.READ && !isAnnouncement) return true;
  }
  return false;
}
