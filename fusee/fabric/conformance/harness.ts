/** What a fabric has to offer so that the conformance suite can test it, and what its tests share. */
import { expect, it } from 'vitest';
import { type Status, VerbBatch } from '../../verbs/index.js';
import type { Fabric } from '../contract.js';
import type { ProgramName } from './programs.js';

/** What a test may ask of a client; a fabric without such a setting ignores it. */
export interface AttachOptions {
  localBytes?: number;
  queueCapacity?: number;
  rpcTimeoutNs?: number;
}

/** A client in a process of its own that runs one program of {@link ProgramName}. */
export interface ClientProcess {
  /** Settles when the program is about to begin. */
  readonly started: Promise<void>;
  /** What the program returned. */
  readonly result: Promise<readonly number[]>;
  /** Fences the client; resolves with the acknowledgement. */
  fence(): Promise<void>;
}

/** Memory nodes, zeroed and serving the requests of `service.ts`, and clients of them. */
export interface FabricPool {
  /** One more client in this process. */
  attach(options?: AttachOptions): Fabric;
  /** Kills an MN; its verbs must FAIL soon after. */
  kill(mn: number): Promise<void>;
  /** A client elsewhere; a kind without one skips the tests that need it. */
  run(program: ProgramName, args: readonly number[]): ClientProcess;
  close(): Promise<void>;
}

/** One kind of fabric under test. */
export interface FabricHarness {
  start(memoryBytes: readonly number[]): Promise<FabricPool>;
  /** Share of the rounds that clients at the same time take, where a round takes long. @default 1 */
  readonly roundShare?: number;
  /** Tests that this kind cannot run, by name, with the reason. */
  readonly skips: Readonly<Record<string, string>>;
}

/** Registers tests by name, so that skips can be checked: a skip that names no test is an error. */
export class Suite {
  readonly #harness: FabricHarness;
  readonly #unused: Set<string>;

  constructor(harness: FabricHarness) {
    this.#harness = harness;
    this.#unused = new Set(Object.keys(harness.skips));
  }

  /** So many rounds, or the share of them that this kind takes. */
  rounds(count: number): number {
    return Math.ceil(count * (this.#harness.roundShare ?? 1));
  }

  /** One test on fresh MNs of `memoryBytes` each, which are closed afterwards. */
  test(name: string, memoryBytes: readonly number[], body: (pool: FabricPool) => Promise<void>): void {
    const reason = this.#harness.skips[name];
    if (reason !== undefined) {
      this.#unused.delete(name);
      it.skip(`${name} [skipped: ${reason}]`, () => {});
      return;
    }
    it(name, async () => {
      const pool = await this.#harness.start(memoryBytes);
      try {
        await body(pool);
      } finally {
        await pool.close();
      }
    }, 120_000);
  }

  /** Last of all. */
  finish(): void {
    it('skips only tests that exist', () => expect([...this.#unused]).toEqual([]));
  }
}

/** A client with one batch and some registered memory, for tests that need no more. */
export class Probe {
  readonly fabric: Fabric;
  readonly batch: VerbBatch;
  /** Offset of 8 KiB of registered memory. */
  readonly buffer: number;
  readonly #done: VerbBatch[] = [];

  constructor(fabric: Fabric) {
    this.fabric = fabric;
    this.batch = new VerbBatch(fabric.local, 64);
    this.buffer = fabric.local.reserve(8192);
  }

  /** Posts the batch and polls until it is handed back, giving the event loop its turns. */
  async roundTrip(): Promise<void> {
    expect(this.fabric.post(this.batch)).toBe(true);
    await waitFor('the batch', () => this.fabric.poll(this.#done) === 1);
    expect(this.#done[0]).toBe(this.batch);
  }

  statuses(): Status[] {
    return Array.from({ length: this.batch.count }, (_, i) => this.batch.status(i));
  }

  /** Sets registered bytes at `at` behind the buffer's start. */
  fill(bytes: ArrayLike<number>, at = 0): void {
    this.fabric.local.bytes.set(bytes, this.buffer + at);
  }

  /** Registered bytes from `at` behind the buffer's start. */
  bytes(at: number, lengthBytes: number): number[] {
    return [...this.fabric.local.bytes.subarray(this.buffer + at, this.buffer + at + lengthBytes)];
  }
}

/** Polls a condition with turns of the event loop between; fails by name after `withinMs`. */
export async function waitFor(
  what: string,
  isThere: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isThere())) {
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${withinMs} ms`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
