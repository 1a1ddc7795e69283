/** Memory nodes and clients of the verbs fabric in one process, for tests beyond the contract. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Status, VerbBatch, word } from '../../verbs/index.js';
import { ShmNode } from '../shm-node.js';
import { VerbsFabric, type VerbsFabricOptions } from '../verbs.js';
import { VerbsService } from '../verbs-node.js';
import { VERBS_SECRET as secret, type VerbsPath } from './verbs-harness.js';

/** Nodes are at the first device's address, clients of the suite on the second: packets go over the wire. */
export const WIRE: VerbsPath = { host: '10.1.0.1', device: 'rxe1' };

/** A node of this process, whose service has a thread of its own. */
export interface NodeHere {
  readonly address: string;
  readonly port: number;
  /** What its service had to say. */
  readonly log: readonly string[];
}

/** What one test has opened. */
export class VerbsHere {
  static #pools = 0;
  readonly #open: { close(): void }[] = [];

  /** A node that answers calls by their bytes in reverse. */
  serve(options: { memoryBytes?: number; port?: number } = {}): NodeHere {
    const pool = `test-${process.pid}-verbs-x${VerbsHere.#pools++}`;
    const node = new ShmNode({ pool, mn: 0, memoryBytes: options.memoryBytes ?? 8192 });
    this.#open.push(node);
    node.serve((request) => request.slice().reverse());
    const log: string[] = [];
    const place = { host: WIRE.host, port: options.port ?? 0 };
    const service = new VerbsService({ region: node.name, ...place, secret, log: (line) => log.push(line) });
    this.#open.push(service);
    node.ready();
    return { address: `${WIRE.host}:${service.port}`, port: service.port, log };
  }

  attach({ address }: Pick<NodeHere, 'address'>, rest: Partial<VerbsFabricOptions> = {}): VerbsFabric {
    const fabric = new VerbsFabric({ addresses: [address], secret, localBytes: 1 << 17, ...rest });
    this.#open.push(fabric);
    return fabric;
  }

  close(): void {
    for (const one of this.#open.splice(0).reverse()) one.close();
  }
}

/** Polls, with turns of the event loop between, until nothing is outstanding. */
export async function finish(fabric: VerbsFabric): Promise<void> {
  while (fabric.outstanding > 0) {
    fabric.poll([]);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What becomes of one FAA. */
export async function add(fabric: VerbsFabric, batch = new VerbBatch(fabric.local, 1)): Promise<Status> {
  batch.reset().faa(0, 0, word(0, 1));
  fabric.post(batch);
  await finish(fabric);
  return batch.status(0);
}

const module = (name: string): string => fileURLToPath(new URL(`../${name}.js`, import.meta.url));

/**
 * What the error of a script says that runs in a process of its own, started by some other command. This
 * process goes on meanwhile: its nodes may have to answer.
 */
export async function failureOf(script: string, by: readonly string[] = []): Promise<string> {
  const [command, ...args] = [
    ...by,
    process.execPath,
    '--input-type=module',
    '-e',
    `import { VerbsFabric } from ${JSON.stringify(module('verbs'))};
     import { VerbsService } from ${JSON.stringify(module('verbs-node'))};
     try { ${script}; console.log('no error'); } catch (error) { console.log(error.name, error.message); }`,
  ];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 100_000 });
  let text = '';
  child.stdout.on('data', (part) => {
    text += part;
  });
  await once(child, 'close');
  return text;
}
