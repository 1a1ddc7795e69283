/** A memory node over shared memory: a process of its own that formats a region and serves its RPCs. */
import { ShmNode } from '../fabric/shm-node.js';
import { Geometry, type PoolConfig } from '../layout/index.js';
import { NodeService } from './service.js';

/**
 * Starts memory node `mn` of a pool in this process; clients can attach when this returns. Close it to end
 * it.
 */
export function startShmNode(options: {
  pool: string;
  mn: number;
  config: PoolConfig;
  prefault?: boolean;
}): ShmNode {
  const { nodeBytes } = new Geometry(options.config);
  const node = new ShmNode({
    pool: options.pool,
    mn: options.mn,
    memoryBytes: nodeBytes,
    prefault: options.prefault ?? true,
  });
  try {
    const bytes = new Uint8Array(node.memory);
    const service = new NodeService(options.config, options.mn, {
      read: (offset, into, at, lengthBytes) => {
        for (let i = 0; i < lengthBytes; i++) into[at + i] = bytes[offset + i];
      },
      write: (offset, from, at, lengthBytes) => {
        for (let i = 0; i < lengthBytes; i++) bytes[offset + i] = from[at + i];
      },
    });
    service.format();
    node.serve((request) => service.handle(request));
    node.ready();
    return node;
  } catch (error) {
    node.close();
    throw error;
  }
}
