/** Where a state of the exploration keeps what; and the packing of what may still go wrong. */
import type { Scenario } from '../scenario/scenario.js';

/**
 * One number: client crashes left, cuts left, a bit for each cut link, a bit for each dead MN, MN crashes
 * left.
 */
const CUTS_SHIFT = 4;
const LINKS_SHIFT = 8;
const DEAD_SHIFT = 24;
const KILLS_SHIFT = 28;
const MNS_MAX = 4;
const MNS_MASK = (1 << MNS_MAX) - 1;

/**
 * Slots on every replica | per client its local state and its cells | the set of explanations | what may
 * still go wrong | the view: 0 at first, else 1 + the number of what a master decided | verbs of dead clients
 * that are still on their way.
 */
export class StateLayout {
  /** Numbers in a state. */
  readonly width: number;
  readonly set: number;
  readonly view: number;
  readonly strays: number;
  readonly #firstClient: number;
  readonly #budget: number;

  constructor({ slots, replicas, programs }: Scenario) {
    this.#firstClient = slots.length * replicas;
    this.set = this.#firstClient + 2 * programs.length;
    this.#budget = this.set + 1;
    this.view = this.set + 2;
    this.strays = this.set + 3;
    this.width = this.set + 4;
  }

  /** What may go wrong from the start. */
  begin(state: Int32Array, { crashes, cuts, mnCrashes }: Scenario): void {
    state[this.#budget] = crashes | (cuts << CUTS_SHIFT) | (mnCrashes << KILLS_SHIFT);
  }

  /** Where the local state of a client stands; its cells come next. */
  local(client: number): number {
    return this.#firstClient + 2 * client;
  }

  mayCrash(state: Int32Array): boolean {
    return (state[this.#budget] & ((1 << CUTS_SHIFT) - 1)) > 0;
  }

  mayCut(state: Int32Array): boolean {
    return ((state[this.#budget] >> CUTS_SHIFT) & 15) > 0;
  }

  mayKill(state: Int32Array): boolean {
    return state[this.#budget] >> KILLS_SHIFT > 0;
  }

  crash(state: Int32Array): void {
    state[this.#budget]--;
  }

  /** Cuts a client's link. */
  cut(state: Int32Array, client: number, mn: number): void {
    state[this.#budget] -= 1 << CUTS_SHIFT;
    state[this.#budget] |= 1 << (LINKS_SHIFT + client * MNS_MAX + mn);
  }

  /** A client's place is another's now, who has links of its own. */
  mendLinks(state: Int32Array, client: number): void {
    state[this.#budget] &= ~(MNS_MASK << (LINKS_SHIFT + client * MNS_MAX));
  }

  kill(state: Int32Array, mn: number): void {
    state[this.#budget] = (state[this.#budget] - (1 << KILLS_SHIFT)) | (1 << (DEAD_SHIFT + mn));
  }

  /** Nobody dies, and no link fails, from here on. */
  calm(state: Int32Array): void {
    state[this.#budget] &= ~((1 << LINKS_SHIFT) - 1);
  }

  /** May the client still end before its program does? */
  mayEnd(state: Int32Array, client: number): boolean {
    const links = (state[this.#budget] >> (LINKS_SHIFT + client * MNS_MAX)) & MNS_MASK;
    return (state[this.#budget] & ((1 << LINKS_SHIFT) - 1)) > 0 || links !== 0;
  }

  /** True when the MN has died; without `mn`, when any has. */
  isDead(state: Int32Array, mn?: number): boolean {
    const dead = (state[this.#budget] >> DEAD_SHIFT) & MNS_MASK;
    return mn === undefined ? dead !== 0 : ((dead >> mn) & 1) !== 0;
  }

  /** True when the client gets no answer from the MN. */
  isCut(state: Int32Array, client: number, mn: number): boolean {
    const link = (state[this.#budget] >> (LINKS_SHIFT + client * MNS_MAX + mn)) & 1;
    return this.isDead(state, mn) || link !== 0;
  }
}
