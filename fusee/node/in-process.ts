/** A whole pool inside this process, over plain memory: for tests, simulators and explorers. */
import { MemoryNodes } from '../fabric/memory-nodes.js';
import { Geometry, type PoolConfig } from '../layout/index.js';
import { NodeService } from './service.js';

/** A small pool: 1 MiB regions and 64 KiB blocks, so that blocks run out within a test's patience. */
export const smallPool = (options: Partial<PoolConfig> = {}): PoolConfig => ({
  poolId: 1,
  nodes: 3,
  indexReplicas: 3,
  dataReplicas: 2,
  regionBytes: 1 << 20,
  blockBytes: 1 << 16,
  subtables: 2,
  subtablesMax: options.subtables ?? 2,
  groupsPerSubtable: 8,
  regionsPerNode: 2,
  ...options,
});

/** Formatted nodes that serve RPCs. */
export function makeNodes(config: PoolConfig): MemoryNodes {
  const { nodeBytes } = new Geometry(config);
  return serveNodes(new MemoryNodes(Array.from({ length: config.nodes }, () => nodeBytes)), config);
}

/** Formats fresh memories of a pool's nodes, of whatever kind, and lets them serve RPCs. */
export function serveNodes<T extends MemoryNodes>(nodes: T, config: PoolConfig): T {
  for (let mn = 0; mn < config.nodes; mn++) {
    const service = new NodeService(config, mn, {
      read: (offset, into, at, lengthBytes) => nodes.read(mn, offset, into, at, lengthBytes),
      write: (offset, from, at, lengthBytes) => nodes.write(mn, offset, from, at, lengthBytes),
    });
    service.format();
    nodes.serve(mn, (request) => service.handle(request));
  }
  return nodes;
}
