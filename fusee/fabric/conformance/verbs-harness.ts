/** The verbs fabric under test: MNs and clients are own processes, used again between tests. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fenceOverVerbs, VerbsFabric } from '../verbs.js';
import type { AttachOptions, ClientProcess, FabricHarness, FabricPool } from './harness.js';
import type { ProgramName } from './programs.js';
import type { VerbsCommand, VerbsReply, VerbsSide } from './verbs-process.js';

/** Of all pools under test. */
export const VERBS_SECRET: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i * 7);

/** One helper process, which does one thing at a time. */
class Helper {
  readonly child: ChildProcess;
  #isStarted: ((clientKey: string) => void) | undefined;
  #isDone: { resolve(result: readonly number[]): void; reject(error: Error): void } | undefined;

  constructor() {
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const path = fileURLToPath(new URL(`./verbs-process.${extension}`, import.meta.url));
    this.child = fork(path, [], { execArgv: extension === 'ts' ? ['--import', 'tsx'] : [] });
    this.child.on('message', (reply: VerbsReply) => {
      if (reply.is === 'started') this.#isStarted?.(reply.clientKey);
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
  run(command: VerbsCommand): { started: Promise<string>; done: Promise<readonly number[]> } {
    const started = new Promise<string>((resolve) => {
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

/** What a run of the suite goes over: where nodes listen, and the clients' side. */
export interface VerbsPath extends VerbsSide {
  readonly host: string;
}

let pools = 0;

class VerbsPool implements FabricPool {
  readonly #idle: Helper[];
  readonly #path: VerbsPath;
  readonly #nodes: Helper[] = [];
  readonly #fabrics: VerbsFabric[] = [];
  readonly #clients: Promise<unknown>[] = [];
  readonly #addresses: string[] = [];
  readonly #fenced: Helper[] = [];

  constructor(idle: Helper[], path: VerbsPath) {
    this.#idle = idle;
    this.#path = path;
  }

  async start(memoryBytes: readonly number[]): Promise<void> {
    const pool = `test-${process.pid}-verbs-${pools++}`;
    for (const [mn, bytes] of memoryBytes.entries()) {
      const helper = this.#take();
      this.#nodes.push(helper);
      const { host } = this.#path;
      const secret = [...VERBS_SECRET];
      const [port] = await helper.run({ do: 'node', pool, mn, memoryBytes: bytes, host, secret }).done;
      this.#addresses.push(`${host}:${port}`);
    }
  }

  #take(): Helper {
    return this.#idle.pop() ?? new Helper();
  }

  get #side(): VerbsSide {
    const { device, connect } = this.#path;
    return { ...(device === undefined ? {} : { device }), ...(connect === undefined ? {} : { connect }) };
  }

  attach(options: AttachOptions = {}): VerbsFabric {
    const fabric = new VerbsFabric({
      addresses: this.#addresses,
      secret: VERBS_SECRET,
      ...this.#side,
      ...options,
    });
    this.#fabrics.push(fabric);
    return fabric;
  }

  kill(mn: number): Promise<void> {
    return this.#nodes[mn].kill();
  }

  run(program: ProgramName, args: readonly number[]): ClientProcess {
    const helper = this.#take();
    const reached = { addresses: this.#addresses, side: this.#side };
    const { started, done } = helper.run({
      do: 'client',
      program,
      args,
      secret: [...VERBS_SECRET],
      ...reached,
    });
    this.#clients.push(
      done.then(
        () => this.#idle.push(helper),
        () => helper.kill(),
      ),
    );
    const fence = async (): Promise<void> => {
      const clientKey = BigInt(await started);
      this.#fenced.push(helper);
      await fenceOverVerbs(clientKey, { addresses: this.#addresses, secret: VERBS_SECRET, ...this.#side });
    };
    return { started: started.then(() => {}), result: done, fence };
  }

  async close(): Promise<void> {
    for (const fabric of this.#fabrics) fabric.close();
    // A fence ends what it executes, not its process.
    for (const helper of this.#fenced) await helper.kill();
    await Promise.all(this.#clients);
    for (const node of this.#nodes) {
      if (!node.isAlive) continue;
      await node.run({ do: 'close' }).done;
      this.#idle.push(node);
    }
  }
}

/** The harness, and `end` for after the last test. */
export function verbsHarness(path: VerbsPath): FabricHarness & { end(): Promise<void> } {
  const idle: Helper[] = [];
  return {
    skips: {},
    roundShare: 0.004,
    async start(memoryBytes) {
      const pool = new VerbsPool(idle, path);
      await pool.start(memoryBytes);
      return pool;
    },
    async end() {
      await Promise.all(idle.map((helper) => helper.kill()));
    },
  };
}
