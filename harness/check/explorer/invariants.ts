/** What must hold in every state of a scenario, and at its end. */
import { isKv, isTent, ownerPointer } from '../../../fusee/layout/index.js';
import { word } from '../../../fusee/verbs/index.js';
import type { Model } from './model.js';

/** Turns a lone poller makes before it is said to run in circles. */
const TURNS = 200;

/** Checks the states of one model. */
export class Invariants {
  readonly #model: Model;
  readonly #word = word();
  /** Per interned word the place of its object: owner and place in the owner's cells; null for no KV. */
  readonly #objects: ({ owner: number; place: number } | null)[] = [];

  constructor(model: Model) {
    this.#model = model;
  }

  /** Some key visible in two slots at once. */
  wrong(state: Int32Array): string | undefined {
    const { slots, replicas } = this.#model;
    const primary = this.#model.primaryOf(state);
    if (primary < 0) return undefined;
    for (let a = 1; a < slots; a++) {
      const first = this.#contentOf(state, a * replicas + primary);
      for (let b = 0; first !== undefined && first.key >= 0 && b < a; b++) {
        if (this.#contentOf(state, b * replicas + primary)?.key === first.key)
          return `key ${first.key} is visible twice, in slots ${b} and ${a}`;
      }
    }
    return undefined;
  }

  /** True when every client has ended, and a master has mended what there was to mend. */
  isFinal(state: Int32Array): boolean {
    if (this.#model.hasMaster && this.#model.isBroken(state)) return false;
    for (let c = 0; c < this.#model.clients; c++) if (!this.#model.nodeOf(state, c).isDone) return false;
    return true;
  }

  /** True when a request used up its objects: the branch ends here, undecided. */
  isCut(state: Int32Array): boolean {
    for (let c = 0; c < this.#model.clients; c++) if (this.#model.nodeOf(state, c).isCut) return true;
    return false;
  }

  /** What is wrong when every client has ended. */
  wrongAtEnd(state: Int32Array): string | undefined {
    const { slots, replicas, interner, pool, clients } = this.#model;
    if (this.#model.isBroken(state)) return undefined;
    const primary = this.#model.primaryOf(state);
    let isHealthy = true;
    for (let c = 0; c < clients; c++) {
      const { origin, isUnavailable } = this.#model.nodeOf(state, c);
      if (isUnavailable || (origin.dead !== undefined && !this.#model.scenario.recovers)) isHealthy = false;
    }
    for (let slot = 0; isHealthy && slot < slots; slot++) {
      const first = state[slot * replicas + primary];
      if (isTent(interner.wordAt(first, this.#word))) return `slot ${slot} is tentative at the end`;
      for (let r = 0; r < replicas; r++)
        if (!this.#isGone(state, r) && state[slot * replicas + r] !== first)
          return `the replicas of slot ${slot} differ at the end`;
    }
    const values = pool.keys.map(() => 0);
    for (let slot = 0; slot < slots; slot++) {
      const content = this.#contentOf(state, slot * replicas + primary);
      if (content !== undefined && content.key >= 0) values[content.key] = content.value;
    }
    if (this.#model.explains(state, values)) return undefined;
    const contents = values.map((v, k) => `key ${k} = ${v}`).join(', ');
    return `no order of the requests explains the contents at the end: ${contents}`;
  }

  #isGone(state: Int32Array, replica: number): boolean {
    const { view, slotOffsets } = this.#model.pool;
    return this.#model.isDead(state, view.slotMn(slotOffsets[0], replica));
  }

  /**
   * Somebody waits although nothing will change: all who have not ended poll, and polling alone leads none of
   * them on.
   */
  stuck(state: Int32Array): string | undefined {
    const waiting: number[] = [];
    for (let c = 0; c < this.#model.clients; c++) {
      const node = this.#model.nodeOf(state, c);
      if (node.isDone) continue;
      if (!node.isPoll) return undefined;
      waiting.push(c);
    }
    // Who waits for a dead MN's replicas to be arbitrated waits for the master, which comes later.
    if (
      waiting.length === 0 ||
      this.#model.isBroken(state) ||
      waiting.some((c) => !this.#turnsInCircles(state, c))
    )
      return undefined;
    return `client${waiting.length > 1 ? 's' : ''} ${waiting.join(' and ')} would wait for ever`;
  }

  #turnsInCircles(state: Int32Array, client: number): boolean {
    const seen = new Set<number>();
    let now = state;
    for (let turn = 0; turn < TURNS; turn++) {
      const local = this.#model.localOf(now, client);
      if (seen.has(local)) return true;
      seen.add(local);
      const next = this.#model.stepAlone(now, client);
      if (next === undefined) return false;
      for (let i = 0; i < this.#model.slots * this.#model.replicas; i++)
        if (next[i] !== state[i]) return false;
      now = next;
    }
    return false;
  }

  /** What a word on the primary makes visible; undefined when nothing. */
  #contentOf(state: Int32Array, at: number): { key: number; value: number } | undefined {
    const id = state[at];
    let object = this.#objects[id];
    if (object === undefined) {
      const { interner, pool, scenario } = this.#model;
      const w = interner.wordAt(id, this.#word);
      const { client, cell } = pool.cellAt(ownerPointer(w));
      object = isKv(w) ? { owner: client, place: cell * scenario.dataReplicas } : null;
      this.#objects[id] = object;
    }
    if (object === null) return undefined;
    // All replicas of an object that a slot names are alike; a dead one may have missed it.
    const { pool } = this.#model;
    let { place } = object;
    for (let r = 0; this.#model.isDead(state, pool.view.dataMn(0, r)); r++) place = object.place + r + 1;
    return this.#model.contents.of(this.#model.lineAt(state, { owner: object.owner, place }));
  }
}
