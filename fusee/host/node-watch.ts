/** Looks whether memory nodes live: a verb to one that is dead FAILs for certain on shared memory. */
import { complete } from '../client/call.js';
import { ShmFabric } from '../fabric/shm.js';
import { Status, VerbBatch } from '../verbs/index.js';

/** A fabric of its own, which nobody else polls. */
export class NodeWatch {
  /** By node. */
  readonly regions: string[];
  readonly #fabric: ShmFabric;
  readonly #batch: VerbBatch;
  #looking: Promise<number[]> | undefined;

  constructor(regions: readonly string[]) {
    this.regions = [...regions];
    this.#fabric = new ShmFabric({ regions, localBytes: 1 << 16, prefault: false });
    this.#batch = new VerbBatch(this.#fabric.local, regions.length);
  }

  /** READs a word of every node but those known to be dead; the ones that have died. */
  deadOf(known: readonly number[]): Promise<number[]> {
    this.#looking ??= this.#look(known).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** A node's place is another process's now. */
  async attach(mn: number, region: string): Promise<void> {
    await this.#looking;
    this.#fabric.reattach(mn, region);
    this.regions[mn] = region;
  }

  async #look(known: readonly number[]): Promise<number[]> {
    const batch = this.#batch.reset();
    for (let mn = 0; mn < this.#fabric.mnCount; mn++) if (!known.includes(mn)) batch.read8(mn, 0);
    if (batch.count > 0) await complete(this.#fabric, batch);
    const dead: number[] = [];
    for (let i = 0; i < batch.count; i++) if (batch.status(i) === Status.FAIL) dead.push(batch.mn(i));
    return dead;
  }

  close(): void {
    this.#fabric.close();
  }
}
