/**
 * A process of the verbs conformance tests: a memory node, or a client that runs one program, as its parent
 * tells it. It ends with its parent's channel.
 */
import { ShmNode } from '../shm-node.js';
import { VerbsFabric } from '../verbs.js';
import { VerbsService } from '../verbs-node.js';
import { type ProgramName, programs } from './programs.js';
import { serveConformance } from './service.js';

/** Which of the two soft-RoCE devices, and how queue pairs are connected. */
export interface VerbsSide {
  readonly device?: string;
  readonly connect?: 'exchange' | 'cm';
}

/** What the parent sends. */
export type VerbsCommand =
  | { do: 'node'; pool: string; mn: number; memoryBytes: number; host: string; secret: readonly number[] }
  | { do: 'close' }
  | {
      do: 'client';
      addresses: readonly string[];
      secret: readonly number[];
      side: VerbsSide;
      program: ProgramName;
      args: readonly number[];
    };

/** What it gets back; every command ends in `done` or `error`. */
export type VerbsReply =
  | { is: 'started'; clientKey: string }
  | { is: 'done'; result: readonly number[] }
  | { is: 'error'; message: string };

let node: ShmNode | undefined;
let service: VerbsService | undefined;

function obey(command: VerbsCommand): void {
  if (command.do === 'node') {
    node = new ShmNode(command);
    const bytes = new Uint8Array(node.memory);
    node.serve(serveConformance((offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes)));
    const { host } = command;
    const secret = Uint8Array.from(command.secret);
    service = new VerbsService({ region: node.name, host, secret, log: (line) => console.error(line) });
    node.ready();
    reply({ is: 'done', result: [service.port] });
  } else if (command.do === 'close') {
    service?.close();
    node?.close();
    reply({ is: 'done', result: [] });
  } else {
    const { addresses, side } = command;
    const fabric = new VerbsFabric({ addresses, secret: Uint8Array.from(command.secret), ...side });
    // The program holds the thread until it ends: the parent must know of the start before.
    process.send!({ is: 'started', clientKey: String(fabric.clientKey) } satisfies VerbsReply, () => {
      const result = programs[command.program](fabric, command.args);
      fabric.close();
      reply({ is: 'done', result });
    });
  }
}

const reply = (message: VerbsReply): boolean => process.send!(message);

process.on('message', (command: VerbsCommand) => {
  try {
    obey(command);
  } catch (error) {
    reply({ is: 'error', message: String(error) });
  }
});
process.on('disconnect', () => process.exit());
