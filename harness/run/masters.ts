/** The masters of a run: one leads, the others stand by, each a process of its own. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { forgetNames } from '../../fusee/control/channel.js';
import type { NodeAccess } from '../../fusee/fabric/open.js';
import { forgetMasters } from '../../fusee/store/index.js';
import { FabricError } from '../../fusee/verbs/index.js';
import { Child } from './child.js';
import type { FromMasterProcess, Settled, ToMasterProcess } from './messages.js';

type MasterChild = Child<ToMasterProcess, FromMasterProcess>;

/** From one look for a master that leads to the next. */
const LOOK_MS = 10;

/** A pool's masters; part of a crew, which says how a process is added to it. */
export class Masters {
  readonly processes: MasterChild[] = [];
  /** Called when one that stood by leads, with the time, by the host's monotonic clock. */
  onTakeOver: (atNs: number) => void = () => {};
  readonly #pool: string;
  readonly #add: (make: () => MasterChild) => MasterChild;
  #leading: MasterChild | null = null;

  constructor(pool: string, add: (make: () => MasterChild) => MasterChild) {
    this.#pool = pool;
    this.#add = add;
  }

  /** The one that leads; null while none does. */
  get leading(): MasterChild | null {
    return this.#leading?.isGone === false ? this.#leading : null;
  }

  /**
   * Starts them; the nodes run.
   * @returns how clients reach nodes and masters.
   */
  async start(
    access: NodeAccess,
    { masters, leaseMs }: { masters: number; leaseMs: number },
  ): Promise<NodeAccess> {
    // Over a network their channel is TCP too, as it is for clients of other hosts.
    const isFar = (access.fabric ?? 'shm') !== 'shm';
    const doors = isFar ? await freeAddresses(masters) : [];
    for (let i = 0; i < masters; i++) {
      const master = this.#add((): MasterChild => new Child(`master ${i}`, './master-process'));
      this.processes.push(master);
      const ready = master.expect(i === 0 ? 'leading' : 'standing by');
      const door = isFar ? { listen: doors[i] } : {};
      master.tell({ type: 'start', access, leaseMs, standsBy: masters > 1, ...door });
      master.onMessage = (message) => {
        if (message.type !== 'leading') return;
        this.#leading = master;
        this.onTakeOver(message.atNs);
      };
      await ready;
      if (i === 0) this.#leading = master;
    }
    return isFar && masters > 0 ? { ...access, master: doors } : access;
  }

  /**
   * Resolves when all that has died is seen to, with what the leading master has done.
   * @throws FabricError when that takes longer, or nobody leads.
   */
  async settled(timeoutMs: number): Promise<Settled> {
    for (const endMs = performance.now() + timeoutMs; this.leading === null; await pause(LOOK_MS)) {
      if (performance.now() > endMs)
        throw new FabricError(`no master leads the pool: none has taken over within ${timeoutMs} ms`);
    }
    const settled = this.leading.expect('settled');
    this.leading.tell({ type: 'settle', timeoutMs });
    return await settled;
  }

  /** What the leading master has done by now; null when none leads. */
  async told(): Promise<Settled | null> {
    const settled = this.leading?.expect('settled');
    this.leading?.tell({ type: 'settle', timeoutMs: null });
    return (await settled) ?? null;
  }

  /** Those that stand by first, or they would lead. */
  async end(): Promise<void> {
    const isLast = (one: MasterChild): boolean => one === this.#leading;
    await Promise.all(this.processes.filter((one) => !isLast(one)).map((one) => one.end()));
    await this.#leading?.end();
    this.forget();
  }

  /** What one that was killed has left behind. */
  forget(): void {
    if (this.processes.length === 0) return;
    forgetMasters(this.#pool);
    forgetNames(this.#pool);
  }
}

/** Addresses at which nobody listens: clients know those of all masters ahead of the one that will lead. */
async function freeAddresses(count: number): Promise<string[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const addresses = servers.map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return addresses;
}
