/** A memory node of a run: a process of its own, which ends when the harness does. */
import { readSecret } from '../../fusee/fabric/secret.js';
import type { ShmNode } from '../../fusee/fabric/shm-node.js';
import { followParent } from '../../fusee/fabric/shm-process.js';
import { VerbsService } from '../../fusee/fabric/verbs-node.js';
import { startShmNode } from '../../fusee/node/index.js';
import { EXPELLED_STATUS, type FromNode, failed, type ToNode } from './messages.js';
import { leaveSignalsToParent } from './obey.js';

let node: ShmNode | null = null;
let service: VerbsService | null = null;

const send = (message: FromNode): void => {
  process.send?.(message);
};

function end(code: number): never {
  service?.close();
  node?.close();
  process.exit(code);
}

// Woken, not killed: it has a region to remove.
if (!followParent(Number(process.argv[2]), { isWoken: true })) end(0);

/** Lets clients in over a network, at the port returned. */
function listen(to: ShmNode, { fabric }: ToNode, secret: Uint8Array): number {
  const log = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  if (fabric !== 'verbs') return to.listen({ address: '127.0.0.1:0', secret }, log);
  service = new VerbsService({ region: to.name, secret, log });
  return service.port;
}

process.on('message', (message: ToNode) => {
  try {
    node = startShmNode({ ...message, onExpelled: () => end(EXPELLED_STATUS) });
    const { secretFile } = message;
    const port = secretFile === undefined ? 0 : listen(node, message, readSecret(secretFile));
    send({ type: 'ready', port });
  } catch (error) {
    send(failed(error));
    setTimeout(() => end(1), 100);
  }
});
process.on('disconnect', () => end(0));
leaveSignalsToParent();
