/**
 * The history of a run's requests, and whether it is linearizable. A request begins when its first verb has
 * executed and ends when its client goes on with the answer; the time is the number of such events so far.
 *
 * Verdicts are remembered by what they depend on: who had ended when who began, how each ended, and the
 * contents at the end. Few of many schedules differ in that.
 */
import type { Outcome as Ended } from '../../../fusee/ops/index.js';
import { endedAs } from '../ended.js';
import {
  type Contents,
  checkHistory,
  explain,
  History,
  NO_VALUE,
  Operation,
  Outcome,
} from '../linearizability/index.js';
import { Digest } from './digest.js';

/** One request, as it is asked. */
export interface Asked {
  /** Who asks: requests of one asker follow one another. */
  readonly asker: number;
  readonly key: number;
  readonly operation: Operation;
  /** Id of the value that it writes, if it writes one. */
  readonly value: number;
}

/** Records one run. */
export class HistoryRecorder {
  readonly history = new History({ capacity: 32 });
  readonly #initial: Contents;
  readonly #verdicts: Map<string, string>;
  readonly #events = new Digest();
  readonly #ended = new Digest();
  readonly #event = new Digest();
  #timeNs = 0;

  /** @param options.verdicts remembers from run to run. */
  constructor(options: { initial: Contents; verdicts?: Map<string, string> }) {
    this.#initial = options.initial;
    this.#verdicts = options.verdicts ?? new Map();
  }

  /** A request begins. @returns what {@link end} is told. */
  begin({ asker, key, operation, value }: Asked): number {
    const writes = operation !== Operation.SEARCH && operation !== Operation.DELETE;
    const row = this.history.begin(asker, key, operation, writes ? value : NO_VALUE, ++this.#timeNs);
    const event = this.#event
      .reset()
      .add(asker)
      .add(key)
      .add(operation)
      .add(writes ? value : NO_VALUE);
    this.#events.join(event.addDigest(this.#ended));
    return row;
  }

  /** It has ended. @param valueRead id of the value that a SEARCH has found. */
  end(row: number, outcome: Ended, valueRead = NO_VALUE): void {
    const { history } = this;
    const ended = endedAs(outcome);
    const isFound = history.operation[row] === Operation.SEARCH && ended === Outcome.OK;
    history.complete(row, ended, isFound ? valueRead : NO_VALUE, ++this.#timeNs);
    const event = this.#event.reset().add(history.client[row]).add(history.key[row]);
    event
      .add(history.operation[row])
      .add(history.valueWritten[row])
      .add(ended)
      .add(isFound ? valueRead : -1);
    this.#ended.join(event);
    this.#events.join(event.add(1));
  }

  /** Takes in all that a later verdict can depend on. */
  addTo(digest: Digest): void {
    digest.addDigest(this.#events);
  }

  /** Why no order of the requests explains the answers and the contents at the end; undefined: one does. */
  wrong(final: Contents): string | undefined {
    const state = this.#event.reset().addDigest(this.#events);
    for (const [key, value] of [...final].sort(([a], [b]) => a - b)) state.add(key).add(value);
    const name = `${state.a} ${state.b}`;
    let verdict = this.#verdicts.get(name);
    if (verdict === undefined) {
      const result = checkHistory(this.history, { initial: this.#initial, final });
      verdict = result.verdict === 'ok' ? '' : explain(this.history, result);
      this.#verdicts.set(name, verdict);
    }
    return verdict === '' ? undefined : verdict;
  }
}
