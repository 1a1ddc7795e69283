/** What the requests of one client share. */
import { Directory, type IndexCache } from '../index/index.js';
import { CLASS_COUNT, LogOperation, type View } from '../layout/index.js';
import { Frees, Grace, Slab } from '../memory/index.js';
import type { LocalMemory, VerbBatch } from '../verbs/index.js';
import type { Context } from './context.js';

/** What all coroutines of one client share. */
export class ClientState {
  readonly view: View;
  readonly local: LocalMemory;
  readonly cache: IndexCache;
  readonly slab: Slab;
  /** Client id, granted by the pool. */
  readonly cid: number;
  /** Its place in the client table, granted with it. */
  readonly clientIndex: number;
  readonly coroutines: number;
  /** This client's part in everybody's grace; reclaim and splits wait for it. */
  readonly grace: Grace;
  /** What requests leave for reclaim. */
  readonly frees: Frees = new Frees();
  /** All coroutines, by their numbers. */
  readonly contexts: Context[] = [];
  /** Somebody drives this client's background work, so that waiting for it makes sense. */
  hasJanitor = false;
  /** For whoever mends batches of this client: made when it is needed first. */
  mendBatch: VerbBatch | undefined;
  /** There is a master, which declares silent nodes dead: so waiting for another view makes sense. */
  hasMaster = false;
  /** Requests that have not begun, or begun again, because they wait for background work. */
  waiting = 0;
  /** Requests that wait for memory, and rounds of background work so far. */
  short = 0;
  rounds = 0;
  /** Blocks that have gone back to their nodes: who waits for memory of another class asks again. */
  blocksGivenBack = 0;
  /** By class: times that reclaim has looked through all blocks and found no cell. */
  readonly fruitless = new Float64Array(CLASS_COUNT);
  /** Registered bytes `operation << 1`: the source of a used-bit reset. */
  readonly unusedBytes: number;
  /** Which subtables there are: as formatted, until somebody loads it. */
  readonly directory: Directory;
  /** Subtables that an INSERT has found full, with their local depth then: for the background to split. */
  readonly splitsWanted = new Map<number, number>();
  /** Buckets read by a directory that no longer held. */
  staleDirectories = 0;

  constructor(options: {
    view: View;
    local: LocalMemory;
    cache: IndexCache;
    cid: number;
    coroutines: number;
    /** Place in the client table. @default cid - 1 */
    clientIndex?: number;
  }) {
    this.view = options.view;
    this.local = options.local;
    this.cache = options.cache;
    this.cid = options.cid;
    this.clientIndex = options.clientIndex ?? options.cid - 1;
    this.coroutines = options.coroutines;
    this.slab = new Slab(options.view, options.coroutines);
    this.grace = new Grace({ ...options, index: this.clientIndex });
    this.unusedBytes = options.local.reserve(64);
    this.directory = new Directory(options.view.geometry.config.subtables);
    for (const operation of Object.values(LogOperation)) {
      options.local.bytes[this.unusedBytes + operation] = operation << 1;
    }
  }
}
