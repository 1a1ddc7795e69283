/** A memory node over shared memory: a process of its own that formats a region and serves its RPCs. */
import { ShmNode } from '../fabric/shm-node.js';
import { Geometry, type PoolConfig } from '../layout/index.js';
import { beginPulse } from './pulse.js';
import { type NodeMemory, NodeService } from './service.js';

/** Memory is seen through windows, since no buffer of JavaScript reaches over all of a large node. */
const WINDOW_BYTES = 2 ** 30;

/** What a node's process is told of its place. */
interface NodeEvents {
  /** Another process has taken it: nobody uses this one any more. */
  onParted?: (() => void) | undefined;
  /** The pool goes on without this node, since it was silent for longer than its lease. It serves nobody. */
  onExpelled?: (() => void) | undefined;
}

/**
 * Starts memory node `mn` of a pool in this process; clients can attach when this returns. Close it to end
 * it.
 */
export function startShmNode(
  options: NodeEvents & {
    pool: string;
    mn: number;
    config: PoolConfig;
    prefault?: boolean;
    /** It waits to take the place of another process. */
    isNext?: boolean;
  },
): ShmNode {
  const { nodeBytes } = new Geometry(options.config);
  const node = new ShmNode({
    pool: options.pool,
    mn: options.mn,
    memoryBytes: nodeBytes,
    prefault: options.prefault ?? true,
    isNext: options.isNext,
  });
  try {
    open(node, options);
    return node;
  } catch (error) {
    node.close();
    throw error;
  }
}

/** Formats its memory, serves calls, and lets others attach. */
function open(
  node: ShmNode,
  { config, mn, onParted, onExpelled }: NodeEvents & { config: PoolConfig; mn: number },
): void {
  const service = new NodeService(config, mn, memoryOf(node));
  service.format();
  if (onParted !== undefined) service.onParted = onParted;
  const { expelled, touch } = beginPulse(node, onExpelled ?? (() => {}));
  service.onExpelled = expelled;
  service.onBusy = touch;
  node.serve((request) => service.handle(request));
  node.ready();
}

/** Memory that is reserved for any node of a pool, and belongs to none yet: nobody can attach to it. */
export interface ReservedNode {
  readonly node: ShmNode;
  /** It is that node from now on, as {@link startShmNode}, and waits to take its place. */
  become(mn: number, events: NodeEvents): void;
}

/** Reserves the memory of a node whose number is not known yet. */
export function reserveShmNode({ pool, config }: { pool: string; config: PoolConfig }): ReservedNode {
  const { nodeBytes } = new Geometry(config);
  const node = new ShmNode({ pool, mn: 0, memoryBytes: nodeBytes, isSpare: true });
  return {
    node,
    become: (mn, events) => {
      node.aimAt(mn);
      open(node, { config, mn, ...events });
    },
  };
}

/** The service's way to its memory: single bytes, so that what crosses a window's edge needs no care. */
export function memoryOf(
  node: Pick<ShmNode, 'memoryBytes' | 'window'>,
  windowBytes: number = WINDOW_BYTES,
): NodeMemory {
  const windows = Array.from({ length: Math.ceil(node.memoryBytes / windowBytes) }, (_, i) => {
    const offset = i * windowBytes;
    return new Uint8Array(node.window(offset, Math.min(windowBytes, node.memoryBytes - offset)));
  });
  return {
    read: (offset, into, at, lengthBytes) => {
      for (let i = 0; i < lengthBytes; i++) {
        into[at + i] = windows[Math.floor((offset + i) / windowBytes)][(offset + i) % windowBytes];
      }
    },
    write: (offset, from, at, lengthBytes) => {
      for (let i = 0; i < lengthBytes; i++) {
        windows[Math.floor((offset + i) / windowBytes)][(offset + i) % windowBytes] = from[at + i];
      }
    },
  };
}
