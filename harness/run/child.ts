/**
 * A forked process of a run: typed messages, one answer awaited at a time, and an end that is always waited
 * for.
 *
 * It leads a process group of its own, so that Ctrl-C on the terminal reaches the harness alone, which ends
 * its processes in order. A process whose harness is gone loses its channel, and ends itself; one that
 * is stopped meanwhile the kernel ends or wakes (`followParent`).
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { CorruptionError, FabricError, UsageError } from '../../fusee/verbs/index.js';
import { EXPELLED_STATUS, type Failed } from './messages.js';

/** Grace between asking a process to end and killing it. */
const END_MS = 2000;
const DRAIN_MS = 200;
/** What a process said on standard error is kept up to this. */
const STDERR_CHARACTERS = 64_000;
/** Kept of one whose last words tell its death: they hold all that it has counted. */
const LAST_WORDS_CHARACTERS = 8_000_000;

interface ChildOptions {
  readonly nodeFlags?: readonly string[];
  /** Whether what it said on standard error announces that it dies by SIGKILL. @default it never does */
  readonly foretells?: (stderr: string) => boolean;
}

interface Expected {
  readonly type: string;
  /** Give up when nothing at all was heard for so long. */
  readonly silentMs: number;
  resolve(message: never): void;
  reject(error: Error): void;
}

/** A process has died as it was meant to. */
export class PlannedDeath extends FabricError {}

/** One forked process; `To` goes there, `From` comes back. */
export class Child<To extends object, From extends { type: string }> {
  readonly name: string;
  /** Resolves with the reason when the process fails, or ends before {@link end}. */
  readonly failure: Promise<Error>;
  /** Resolves when the process has died as it was meant to, with what it said on standard error. */
  readonly death: Promise<string>;
  readonly #process: ChildProcess;
  readonly #exit: Promise<void>;
  #stderr = '';
  #expected: Expected | null = null;
  #failure: Error | null = null;
  #reportFailure: (error: Error) => void = () => {};
  #reportDeath: (stderr: string) => void = () => {};
  /** Its next death by SIGKILL is planned. */
  #isDoomed = false;
  #wasStopped = false;
  #isDead = false;
  #heardMs = 0;
  #isEnding = false;
  /** Called for every message that nobody awaits. */
  onMessage: (message: From) => void = () => {};

