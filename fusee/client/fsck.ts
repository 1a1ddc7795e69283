/** Looks at the memory of a running pool from outside, without joining it. */
import { askView } from '../control/link.js';
import { hasMaster } from '../control/session.js';
import type { Fabric } from '../fabric/contract.js';
import { checkAccess, type NodeAccess, openFabric } from '../fabric/open.js';
import { checkPool, type PoolReport, WALK_BYTES } from '../fsck/index.js';
import type { View } from '../layout/index.js';
import { complete } from './call.js';
import { findPool } from './connect.js';
import { checkPoolName } from './limits.js';

/** Batches between two turns of the event loop: some milliseconds. */
const TURN_BATCHES = 16;

/** What a walk over a pool is told. */
export interface InspectOptions extends NodeAccess {
  /** Hears how much of the pool's memory has been accounted for; `fsck` only. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

/**
 * Accounts for every byte of a pool's nodes, and says what does not add up. It only reads. The pool has to be
 * quiet: requests in flight look like things that do not add up.
 * @throws FabricError when the pool is not running or a node dies; UsageError when its layout is another.
 */
export const fsck = (options: InspectOptions): Promise<PoolReport> => inspect(options, 'bytes');

/**
 * Blocks, objects and load of a pool per node and size class, from block tables, bitmaps and index words
 * alone: no object is read, nothing but superblocks is checked, and `bytes` of each node is null. Errors as
 * {@link fsck}.
 */
export const memoryStats = (options: InspectOptions): Promise<PoolReport> => inspect(options, 'words');

async function inspect(options: InspectOptions, depth: 'words' | 'bytes'): Promise<PoolReport> {
  checkPoolName(options.pool);
  checkAccess(options);
  // What a dead node held stands on others, as its master has it.
  const told = (await hasMaster(options)) ? await askView(options) : undefined;
  const { view, places } = await findPool(options, told);
  const fabric = await openFabric(options, places, { localBytes: WALK_BYTES, prefault: false });
  try {
    return await inspectFabric(fabric, view, { ...options, depth });
  } finally {
    fabric.close();
  }
}

/** The same over any fabric that reaches all nodes and has `WALK_BYTES` of registered memory left. */
export async function inspectFabric(
  fabric: Fabric,
  view: View,
  options: Pick<InspectOptions, 'onProgress'> & { readonly depth: 'words' | 'bytes' },
): Promise<PoolReport> {
  const { nodeBytes, config } = view.geometry;
  const totalBytes = nodeBytes * (config.nodes - view.dead().length);
  const walk = checkPool({
    view,
    local: fabric.local,
    depth: options.depth,
    onProgress: (doneBytes) => options.onProgress?.(doneBytes, totalBytes),
  });
  for (let batches = 1; ; batches++) {
    const step = walk.next();
    if (step.done) return step.value;
    await complete(fabric, step.value);
    // Over shared memory a batch is complete at once: others of this process get their turn all the same.
    if (batches % TURN_BATCHES === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
