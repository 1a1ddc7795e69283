/**
 * The TCP fabric under test: MNs and clients are own processes, used again between tests.
 *
 * Nodes serve both TCP and shared memory, and so do the tests: where several clients run one program, every
 * second one does so over shared memory; and a WRITE that is to be seen half done must come from there, since
 * one thread of a node executes all that comes by TCP.
 */
import type { Fabric } from '../contract.js';
import { regionName } from '../shm-process.js';
import { fenceOverTcp, TcpFabric } from '../tcp.js';
import type { AttachOptions, ClientProcess, FabricHarness, FabricPool } from './harness.js';
import type { ProgramName } from './programs.js';
import { type Helper, Helpers } from './shm-harness.js';

/** Of all pools under test. */
const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 7);

let pools = 0;

class TcpPool implements FabricPool {
  readonly #helpers: Helpers;
  readonly #nodes: Helper[] = [];
  readonly #fabrics: Fabric[] = [];
  readonly #clients: Promise<unknown>[] = [];
  readonly #addresses: string[] = [];
  readonly #regions: string[] = [];
  readonly #fenced: Helper[] = [];
  #runs = 0;

  constructor(helpers: Helpers) {
    this.#helpers = helpers;
  }

  async start(memoryBytes: readonly number[]): Promise<void> {
    const pool = `test-${process.pid}-tcp-${pools++}`;
    for (const [mn, bytes] of memoryBytes.entries()) {
      const helper = this.#helpers.take();
      this.#nodes.push(helper);
      const secret = [...SECRET];
      const [port] = await helper.run({ do: 'node', pool, mn, memoryBytes: bytes, secret }).done;
      this.#addresses.push(`127.0.0.1:${port}`);
      this.#regions.push(regionName(pool, mn));
    }
  }

  attach(options: AttachOptions = {}): Fabric {
    const fabric = new TcpFabric({ addresses: this.#addresses, secret: SECRET, ...options });
    this.#fabrics.push(fabric);
    return fabric;
  }

  kill(mn: number): Promise<void> {
    return this.#nodes[mn].kill();
  }

  run(program: ProgramName, args: readonly number[]): ClientProcess {
    const helper = this.#helpers.take();
    const addresses = this.#addresses;
    const isLocal = program === 'writeRounds' || this.#runs++ % 2 === 1;
    const reached = isLocal ? { regions: this.#regions } : { addresses, secret: [...SECRET] };
    const { started, done } = helper.run({ do: 'client', program, args, ...reached });
    this.#clients.push(
      done.then(
        () => this.#helpers.give(helper),
        () => helper.kill(),
      ),
    );
    const fence = async (): Promise<void> => {
      const { clientKey } = await started;
      this.#fenced.push(helper);
      await fenceOverTcp(BigInt(clientKey ?? 0), { addresses, secret: SECRET });
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
      this.#helpers.give(node);
    }
  }
}

/** The harness, and `end` for after the last test. */
export function tcpHarness(): FabricHarness & { end(): Promise<void> } {
  const helpers = new Helpers();
  return {
    skips: {},
    roundShare: 0.05,
    async start(memoryBytes) {
      const pool = new TcpPool(helpers);
      await pool.start(memoryBytes);
      return pool;
    },
    end: () => helpers.end(),
  };
}