  /** Forks `module` (a path relative to this folder, without its ending). */
  constructor(name: string, module: string, options: ChildOptions = {}) {
    this.name = name;
    this.death = new Promise((resolve) => {
      this.#reportDeath = resolve;
    });
    this.failure = new Promise((resolve) => {
      this.#reportFailure = resolve;
    });
    // Run from sources (tests) or compiled: a child runs the same way as its parent.
    const source = import.meta.url.endsWith('.ts');
    const path = fileURLToPath(new URL(`${module}${source ? '.ts' : '.js'}`, import.meta.url));
    const loader = source ? ['--import', 'tsx'] : [];
    // It gets this pid to follow: when it looks for its parent, that may be another already.
    this.#process = fork(path, [String(process.pid)], {
      execArgv: [...loader, ...(options.nodeFlags ?? [])],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      detached: true,
    });
    const kept = options.foretells === undefined ? STDERR_CHARACTERS : LAST_WORDS_CHARACTERS;
    this.#process.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-kept);
    });
    this.#process.on('message', (message) => this.#receive(message as From));
    this.#exit = new Promise((resolve) => {
      this.#process.on('error', (error) => {
        this.#fail(new FabricError(`${name} could not be run: ${error.message}`));
        if (this.#process.pid === undefined) resolve();
      });
      // Not 'close': it never comes after a disconnect from this side.
      this.#process.on('exit', (code, signal) => {
        const how = signal === null ? `status ${code}` : signal;
        void this.#drained().then(() => {
          const said = this.#stderr.trim();
          const foretold = options.foretells?.(said) ?? false;
          // A node that was stopped for longer than its lease counts as dead, and ends when it is woken.
          const isExpelled = this.#wasStopped && code === EXPELLED_STATUS;
          if (isExpelled || (signal === 'SIGKILL' && (this.#isDoomed || foretold))) {
            this.#isDead = true;
            this.#reportDeath(said);
            this.#settle(new PlannedDeath(`${name} died as planned`));
          }
          this.#fail(new FabricError(`${name} ended unexpectedly (${how})${said === '' ? '' : `: ${said}`}`));
          resolve();
        });
      });
    });
  }

  /** Process id; -1 when it never ran. */
  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** It has died as it was meant to. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** It has died as it was meant to, or was ended. */
  get isGone(): boolean {
    return this.#isDead || this.#isEnding;
  }

  /** Kills it, as planned: that is no failure. */
  kill(): void {
    this.#isDoomed = true;
    this.#process.kill('SIGKILL');
  }

  /** Stops it, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#wasStopped ||= signal === 'SIGSTOP';
    this.#process.kill(signal);
  }

  /** Sends a message; one that cannot arrive is dropped, since the process's end is noticed anyway. */
  tell(message: To): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  /**
   * Waits for the next message of a type.
   * @param options.silentMs a process that is silent for so long has failed. @default it may take its time
   * @throws what the process reports, or FabricError when it ends or falls silent.
   */
  expect<T extends From['type']>(
    type: T,
    options: { silentMs?: number } = {},
  ): Promise<Extract<From, { type: T }>> {
    const { silentMs = Number.POSITIVE_INFINITY } = options;
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) {
        reject(this.#failure);
        return;
      }
      const expected = { type, silentMs, resolve: resolve as (message: never) => void, reject };
      this.#expected = expected;
      this.#heardMs = performance.now();
      if (Number.isFinite(silentMs)) this.#listen(expected);
    });
  }

  /** Ends the process: its channel closes, which it obeys; killed when it does not. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#expected = null;
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    await this.#exit;
    clearTimeout(timer);
  }

  /** Resolves when all that it said on standard error has arrived. */
  #drained(): Promise<void> {
    const { stderr } = this.#process;
    if (stderr === null || stderr.closed) return Promise.resolve();
    return new Promise((resolve) => {
      stderr.once('close', resolve);
      // A descendant of its own may hold the pipe open.
      setTimeout(resolve, DRAIN_MS);
    });
  }

  #receive(message: From): void {
    this.#heardMs = performance.now();
    if (message.type === 'failed') {
      this.#fail(asError(this.name, message as unknown as Failed));
    } else if (this.#expected?.type === message.type) {
      const { resolve } = this.#expected;
      this.#expected = null;
      resolve(message as never);
    } else {
      this.onMessage(message);
    }
  }

  /** Looks again and again whether the process has been heard of, as long as its answer is awaited. */
  #listen(expected: Expected): void {
    const look = (): void => {
      if (this.#expected !== expected) return;
      if (performance.now() - this.#heardMs < expected.silentMs) this.#listen(expected);
      else {
        const seconds = expected.silentMs / 1000;
        this.#fail(new FabricError(`${this.name} (process ${this.pid}) was silent for ${seconds} s`));
      }
    };
    // Messages that arrived while this process itself was stopped are read first.
    setTimeout(() => setImmediate(look), expected.silentMs / 4).unref();
  }

  #fail(error: Error): void {
    if (!this.#isEnding && !this.#isDead) this.#reportFailure(this.#failure ?? error);
    this.#settle(error);
  }

  /** Whoever awaits something of it hears the first reason why it will not come. */
  #settle(error: Error): void {
    this.#failure ??= error;
    const expected = this.#expected;
    this.#expected = null;
    expected?.reject(this.#failure);
  }
}

function asError(name: string, { code, message }: Failed): Error {
  const text = `${name}: ${message}`;
  if (code === 'USAGE') return new UsageError(text);
  return code === 'CORRUPTION' ? new CorruptionError(text) : new FabricError(text);
}
