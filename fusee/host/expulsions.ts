/**
 * Tells nodes that their master has given up that they are out, over TCP. They may live: only stopped, or cut
 * off. Their place may be another process's by then, and their memory is old: they are to end, and say why.
 *
 * Who cannot be reached is tried again, as long as a master leads; which nodes are to be told is part of what
 * it leaves to the next one. A node that was started anew at the same address is another, and is let be.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ask } from '../client/call.js';
import type { HostFabric, NodeAccess } from '../fabric/open.js';
import { openFabric } from '../fabric/open.js';
import { RpcOperation } from '../memory/index.js';
import { FabricError } from '../verbs/index.js';

/** A node that was given up: where it listens, and what it has drawn at its start. */
export interface Expelled {
  readonly place: string;
  readonly node: string;
}

/** From one try to the next, growing. */
const RETRY_MS = 250;
const RETRY_MOST_MS = 5000;
/** The oldest are forgotten: they have not been reached for long. */
const WAITING_MAX = 64;

/** Those that are to be told by one master. */
export class Expulsions {
  readonly #access: NodeAccess;
  readonly #log: (line: string) => void;
  readonly #waiting = new Map<string, Expelled>();
  readonly #abort = new AbortController();

  constructor(of: {
    readonly access: NodeAccess;
    readonly expelled?: readonly Expelled[] | undefined;
    readonly log?: ((line: string) => void) | undefined;
  }) {
    this.#access = of.access;
    this.#log = of.log ?? (() => {});
    for (const one of of.expelled ?? []) this.#begin(one);
  }

  /** Who has not been told yet. */
  get waiting(): readonly Expelled[] {
    return [...this.#waiting.values()];
  }

  /** The node at the other end of that fabric has been given up. */
  add(fabric: HostFabric, place: string): void {
    if (fabric.kind === 'tcp') this.#begin({ place, node: String(fabric.nodes[0]) });
  }

  close(): void {
    this.#abort.abort();
  }

  #begin(one: Expelled): void {
    if (this.#waiting.has(one.node) || this.#abort.signal.aborted) return;
    this.#waiting.set(one.node, one);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > WAITING_MAX) this.#waiting.delete(oldest);
    void this.#pursue(one);
  }

  async #pursue(one: Expelled): Promise<void> {
    const { signal } = this.#abort;
    let waitMs = RETRY_MS;
    while (!signal.aborted && this.#waiting.get(one.node) === one) {
      if (await this.#tell(one)) {
        this.#waiting.delete(one.node);
        return;
      }
      await pause(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
      waitMs = Math.min(2 * waitMs, RETRY_MOST_MS);
    }
  }

  /** True: it knows, or there is another node by now. */
  async #tell({ place, node }: Expelled): Promise<boolean> {
    try {
      const fabric = await openFabric(this.#access, [place], { localBytes: 1 << 16, prefault: false });
      try {
        if (fabric.kind !== 'tcp' || String(fabric.nodes[0]) !== node) return true;
        if (this.#abort.signal.aborted) return false;
        await ask(fabric, 0, { operation: RpcOperation.EXPEL, cid: 0 });
      } finally {
        fabric.close();
      }
      this.#log(`the node at ${place}, which the pool goes on without, has been told to end`);
      return true;
    } catch (error) {
      if (error instanceof FabricError) return false;
      throw error;
    }
  }
}
