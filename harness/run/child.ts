/** A forked process of a run: typed messages, one answer awaited at a time, and an end that is always waited for. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FabricError, UsageError } from '../../fusee/verbs/index.js';
import type { Failed } from './messages.js';

/** Grace between asking a process to end and killing it. */
const END_MS = 2000;

export class Child<To extends object, From extends { type: string }> {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<void>;
  readonly #stderr: string[] = [];
  #expected: { type: string; resolve(message: never): void; reject(error: Error): void } | null = null;
  #failure: Error | null = null;
  /** Called for every message that nobody awaits. */
  onMessage: (message: From) => void = () => {};

  /** Forks `module` (a path relative to this folder, without its ending). */
  constructor(name: string, module: string, options: { nodeFlags?: readonly string[] } = {}) {
    this.name = name;
    // Run from sources (tests) or compiled: a child runs the same way as its parent.
    const source = import.meta.url.endsWith('.ts');
    const path = fileURLToPath(new URL(`${module}${source ? '.ts' : '.js'}`, import.meta.url));
    const loader = source ? ['--import', 'tsx'] : [];
    this.#process = fork(path, [], {
      execArgv: [...loader, ...(options.nodeFlags ?? [])],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process.stderr?.on('data', (chunk: Buffer) => this.#stderr.push(chunk.toString()));
    this.#process.on('message', (message) => this.#receive(message as From));
    this.#exit = new Promise((resolve) => {
      this.#process.on('exit', (code, signal) => {
        const how = signal === null ? `status ${code}` : signal;
        const said = this.#stderr.join('').trim();
        this.#fail(new FabricError(`${name} ended unexpectedly (${how})${said === '' ? '' : `: ${said}`}`));
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? -1;
  }

  /** Sends a message. */
  tell(message: To): void {
    if (this.#process.connected) this.#process.send(message);
  }

  /** Waits for the next message of a type. @throws what the process reports, or FabricError when it ends. */
  expect<T extends From['type']>(type: T): Promise<Extract<From, { type: T }>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) reject(this.#failure);
      else this.#expected = { type, resolve: resolve as (message: never) => void, reject };
    });
  }

  /** Ends the process: its channel closes, which it obeys; killed when it does not. */
  async end(): Promise<void> {
    this.#expected = null;
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), END_MS);
    await this.#exit;
    clearTimeout(timer);
  }

  #receive(message: From): void {
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

  #fail(error: Error): void {
    this.#failure ??= error;
    const expected = this.#expected;
    this.#expected = null;
    expected?.reject(this.#failure);
  }
}

function asError(name: string, { code, message }: Failed): Error {
  const text = `${name}: ${message}`;
  return code === 'USAGE' ? new UsageError(text) : new FabricError(text);
}
