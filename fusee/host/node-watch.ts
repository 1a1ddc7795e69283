/**
 * Looks whether memory nodes live. On shared memory a verb to one that is dead FAILs for certain. Over a
 * network it FAILs when the connection is broken: a node that its master cannot reach counts as dead, whether
 * it is or not, and nobody who adopts that view asks it for anything.
 */
import { complete } from '../client/call.js';
import { type HostFabric, type NodeAccess, openFabric, requireOwnAtomics } from '../fabric/open.js';
import { Status, VerbBatch } from '../verbs/index.js';

/** A fabric of its own, which nobody else polls. */
export class NodeWatch {
  /** By node. */
  readonly places: string[];
  readonly #fabric: HostFabric;
  readonly #batch: VerbBatch;
  #isClosed = false;
  #looking: Promise<number[]> | undefined;

  private constructor(fabric: HostFabric, places: readonly string[]) {
    this.places = [...places];
    this.#fabric = fabric;
    this.#batch = new VerbBatch(fabric.local, places.length);
  }

  /**
   * Attaches to the nodes at those places. Errors as of `openFabric` and `requireOwnAtomics`.
   * @param clientKey over TCP: what nodes know the master by.
   */
  static async open(access: NodeAccess, places: readonly string[], clientKey?: bigint): Promise<NodeWatch> {
    const known = clientKey === undefined ? {} : { clientKey };
    const fabric = await openFabric(access, places, { localBytes: 1 << 16, prefault: false, ...known });
    try {
      requireOwnAtomics(fabric, access.pool);
    } catch (error) {
      fabric.close();
      throw error;
    }
    return new NodeWatch(fabric, places);
  }

  /** Numbers and places of all nodes but those known to be dead. */
  living(known: readonly number[]): { mn: number; place: string }[] {
    return this.places.flatMap((place, mn) => (known.includes(mn) ? [] : [{ mn, place }]));
  }

  /** READs a word of every node but those known to be dead; the ones that have died. */
  async deadOf(known: readonly number[]): Promise<number[]> {
    if (this.#isClosed) return [];
    this.#looking ??= this.#look(known).finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** A node's place is another process's now. */
  async attach(mn: number, place: string): Promise<void> {
    await this.#looking;
    this.#fabric.reattach(mn, place);
    this.places[mn] = place;
  }

  async #look(known: readonly number[]): Promise<number[]> {
    const batch = this.#batch.reset();
    for (let mn = 0; mn < this.#fabric.mnCount; mn++) if (!known.includes(mn)) batch.read8(mn, 0);
    if (batch.count > 0) await complete(this.#fabric, batch);
    const dead: number[] = [];
    for (let i = 0; i < batch.count; i++) if (batch.status(i) === Status.FAIL) dead.push(batch.mn(i));
    return dead;
  }

  /** Waits for a look that is under way: over a network it takes its time; a closed fabric answers nobody. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#looking;
    this.#fabric.close();
  }
}
