/** What a repair does to the control data of a pool that has lost the node which kept it. */
import { expect, it } from 'vitest';
import { SequentialClient } from '../client/sequential.js';
import { MemoryFabric } from '../fabric/memory.js';
import {
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  entryOf,
  Geometry,
  type PoolConfig,
  View,
} from '../layout/index.js';
import { makeNodes } from '../node/in-process.js';
import { loadDirectory } from '../ops/index.js';
import type { Op, VerbBatch } from '../verbs/index.js';
import { Repairer } from './index.js';
import type { Repair } from './master.js';

const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  regionBytes: 1 << 13,
  blockBytes: 1 << 11,
  subtables: 1,
  subtablesMax: 2048,
  groupsPerSubtable: 2,
  regionsPerNode: 5,
};
const CACHE = { bytes: 0, keyBytes: 32, threshold: 1 };
const MASTER = 60_000;

function run<T>(fabric: MemoryFabric, op: Op<T>): T {
  const done: VerbBatch[] = [];
  for (let batches = 0; batches < 1000; batches++) {
    const step = op.next();
    if (step.done) return step.value;
    fabric.post(step.value);
    fabric.poll(done);
  }
  throw new Error('it would go on for ever');
}

it('a directory whose primary died has the depth of its entries, also when no client is left to tell it', () => {
  const nodes = makeNodes(CONFIG);
  const view = new View(new Geometry(CONFIG));
  const primary = view.directoryMn(0);
  // Subtables 0 and 1 of depth 1, then one by one deeper: the last entry is far from the first.
  const entries = new Map([[0, 1]]);
  for (let depth = 1; depth < 11; depth++) entries.set(2 ** depth - 1, Math.min(depth + 1, 10));
  for (const [s, depth] of entries)
    for (let r = 0; r < 2; r++) nodes.store(view.directoryMn(r), directoryOffset(s), entryOf(depth), 0);
  nodes.store(primary, DIRECTORY_VERSION_OFFSET, 77, 10);
  const fabric = new MemoryFabric(nodes, { localBytes: 1 << 20 });
  const { coroutine } = new SequentialClient(fabric, { view, cid: MASTER, cache: CACHE });
  const { directory } = coroutine.cx.client;
  const room = { view, batch: coroutine.cx.batch, into: coroutine.cx.matchArea };
  expect(run(fabric, loadDirectory(directory, room))).toBe(true);
  const before = new View(new Geometry(CONFIG));
  const repairer = new Repairer(coroutine.cx);
  fabric.cutLink(primary, true);
  view.change(2, [primary]);
  const told = { number: 2, dead: [primary] };
  const repair: Repair = {
    view: told,
    before: { number: 1, dead: [] },
    isWhole: false,
    isAgain: false,
    reports: new Map(),
    members: [],
    dead: [],
  };
  expect(run(fabric, repairer.repair(repair, before))).toEqual(new Map());
  const fresh = new SequentialClient(fabric, { view, cid: 1, cache: CACHE }).coroutine.cx.client.directory;
  expect(run(fabric, loadDirectory(fresh, room))).toBe(true);
  expect([fresh.globalDepth, [...fresh.subtables()].length]).toEqual([10, entries.size]);
  // Above all that anybody has seen: who has the directory of before loads it anew, the master among them.
  expect(fresh.version).toBe(78);
});
