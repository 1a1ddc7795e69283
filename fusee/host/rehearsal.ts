/**
 * A master rehearses the recovery of a client: in a pool of plain memory inside its own process, as soon as
 * it leads, in turns with whatever else it has to do. A recovery is what a master is there for, others wait
 * for its end, and the first one would run code that nobody has compiled yet: of 100 ms it takes half.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { Janitor } from '../background/index.js';
import { SequentialClient } from '../client/sequential.js';
import type { Fabric } from '../fabric/contract.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { makeNodes, serveNodes } from '../node/in-process.js';
import { CONTEXT_BYTES } from '../ops/index.js';
import { recoverClient } from '../recovery/index.js';
import { FabricError, type Op, type VerbBatch } from '../verbs/index.js';

/** Replicated, as pools are whose clients leave most to do. */
const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 2,
  indexReplicas: 2,
  dataReplicas: 2,
  regionBytes: 1 << 17,
  blockBytes: 1 << 14,
  subtables: 1,
  subtablesMax: 1,
  groupsPerSubtable: 16,
  regionsPerNode: 4,
};
const CACHE = { bytes: 0, keyBytes: 32, threshold: 1 };
const LOCAL_BYTES = CONTEXT_BYTES + (1 << 16);
const DEAD = { cid: 1, index: 0 };
const RECOVERER_CID = 2;
/** Clients die in the middle of so many requests, to as many keys. */
const REQUESTS = 96;
const KEYS = 32;
const VALUE_BYTES = 500;
/** Recoveries, until they run compiled. */
const ROUNDS = 24;

/** What came of a rehearsal. */
export interface Rehearsed {
  readonly rounds: number;
  /** Log entries that each recovery has looked at. */
  readonly entries: number;
}

/** Recovers the same dead client again and again, until that is fast, or `isOver`. */
export async function rehearseRecovery(isOver: () => boolean): Promise<Rehearsed> {
  const left = await leftBehind();
  let entries = 0;
  let rounds = 0;
  for (; rounds < ROUNDS && !isOver(); rounds++) {
    entries = recoverDead(serveNodes(left.copy(), CONFIG));
    await turn();
  }
  return { rounds, entries };
}

/** What a client leaves that has died. */
async function leftBehind(): Promise<MemoryNodes> {
  const nodes = makeNodes(CONFIG);
  const client = join(nodes, DEAD.cid);
  run(client.fabric, new Janitor(client.state).enter());
  for (let i = 0; i < REQUESTS; i++) {
    const value = 'x'.repeat(VALUE_BYTES);
    if (i % KEYS === KEYS - 1) client.delete(`key ${i % 7}`);
    else client.put(`key ${i % KEYS}`, value);
    if (i % KEYS === 0) await turn();
  }
  return nodes;
}

function recoverDead(nodes: MemoryNodes): number {
  const { fabric, coroutine } = join(nodes, RECOVERER_CID);
  let entries = 0;
  const onWalked = (count: number): void => {
    entries = count;
  };
  if (!run(fabric, recoverClient(coroutine.cx, DEAD, { onWalked })))
    throw new FabricError('a node in plain memory was silent');
  return entries;
}

const join = (nodes: MemoryNodes, cid: number): SequentialClient =>
  new SequentialClient(new MemoryFabric(nodes, { localBytes: LOCAL_BYTES }), {
    view: new View(new Geometry(CONFIG)),
    cid,
    cache: CACHE,
  });

function run<T>(fabric: Fabric, op: Op<T>): T {
  const done: VerbBatch[] = [];
  for (let step = op.next(); ; step = op.next()) {
    if (step.done) return step.value;
    fabric.post(step.value);
    fabric.poll(done);
  }
}
