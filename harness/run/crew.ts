/** The processes of one pool that runs for a while: memory nodes, masters, and clients. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HostFabricKind, NodeAccess } from '../../fusee/fabric/open.js';
import { keepSecret } from '../../fusee/fabric/secret.js';
import { findProcess, sweepRegions } from '../../fusee/fabric/shm-process.js';
import type { RdmaChoice } from '../../fusee/fabric/verbs.js';
import type { PoolConfig } from '../../fusee/layout/index.js';
import { FabricError } from '../../fusee/verbs/index.js';
import { Child } from './child.js';
import { HOT_FLAGS } from './hot-flags.js';
import { Masters } from './masters.js';
import type { FromNode, ToNode } from './messages.js';

type NodeChild = Child<ToNode, FromNode>;

/** How long killed processes are waited for when this one exits. */
const KILL_MS = 1000;

/**
 * The processes of a cell. Once it ends, no more can join; if this process exits before, they die with it.
 */
export class Crew<To extends object, From extends { type: string }> {
  readonly nodes: NodeChild[] = [];
  readonly clients: Child<To, From>[] = [];
  readonly masters: Masters;
  readonly #lost: Promise<never>;
  #lose: (error: Error) => void = () => {};
  /** How its nodes are reached; known when they have started. */
  access: NodeAccess;
  readonly #pool: string;
  readonly #module: string;
  /** Of the secret, when the nodes are reached over a network. */
  #folder: string | undefined;
  readonly #onExit = (): void => this.#kill();
  #isEnded = false;

  /** @param module what a client runs, as {@link Child} names it. */
  constructor(pool: string, module: string) {
    this.#pool = pool;
    this.access = { pool };
    this.#module = module;
    this.masters = new Masters(pool, (make) => this.#add(make));
    process.once('exit', this.#onExit);
    this.#lost = new Promise((_, reject) => {
      this.#lose = reject;
    });
    this.#lost.catch(() => {});
  }

  /** Of those that have run. */
  get pids(): number[] {
    return [...this.clients, ...this.masters.processes, ...this.nodes]
      .map((child) => child.pid)
      .filter((pid) => pid > 0);
  }

  /** Starts the pool's memory nodes. */
  async startNodes(
    config: PoolConfig,
    { fabric = 'shm', rdma }: { fabric?: HostFabricKind; rdma?: RdmaChoice } = {},
  ): Promise<void> {
    const secretFile = fabric === 'shm' ? undefined : this.#makeSecret();
    const reached = secretFile === undefined ? {} : { secretFile, fabric };
    const ports = await Promise.all(
      Array.from({ length: config.nodes }, async (_, mn) => {
        const node = this.#add((): NodeChild => new Child(`memory node ${mn}`, './node-process'));
        this.nodes.push(node);
        const ready = node.expect('ready');
        node.tell({ type: 'start', pool: this.#pool, mn, config, ...reached });
        return (await ready).port;
      }),
    );
    if (secretFile === undefined) return;
    const nodes = ports.map((port) => `127.0.0.1:${port}`);
    this.access = { pool: this.#pool, fabric, secretFile, nodes, ...(rdma === undefined ? {} : { rdma }) };
  }

  #makeSecret(): string {
    this.#folder = mkdtempSync(join(tmpdir(), 'fusee-secret-'));
    const path = join(this.#folder, 'secret');
    keepSecret(path);
    return path;
  }

  #removeSecret(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  /** @param foretells tells from its standard error that a client dies by SIGKILL as planned. */
  addClient(index: number, foretells?: (stderr: string) => boolean): Child<To, From> {
    const options = { nodeFlags: HOT_FLAGS, ...(foretells === undefined ? {} : { foretells }) };
    const client = this.#add((): Child<To, From> => new Child(`client ${index}`, this.#module, options));
    this.clients.push(client);
    return client;
  }

  /**
   * Waits for work of the crew; when one of them fails or dies, whatever it was doing, the work has failed.
   * A death as planned ends nothing but what was awaited of that process.
   */
  whileWhole<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#lost]);
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await Promise.all(this.clients.map((c) => c.end()));
    await this.masters.end();
    await Promise.all(this.nodes.map((n) => n.end()));
    process.off('exit', this.#onExit);
    // A node that was killed cannot have removed its region.
    sweepRegions(this.#pool);
    this.#removeSecret();
  }

  /** Without grace, in the last moment of this process: a child that is stopped would not see it go. */
  #kill(): void {
    const { pids } = this;
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {}
    }
    const end = performance.now() + KILL_MS;
    while (pids.some((pid) => findProcess(pid) !== null) && performance.now() < end);
    sweepRegions(this.#pool);
    this.masters.forget();
    this.#removeSecret();
  }

  #add<C extends Pick<NodeChild, 'failure'>>(make: () => C): C {
    if (this.#isEnded) throw new FabricError('the cell has ended; it takes no more processes');
    const child = make();
    void child.failure.then(this.#lose);
    return child;
  }
}

/** Nothing is measured yet: an abort need not wait. */
export async function orAbort<T>(work: Promise<T>, abort: AbortSignal): Promise<T> {
  abort.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(abort.reason);
    abort.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) abort.removeEventListener('abort', onAbort);
  }
}
