/**
 * Linearizability on the fly: which orders of the requests so far can explain what was answered?
 *
 * A configuration is one explanation: the value of each key, and for each client with an open request whether
 * that request has taken effect, and with which result. A set of configurations is all explanations; requests
 * that are open may take effect at any time, so they do so only when a response needs them. A history is
 * linearizable as long as the set is not empty (the construction of Wing and Gong, as a subset automaton).
 * Sets are interned: they are part of a state, which makes the check exact under state hashing.
 *
 * A configuration is a number of base-64 digits: keys first, then clients; 0 is absent, or not in effect yet.
 */
import { Outcome, RequestKind } from '../../../fusee/ops/index.js';
import { FOUND } from '../scenario/client-run.js';
import { initialValue, MAX_CLIENTS, MAX_KEYS, type Scenario, writtenValue } from '../scenario/scenario.js';

/** No explanation is left. */
export const IMPOSSIBLE = -1;

const DIGIT = 64;
const digitOf = (config: number, place: number): number => Math.floor(config / DIGIT ** place) % DIGIT;
const withDigit = (config: number, place: number, digit: number): number =>
  config + (digit - digitOf(config, place)) * DIGIT ** place;

/** The sets of explanations of one scenario. */
export class Configurations {
  readonly #scenario: Scenario;
  readonly #sets: number[][] = [];
  readonly #ids = new Map<string, number>();
  readonly #responses = new Map<string, number>();
  /** The set that holds at the start. */
  readonly initial: number;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    let config = 0;
    for (const key of scenario.slots) if (key >= 0) config = withDigit(config, key, initialValue(key));
    for (const program of scenario.programs) {
      for (const step of program) {
        // The bare slot is always there: its key exists from the start.
        if (step.kind > RequestKind.PUT) config = withDigit(config, step.key, initialValue(step.key));
      }
    }
    this.initial = this.#intern([config]);
  }

  /**
   * The set after client `client`'s open request was answered `result`.
   * @param open per client the index of its open request, -1 for none; the answered one included.
   */
  respond(set: number, open: ArrayLike<number>, client: number, result: number): number {
    const key = `${set}|${Array.prototype.join.call(open)}|${client}|${result}`;
    const known = this.#responses.get(key);
    if (known !== undefined) return known;
    const place = MAX_KEYS + client;
    const after: number[] = [];
    for (const config of this.#reachable(set, open, place)) {
      // INDEX_FULL promises only that nothing happened.
      if (result === Outcome.INDEX_FULL ? digitOf(config, place) === 0 : digitOf(config, place) === result)
        after.push(withDigit(config, place, 0));
    }
    const id = after.length === 0 ? IMPOSSIBLE : this.#intern(after);
    this.#responses.set(key, id);
    return id;
  }

  /** True when some explanation leaves the keys with exactly these values (0: absent). */
  explains(set: number, open: ArrayLike<number>, values: readonly number[]): boolean {
    for (const config of this.#reachable(set, open, -1))
      if (values.every((value, key) => digitOf(config, key) === value)) return true;
    return false;
  }

  /** A set as text: equal sets of equal scenarios give equal texts. */
  describe(set: number): string {
    return this.#sets[set].join();
  }

  /**
   * All configurations that open requests can lead to; a configuration in which `stop` is in effect goes no
   * further.
   */
  #reachable(set: number, open: ArrayLike<number>, stop: number): Set<number> {
    const seen = new Set(this.#sets[set]);
    for (const config of seen) {
      if (stop >= 0 && digitOf(config, stop) !== 0) continue;
      for (let c = 0; c < MAX_CLIENTS; c++) {
        if (!(open[c] >= 0) || digitOf(config, MAX_KEYS + c) !== 0) continue;
        seen.add(this.#apply(config, c, open[c]));
      }
    }
    return seen;
  }

  #apply(config: number, client: number, request: number): number {
    const { kind, key } = this.#scenario.programs[client][request];
    const value = digitOf(config, key);
    let result: number = value === 0 ? Outcome.NOT_FOUND : Outcome.OK;
    let after = config;
    if (kind === RequestKind.INSERT) {
      result = value === 0 ? Outcome.OK : Outcome.EXISTS;
      if (value === 0) after = withDigit(after, key, writtenValue(client, request));
    } else if (kind === RequestKind.SEARCH) result = value === 0 ? Outcome.NOT_FOUND : FOUND + value;
    else if (value !== 0)
      after = withDigit(after, key, kind === RequestKind.DELETE ? 0 : writtenValue(client, request));
    return withDigit(after, MAX_KEYS + client, result);
  }

  #intern(configs: number[]): number {
    const key = [...new Set(configs)].sort((a, b) => a - b);
    const text = key.join();
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#ids.set(text, this.#sets.length);
    return this.#sets.push(key) - 1;
  }
}
