/** For tests of recovery and repair: a small pool in plain memory, its clients, and ops run for so long. */
import { Janitor } from '../background/index.js';
import { SequentialClient } from '../client/sequential.js';
import type { Fabric } from '../fabric/contract.js';
import { executeVerb } from '../fabric/execute-verb.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { checkPool, type PoolReport, WALK_BYTES } from '../fsck/index.js';
import { Geometry, getPointer, type PoolConfig, putPointer, View } from '../layout/index.js';
import type { ListedBlock } from '../memory/index.js';
import { makeNodes } from '../node/in-process.js';
import { ByHand } from '../ops/by-hand.js';
import type { Op, VerbBatch } from '../verbs/index.js';

const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  regionBytes: 1 << 13,
  blockBytes: 1 << 11,
  subtables: 1,
  subtablesMax: 1,
  groupsPerSubtable: 2,
  regionsPerNode: 5,
};
const CACHE = { bytes: 0, keyBytes: 32, threshold: 1 };
/** Batches after which an op is said to go on for ever. */
const BATCHES_MAX = 10_000;

/** Three nodes, of blocks of 2 KiB. */
export class SmallPool {
  readonly nodes: MemoryNodes;
  readonly view: View;

  constructor(options: Partial<PoolConfig> = {}) {
    const config = { ...CONFIG, ...options };
    this.nodes = makeNodes(config);
    this.view = new View(new Geometry(config));
  }

  /** A client of any id that takes no part in the client table: a recoverer, or a master. */
  outsider(cid: number, view: View = this.view): SequentialClient {
    const fabric = new MemoryFabric(this.nodes, { localBytes: 1 << 20 });
    return new SequentialClient(fabric, { view, cid, cache: CACHE });
  }

  /** A client that is in, and its background. */
  client(cid: number): { c: SequentialClient; janitor: Janitor } {
    const c = this.outsider(cid);
    const janitor = new Janitor(c.coroutine.cx.client);
    run(c.fabric, janitor.enter());
    return { c, janitor };
  }

  /** A client that is in, and whose requests stop behind any batch. */
  byHand(cid: number, coroutines = 1): ByHand {
    const client = new ByHand(this.nodes, { view: this.view, cid, cache: CACHE, coroutines });
    const enter = new Janitor(client.cx.client).enter();
    for (let step = enter.next(); !step.done; step = enter.next())
      for (let i = 0; i < step.value.count; i++) executeVerb(this.nodes, step.value, i);
    return client;
  }

  /** The coroutines of one such client. */
  coroutinesByHand(cid: number, coroutines: number): ByHand[] {
    const of = this.byHand(cid, coroutines);
    const sibling = (index: number): ByHand =>
      new ByHand(this.nodes, { view: this.view, cid, sibling: { of, index } });
    return [of, ...Array.from({ length: coroutines - 1 }, (_, i) => sibling(i + 1))];
  }

  /** What the nodes say that a client owns. */
  blocksOf(cid: number): ListedBlock[] {
    const { fabric, coroutine } = this.outsider(30_000);
    const ofNode = (mn: number): ListedBlock[] => run(fabric, coroutine.cx.allocator.list(mn, cid)) ?? [];
    const { nodes } = this.view.geometry.config;
    return Array.from({ length: nodes }, (_, mn) => (this.view.isDead(mn) ? [] : ofNode(mn))).flat();
  }

  /** Puts a 48-bit pointer on all replicas; what was there. */
  putPointer(at: number, pointer: number): number {
    const { nodes, view } = this;
    const bytes = new Uint8Array(6);
    nodes.read(view.dataMn(at, 0), view.dataOffset(at, 0), bytes, 0, bytes.length);
    const before = getPointer(bytes, 0);
    putPointer(bytes, 0, pointer);
    for (let r = 0; r < view.dataCount(at); r++)
      nodes.write(view.dataMn(at, r), view.dataOffset(at, r), bytes, 0, bytes.length);
    return before;
  }

  /** Every byte accounted for. */
  walk(): PoolReport {
    const fabric = new MemoryFabric(this.nodes, { localBytes: WALK_BYTES });
    const report = run(fabric, checkPool({ view: this.view, local: fabric.local, depth: 'bytes' }));
    return report as PoolReport;
  }
}

/** Runs `batches` batches of an operation and the first half of one more; undefined when it was cut short. */
export function run<T>(fabric: Fabric, op: Op<T>, batches = Number.POSITIVE_INFINITY): T | undefined {
  const done: VerbBatch[] = [];
  for (let i = 0; i < BATCHES_MAX; i++) {
    const step = op.next();
    if (step.done) return step.value;
    if (i >= batches) {
      const { nodes } = fabric as MemoryFabric;
      for (let verb = 0; 2 * verb < step.value.count; verb++) executeVerb(nodes, step.value, verb);
      return undefined;
    }
    fabric.post(step.value);
    fabric.poll(done);
  }
  throw new Error(`no end after ${BATCHES_MAX} batches`);
}
