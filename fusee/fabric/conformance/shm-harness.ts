/** The shared-memory fabric under test: MNs and clients are own processes, used again between tests. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ShmFabric } from '../shm.js';
import { fenceProcess, regionName } from '../shm-process.js';
import type { AttachOptions, ClientProcess, FabricHarness, FabricPool } from './harness.js';
import type { ProgramName } from './programs.js';
import type { Command, Reply, StartedClient } from './shm-process.js';

/** One helper process, which does one thing at a time. */
export class Helper {
  readonly child: ChildProcess;
  #isStarted: ((client: StartedClient) => void) | undefined;
  #isDone: { resolve(result: readonly number[]): void; reject(error: Error): void } | undefined;

  constructor() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const path = fileURLToPath(new URL(`./shm-process.${extension}`, import.meta.url));
    this.child = fork(path, [], { execArgv: extension === 'ts' ? ['--import', 'tsx'] : [] });
    this.child.on('message', (reply: Reply) => {
      if (reply.is === 'started') this.#isStarted?.(reply);
      else if (reply.is === 'done') this.#isDone?.resolve(reply.result);
      else this.#isDone?.reject(new Error(reply.message));
    });
    this.child.on('exit', (code, signal) => {
      this.#isDone?.reject(new Error(`helper process ${this.child.pid} ended: ${signal ?? code}`));
    });
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends a command; `started` tells of a client program that begins. */
  run(command: Command): { started: Promise<StartedClient>; done: Promise<readonly number[]> } {
    const started = new Promise<StartedClient>((resolve) => {
      this.#isStarted = resolve;
    });
    const done = new Promise<readonly number[]>((resolve, reject) => {
      this.#isDone = { resolve, reject };
    });
    this.child.send(command);
    return { started, done };
  }

  async kill(): Promise<void> {
    if (!this.isAlive) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}

/** Starts the helpers, and keeps those that are idle for the next test. */
export class Helpers {
  readonly #all: Helper[] = [];
  readonly #idle: Helper[] = [];

  take(): Helper {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const helper = new Helper();
    this.#all.push(helper);
    return helper;
  }

  give(helper: Helper): void {
    if (helper.isAlive) this.#idle.push(helper);
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map((helper) => helper.kill()));
  }
}

let pools = 0;

class ShmPool implements FabricPool {
  readonly #helpers: Helpers;
  readonly #nodes: Helper[] = [];
  readonly #fabrics: ShmFabric[] = [];
  readonly #clients: Promise<unknown>[] = [];
  readonly #regions: string[] = [];

  constructor(helpers: Helpers) {
    this.#helpers = helpers;
  }

  async start(memoryBytes: readonly number[]): Promise<void> {
    const pool = `test-${process.pid}-${pools++}`;
    for (const [mn, bytes] of memoryBytes.entries()) {
      const helper = this.#helpers.take();
      this.#nodes.push(helper);
      await helper.run({ do: 'node', pool, mn, memoryBytes: bytes }).done;
      this.#regions.push(regionName(pool, mn));
    }
  }

  attach(options: AttachOptions = {}): ShmFabric {
    const fabric = new ShmFabric({ regions: this.#regions, ...options });
    this.#fabrics.push(fabric);
    return fabric;
  }

  kill(mn: number): Promise<void> {
    return this.#nodes[mn].kill();
  }

  run(program: ProgramName, args: readonly number[]): ClientProcess {
    const helper = this.#helpers.take();
    const regions = this.#regions;
    const { started, done } = helper.run({ do: 'client', regions, program, args });
    this.#clients.push(
      done.then(
        () => this.#helpers.give(helper),
        () => helper.kill(),
      ),
    );
    return {
      started: started.then(() => {}),
      result: done,
      fence: async () => fenceProcess((await started).process, { regions }),
    };
  }

  async close(): Promise<void> {
    for (const fabric of this.#fabrics) fabric.close();
    await Promise.all(this.#clients);
    for (const node of this.#nodes) {
      if (!node.isAlive) continue;
      await node.run({ do: 'close' }).done;
      this.#helpers.give(node);
    }
  }
}

/** The harness, and `end` for after the last test. */
export function shmHarness(): FabricHarness & { end(): Promise<void> } {
  const helpers = new Helpers();
  return {
    skips: {},
    async start(memoryBytes) {
      const pool = new ShmPool(helpers);
      await pool.start(memoryBytes);
      return pool;
    },
    end: () => helpers.end(),
  };
}
