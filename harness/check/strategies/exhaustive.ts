/**
 * Every schedule of a scenario: breadth first over distinct states, so that the first violation found has one
 * of the shortest schedules. How many schedules there are is counted by summing over paths, not by walking
 * them.
 */
import { countSchedules, Edges } from '../explorer/count-schedules.js';
import type { Event } from '../explorer/event.js';
import { Invariants } from '../explorer/invariants.js';
import { Model } from '../explorer/model.js';
import { StateStore } from '../explorer/state-store.js';
import type { ModelOptions } from '../explorer/states.js';
import type { Scenario } from '../scenario/scenario.js';

/** A schedule that breaks a promise. */
export interface Violation {
  readonly message: string;
  readonly events: readonly Event[];
}

/** What exploring a scenario came to. */
export interface Exploration {
  readonly scenario: Scenario;
  readonly states: number;
  readonly transitions: number;
  /**
   * Schedules that these states stand for, data verbs at once, polls that find nothing left out; if asked
   * for.
   */
  readonly schedules: number | undefined;
  /** States in which every client has ended. */
  readonly ends: number;
  /** Branches cut because a request used up its objects. */
  readonly cuts: number;
  /** Not every state was met: the limit was reached, or a violation ended the search. */
  readonly isPartial: boolean;
  readonly violation: Violation | undefined;
  /** Bit v set: verdict v was reached. */
  readonly verdicts: number;
  readonly milliseconds: number;
}

export interface ExhaustiveOptions extends ModelOptions {
  /** States to meet at most. @default 60 million */
  readonly statesMax?: number;
  /** Counts schedules, at the cost of keeping every transition. @default false */
  readonly countsSchedules?: boolean;
  /** Collects the distinct ends: what the slots hold and which explanations remain. */
  readonly onEnd?: (model: Model, state: Int32Array) => void;
}

/** Explores one scenario. */
export class Exhaustive {
  readonly model: Model;
  readonly #options: ExhaustiveOptions;
  readonly #store: StateStore;
  readonly #invariants: Invariants;
  readonly #edges: Edges | undefined;
  /** Per state the one it was first met from, and which of its successors it was. */
  #parents = new Int32Array(1 << 12);
  #ordinals = new Int32Array(1 << 12);
  #violation: Violation | undefined;
  #transitions = 0;
  #ends = 0;
  #cuts = 0;

  constructor(scenario: Scenario, options: ExhaustiveOptions = {}) {
    this.model = new Model(scenario, options);
    this.#options = options;
    this.#store = new StateStore(this.model.layout.width);
    this.#invariants = new Invariants(this.model);
    this.#edges = options.countsSchedules === true ? new Edges() : undefined;
  }

  run(): Exploration {
    const startedMs = performance.now();
    const store = this.#store;
    const statesMax = this.#options.statesMax ?? 60_000_000;
    let at = -1;
    let ordinal = 0;
    const emit = (state: Int32Array, violation: string | undefined, events: readonly Event[]): void => {
      const mine = ordinal++;
      this.#transitions++;
      if (violation !== undefined) {
        this.#violation ??= { message: violation, events: [...this.#eventsTo(at), ...events] };
        return;
      }
      const before = store.count;
      const index = store.add(state);
      if (index === before) this.#remember(index, at, mine);
      if (at >= 0 && index !== at) this.#edges?.add(at, index);
    };
    this.model.start(emit);
    const roots = store.count;
    while (++at < store.count && this.#violation === undefined && store.count < statesMax) {
      const state = store.at(at);
      if (!this.#goesOn(state, at)) continue;
      ordinal = 0;
      this.model.expand(state, emit);
      if (ordinal === 0)
        this.#violation ??= {
          message: 'nothing more can happen, and somebody waits',
          events: this.#eventsTo(at),
        };
    }
    return {
      scenario: this.model.scenario,
      states: store.count,
      transitions: this.#transitions,
      schedules: this.#edges && countSchedules(this.#edges, store.count, roots),
      ends: this.#ends,
      cuts: this.#cuts,
      isPartial: at < store.count,
      violation: this.#violation,
      verdicts: this.model.unfolding.verdicts,
      milliseconds: performance.now() - startedMs,
    };
  }

  /** Checks a state; false when nothing follows it. */
  #goesOn(state: Int32Array, at: number): boolean {
    const invariants = this.#invariants;
    if (invariants.isCut(state)) {
      this.#cuts++;
      return false;
    }
    const isFinal = invariants.isFinal(state);
    const message =
      invariants.wrong(state) ?? (isFinal ? invariants.wrongAtEnd(state) : invariants.stuck(state));
    if (message !== undefined) this.#violation ??= { message, events: this.#eventsTo(at) };
    if (isFinal) {
      this.#ends++;
      this.#options.onEnd?.(this.model, state);
    }
    return message === undefined && !isFinal;
  }

  #remember(index: number, parent: number, ordinal: number): void {
    if (index >= this.#parents.length) {
      this.#parents = doubled(this.#parents);
      this.#ordinals = doubled(this.#ordinals);
    }
    this.#parents[index] = parent;
    this.#ordinals[index] = ordinal;
  }

  /** The events that led to a state: each step on the way is taken again. */
  #eventsTo(index: number): Event[] {
    const steps: number[] = [];
    for (let i = index; i >= 0; i = this.#parents[i]) steps.push(i);
    return steps.reverse().flatMap((i) => {
      let ordinal = 0;
      let found: readonly Event[] = [];
      const emit = (_: Int32Array, __: string | undefined, events: readonly Event[]): void => {
        if (ordinal++ === this.#ordinals[i]) found = events;
      };
      if (this.#parents[i] < 0) this.model.start(emit);
      else this.model.expand(this.#store.at(this.#parents[i]), emit);
      return found;
    });
  }
}

function doubled(from: Int32Array): Int32Array<ArrayBuffer> {
  const to = new Int32Array(from.length * 2);
  to.set(from);
  return to;
}
