/**
 * The master of a scenario, between two views: which slots are open, and what they hold, by the product's own
 * generators. It runs with nobody at work, so whoever drives it executes its batches one after the other.
 */
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { IndexCache } from '../../../fusee/index/index.js';
import { ARBITER_BYTES, Arbiter } from '../../../fusee/master/arbitrate.js';
import { ClientState, type Context, type Decisions, makeCoroutine } from '../../../fusee/ops/index.js';
import { slotsOfObject } from '../../../fusee/recovery/index.js';
import { LocalMemory, type Op } from '../../../fusee/verbs/index.js';
import { RUN_BYTES, type TakenObject } from './client-run.js';
import type { TinyPool } from './pool.js';

/** Room of one run; it may be used again. */
export const MASTER_BYTES: number = RUN_BYTES + ARBITER_BYTES;

/** What the master knows when everybody has stopped or is fenced. */
export interface Reports {
  /** Slots that living clients have told. */
  readonly slots: readonly number[];
  /** Of each dead client the last objects in its log list, oldest first. */
  readonly dead: readonly (readonly TakenObject[])[];
}

/** One change of the view. */
export class MasterRun {
  readonly pool: TinyPool;
  readonly cx: Context;
  readonly #mn: number;

  /** @param mn the node that has died. */
  constructor(pool: TinyPool, mn: number, buffer: ArrayBuffer = new ArrayBuffer(MASTER_BYTES)) {
    this.pool = pool;
    this.#mn = mn;
    const local = new LocalMemory(buffer, crc32cOver(buffer));
    local.bytes.fill(0);
    const cache = new IndexCache({ bytes: 0, keyBytes: 32, threshold: 1 });
    const view = pool.viewWithout(mn);
    const state = new ClientState({ view, local, cache, cid: 100, coroutines: 1 });
    this.cx = makeCoroutine(state, 0).cx;
  }

  /** Decides what is open. */
  *decide({ slots, dead }: Reports): Op<Decisions> {
    const { pool, cx } = this;
    const { view, local } = cx.client;
    const before = pool.viewWithout();
    const open = new Set(slots);
    for (const objects of dead) {
      for (const { cell } of objects) {
        const candidates = yield* slotsOfObject(cx, { cell, sizeClass: 0 });
        if (candidates === undefined) throw new Error(`no replica of object ${cell} answered the master`);
        // All other candidates hold words of nobody, from the start to the end.
        for (const slot of candidates.slots) if (pool.slotOffsets.includes(slot)) open.add(slot);
      }
    }
    const sorted = [...open].sort((a, b) => a - b);
    const naive = pool.scenario.variant?.arbitrates?.(this, sorted, before);
    if (naive !== undefined) return yield* naive;
    const decided = yield* new Arbiter({ local, view }).decide(sorted, before);
    if (decided === undefined) throw new Error(`with MN ${this.#mn} dead another was silent to the master`);
    return decided;
  }
}
