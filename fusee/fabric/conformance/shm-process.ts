/**
 * A process of the conformance tests of shared memory and TCP: a memory node, or a client that runs one
 * program, as its parent tells it. It ends with its parent's channel.
 */
import { ShmFabric } from '../shm.js';
import { ShmNode } from '../shm-node.js';
import { type ProcessId, thisProcess } from '../shm-process.js';
import { TcpFabric } from '../tcp.js';
import { type ProgramName, programs } from './programs.js';
import { serveConformance } from './service.js';

/** What the parent sends. */
export type Command =
  | { do: 'node'; pool: string; mn: number; memoryBytes: number; secret?: readonly number[] }
  | { do: 'close' }
  | ({ do: 'client'; program: ProgramName; args: readonly number[] } & Reached);

type Reached = { regions: readonly string[] } | { addresses: readonly string[]; secret: readonly number[] };

/** Who is to be fenced. */
export interface StartedClient {
  readonly process: ProcessId;
  /** Over TCP. */
  readonly clientKey?: string;
}

/** What it gets back; every command ends in `done` or `error`. */
export type Reply =
  | ({ is: 'started' } & StartedClient)
  | { is: 'done'; result: readonly number[] }
  | { is: 'error'; message: string };

let node: ShmNode | undefined;

function obey(command: Command): void {
  if (command.do === 'node') {
    node = new ShmNode(command);
    const bytes = new Uint8Array(node.memory);
    node.serve(serveConformance((offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes)));
    node.ready();
    const { secret } = command;
    const address = '127.0.0.1:0';
    const isListening = secret !== undefined;
    const port = isListening ? node.listen({ address, secret: Uint8Array.from(secret) }, () => {}) : 0;
    reply({ is: 'done', result: [port] });
  } else if (command.do === 'close') {
    node?.close();
    reply({ is: 'done', result: [] });
  } else {
    const fabric = attach(command);
    const clientKey = fabric instanceof TcpFabric ? { clientKey: String(fabric.clientKey) } : {};
    // The program holds the thread until it ends: the parent must know of the start before.
    process.send!({ is: 'started', process: thisProcess(), ...clientKey } satisfies Reply, () => {
      const result = programs[command.program](fabric, command.args);
      fabric.close();
      reply({ is: 'done', result });
    });
  }
}

const attach = (to: Reached): ShmFabric | TcpFabric =>
  'regions' in to
    ? new ShmFabric({ regions: to.regions })
    : new TcpFabric({ addresses: to.addresses, secret: Uint8Array.from(to.secret) });

const reply = (message: Reply): boolean => process.send!(message);

process.on('message', (command: Command) => {
  try {
    obey(command);
  } catch (error) {
    reply({ is: 'error', message: String(error) });
  }
});
process.on('disconnect', () => process.exit());
