/**
 * Clients of a pool inside this process, for tests: the reactor's and the promise API's parts over plain
 * memory.
 */
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { DEFAULT_CACHE, IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { ClientState, CONTEXT_BYTES, type Coroutine, makeCoroutine } from '../ops/index.js';

/** One client's fabric, its state, and its coroutines. */
export interface MemoryClient {
  readonly fabric: MemoryFabric;
  readonly state: ClientState;
  /** Made at the first look: a client of the promise API makes its own. */
  readonly coroutines: readonly Coroutine[];
}

/** A formatted pool, and a way to join it; client ids are 1, 2, ... */
export interface MemoryPool {
  readonly config: PoolConfig;
  readonly nodes: MemoryNodes;
  join(coroutines: number, options?: { queueCapacity?: number }): MemoryClient;
}

/** Makes a pool of two replicas on two nodes, unless told otherwise. */
export function memoryPool(options: Partial<PoolConfig> = {}): MemoryPool {
  const config = smallPool({ nodes: 2, indexReplicas: 2, dataReplicas: 2, ...options });
  const nodes = makeNodes(config);
  const view = new View(new Geometry(config));
  let cid = 0;
  return {
    config,
    nodes,
    join: (coroutines, { queueCapacity } = {}) => {
      const localBytes = coroutines * CONTEXT_BYTES + (1 << 20);
      const fabric = new MemoryFabric(nodes, {
        localBytes,
        ...(queueCapacity === undefined ? {} : { queueCapacity }),
      });
      const cache = new IndexCache({ ...DEFAULT_CACHE, bytes: 1 << 16 });
      const state = new ClientState({ view, local: fabric.local, cache, cid: ++cid, coroutines });
      let made: Coroutine[] | undefined;
      return {
        fabric,
        state,
        get coroutines() {
          made ??= Array.from({ length: coroutines }, (_, i) => makeCoroutine(state, i));
          return made;
        },
      };
    },
  };
}
