/**
 * A process of the shared-memory conformance tests: a memory node, or a client that runs one program, as its
 * parent tells it. It ends with its parent's channel.
 */
import { ShmFabric } from '../shm.js';
import { ShmNode } from '../shm-node.js';
import { type ProcessId, thisProcess } from '../shm-process.js';
import { type ProgramName, programs } from './programs.js';
import { serveConformance } from './service.js';

/** What the parent sends. */
export type Command =
  | { do: 'node'; pool: string; mn: number; memoryBytes: number }
  | { do: 'close' }
  | { do: 'client'; regions: readonly string[]; program: ProgramName; args: readonly number[] };

/** What it gets back; every command ends in `done` or `error`. */
export type Reply =
  | { is: 'started'; process: ProcessId }
  | { is: 'done'; result: readonly number[] }
  | { is: 'error'; message: string };

let node: ShmNode | undefined;

function obey(command: Command): void {
  if (command.do === 'node') {
    node = new ShmNode(command);
    const bytes = new Uint8Array(node.memory);
    node.serve(serveConformance((offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes)));
    node.ready();
    reply({ is: 'done', result: [] });
  } else if (command.do === 'close') {
    node?.close();
    reply({ is: 'done', result: [] });
  } else {
    const fabric = new ShmFabric({ regions: command.regions });
    // The program holds the thread until it ends: the parent must know of the start before.
    process.send!({ is: 'started', process: thisProcess() } satisfies Reply, () => {
      const result = programs[command.program](fabric, command.args);
      fabric.close();
      reply({ is: 'done', result });
    });
  }
}

const reply = (message: Reply): boolean => process.send!(message);

process.on('message', (command: Command) => {
  try {
    obey(command);
  } catch (error) {
    reply({ is: 'error', message: String(error) });
  }
});
process.on('disconnect', () => process.exit());
