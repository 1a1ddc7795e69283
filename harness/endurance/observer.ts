/** Looks at a running pool's block tables from outside: a few kilobytes of READs, which nobody notices. */
import { complete } from '../../fusee/client/call.js';
import { ShmFabric } from '../../fusee/fabric/shm.js';
import { regionName } from '../../fusee/fabric/shm-process.js';
import { BLOCK_ENTRY_BYTES, Geometry, type PoolConfig, View } from '../../fusee/layout/index.js';
import { FabricError, VerbBatch } from '../../fusee/verbs/index.js';

/** Tables that are read at a time. */
const TABLES = 16;

/** Attached to all nodes of a pool; it joins nothing. */
export class Observer {
  readonly #fabric: ShmFabric;
  readonly #view: View;
  readonly #batch: VerbBatch;
  readonly #into: number;
  readonly #tableBytes: number;

  /** @throws FabricError when a node does not run. */
  constructor(pool: string, config: PoolConfig) {
    this.#view = new View(new Geometry(config));
    this.#tableBytes = this.#view.geometry.blocksPerRegion * BLOCK_ENTRY_BYTES;
    this.#fabric = new ShmFabric({
      regions: Array.from({ length: config.nodes }, (_, mn) => regionName(pool, mn)),
      localBytes: TABLES * this.#tableBytes + (1 << 16),
      prefault: false,
    });
    const { local } = this.#fabric;
    this.#batch = new VerbBatch(local, TABLES);
    this.#into = local.reserve(TABLES * this.#tableBytes);
  }

  /** Blocks that belong to a client, or were left to one, by the node of their primary. */
  async blocks(): Promise<number[]> {
    const { geometry } = this.#view;
    const { nodes, regionBytes } = geometry.config;
    const counts = new Array<number>(nodes).fill(0);
    for (let first = 0; first < geometry.regions; first += TABLES) {
      const count = Math.min(TABLES, geometry.regions - first);
      const b = this.#batch.reset();
      const mnOf = (i: number): number => this.#view.dataMn((first + i) * regionBytes, 0);
      for (let i = 0; i < count; i++) {
        const at = this.#into + i * this.#tableBytes;
        b.read(mnOf(i), this.#view.tableOffset(first + i, 0), at, this.#tableBytes);
      }
      await complete(this.#fabric, b);
      if (b.anyFailed()) throw new FabricError('a memory node has died');
      for (let i = 0; i < count; i++) counts[mnOf(i)] += this.#ownedIn(this.#into + i * this.#tableBytes);
    }
    return counts;
  }

  close(): void {
    this.#fabric.close();
  }

  #ownedIn(at: number): number {
    const { words } = this.#fabric.local;
    let owned = 0;
    for (let i = 0; i < this.#tableBytes; i += BLOCK_ENTRY_BYTES) if (words[(at + i) >>> 2] !== 0) owned++;
    return owned;
  }
}
