/** A client that writes, for tests that let others die meanwhile. */
import { expect } from 'vitest';
import type { Client } from '../../fusee/client/index.js';
import { until } from './run-fusee.js';

const KEYS = 60;

/** Inserts and updates until it is told to end; what was acknowledged last of each key. */
export class Writer {
  readonly #client: Client;
  readonly latest = new Map<string, string>();
  rounds = 0;
  /** Writes that were acknowledged. */
  count = 0;
  #isEnding = false;
  #done: Promise<void> = Promise.resolve();

  constructor(client: Client) {
    this.#client = client;
  }

  /** Begins to write. */
  begin(): void {
    this.#done = this.#run();
  }

  async #run(): Promise<void> {
    for (; !this.#isEnding; this.rounds++) {
      for (let i = 0; i < KEYS && !this.#isEnding; i++) {
        const [key, value] = [`k${i}`, `${this.rounds}-${i}-${'x'.repeat(i * 8)}`];
        let outcome = '';
        // What ends UNAVAILABLE may have taken effect: the same again decides it.
        while (outcome !== 'OK') ({ outcome } = await this.#client.put(key, value));
        this.latest.set(key, value);
        this.count++;
      }
    }
  }

  /** Every key holds what it was set to last. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#done;
    for (const [key, value] of this.latest) {
      const found = await this.#client.search(key);
      expect([key, found.outcome === 'OK' && Buffer.from(found.value).toString()]).toEqual([key, value]);
    }
  }

  /** Waits until every key has been written once more. */
  async goOn(): Promise<void> {
    const before = this.rounds;
    await until(() => this.rounds > before + 1, 20_000);
    expect(this.rounds).toBeGreaterThan(before + 1);
  }
}
