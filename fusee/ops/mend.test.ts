import { describe, expect, it } from 'vitest';
import { crc32cOver } from '../fabric/crc32c.js';
import { executeVerb } from '../fabric/execute-verb.js';
import { MemoryNodes } from '../fabric/memory-nodes.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { Field, LocalMemory, Status, VerbBatch, word } from '../verbs/index.js';
import { Fate, fateOf, mend, mended } from './mend.js';

const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 3,
  indexReplicas: 2,
  dataReplicas: 2,
  regionBytes: 65_536,
  blockBytes: 8192,
  subtables: 1,
  subtablesMax: 1,
  groupsPerSubtable: 4,
  regionsPerNode: 1,
};
const SLOT = 64;

/** A pool whose subtable's primary has died, in a view that says so. */
function makePool(): { nodes: MemoryNodes; view: View; before: View; batch: VerbBatch; again: VerbBatch } {
  const geometry = new Geometry(CONFIG);
  const buffer = new ArrayBuffer(8192);
  const local = new LocalMemory(buffer, crc32cOver(buffer));
  const [view, before] = [new View(geometry), new View(geometry)];
  view.change(2, [before.slotMn(SLOT, 0)]);
  const nodes = new MemoryNodes(Array.from({ length: CONFIG.nodes }, () => geometry.nodeBytes));
  nodes.kill(before.slotMn(SLOT, 0));
  return { nodes, view, before, batch: new VerbBatch(local, 8), again: new VerbBatch(local, 8) };
}

function run(nodes: MemoryNodes, batch: VerbBatch): void {
  for (let i = 0; i < batch.count; i++) executeVerb(nodes, batch, i);
}

describe('the fate of a batch', () => {
  it('is to go on, when nothing failed', () => {
    const { nodes, view, batch } = makePool();
    batch.read8(view.slotMn(SLOT, 0), view.slotOffset(SLOT));
    run(nodes, batch);
    expect(fateOf(batch, view)).toBe(Fate.GO_ON);
  });

  it('is to wait, when a node was silent that the view calls alive (H18), whatever the others came to', () => {
    const { nodes, view, before, batch } = makePool();
    batch.read8(before.slotMn(SLOT, 0), before.slotOffset(SLOT));
    batch.read8(view.slotMn(SLOT, 0), view.slotOffset(SLOT));
    run(nodes, batch);
    expect(fateOf(batch, before)).toBe(Fate.WAIT);
    expect(fateOf(batch, view)).toBe(Fate.BEREFT);
    batch.setField(1, Field.STATUS, Status.FAIL);
    expect(fateOf(batch, view)).toBe(Fate.WAIT);
  });

  it('of a call is for the caller to see: it asks elsewhere', () => {
    const { view, before, batch } = makePool();
    batch.rpc(before.slotMn(SLOT, 0), { local: 0, lengthBytes: 64 }, { local: 0, capacityBytes: 64 });
    batch.setField(0, Field.STATUS, Status.FAIL);
    expect(fateOf(batch, before)).toBe(Fate.GO_ON);
    expect(fateOf(batch, view)).toBe(Fate.GO_ON);
  });
});

describe('mending', () => {
  it('reads from the replica that is left, and hands what it finds to who asked', () => {
    const { nodes, view, before, batch, again } = makePool();
    nodes.store(view.slotMn(SLOT, 0), view.slotOffset(SLOT), 7, 9);
    const read = batch.read8(before.slotMn(SLOT, 0), before.slotOffset(SLOT));
    run(nodes, batch);
    mend(batch, view, again);
    expect([again.count, again.mn(0)]).toEqual([1, view.slotMn(SLOT, 0)]);
    run(nodes, again);
    mended(batch, view, again);
    expect(fateOf(batch, view)).toBe(Fate.GO_ON);
    expect(batch.found(read, word())).toEqual(word(9, 7));
  });

  it('leaves WRITE and FAA of a replica that is no more alone', () => {
    const { nodes, view, before, batch, again } = makePool();
    batch.write(before.slotMn(SLOT, 0), before.slotOffset(SLOT), 0, 8);
    batch.faa(before.slotMn(SLOT, 0), before.slotOffset(SLOT), word(0, 1));
    run(nodes, batch);
    const { changes } = nodes;
    mend(batch, view, again);
    expect(again.count).toBe(0);
    mended(batch, view, again);
    expect([batch.status(0), batch.status(1)]).toEqual([Status.OK, Status.OK]);
    expect(nodes.changes).toBe(changes);
  });

  it('posts each CAS and READ once more, and each takes its own answer, between others that did not fail', () => {
    const { nodes, view, before, batch, again } = makePool();
    const [dead, living] = [before.slotMn(SLOT, 0), view.slotMn(SLOT, 0)];
    nodes.store(living, view.slotOffset(SLOT), 3, 0);
    nodes.store(living, view.slotOffset(SLOT + 8), 5, 0);
    batch.write(dead, before.slotOffset(SLOT), 0, 8);
    const first = batch.read8(living, view.slotOffset(SLOT + 8));
    const cas = batch.cas(dead, before.slotOffset(SLOT), word(0, 3), word(0, 4));
    const last = batch.read8(dead, before.slotOffset(SLOT + 8));
    run(nodes, batch);
    mend(batch, view, again);
    expect(again.count).toBe(2);
    run(nodes, again);
    mended(batch, view, again);
    expect(fateOf(batch, view)).toBe(Fate.GO_ON);
    expect(batch.foundIs(cas, word(0, 3))).toBe(true);
    expect([batch.found(first, word()).lo, batch.found(last, word()).lo]).toEqual([5, 5]);
    expect(nodes.load(living, view.slotOffset(SLOT), word()).lo).toBe(4);
  });

  it('waits where the replica that is left is silent too, and is mended from there when that has died', () => {
    const { nodes, batch, again } = makePool();
    const three = new View(new Geometry({ ...CONFIG, indexReplicas: 3 }));
    const [first, second, third] = [0, 1, 2].map((r) => three.slotMn(SLOT, r));
    three.change(2, [first]);
    nodes.kill(first);
    nodes.kill(second);
    nodes.store(third, three.slotOffset(SLOT), 8, 0);
    const read = batch.read8(first, three.slotOffset(SLOT));
    const mendIt = (): void => {
      mend(batch, three, again);
      run(nodes, again);
      mended(batch, three, again);
    };
    run(nodes, batch);
    mendIt();
    expect(fateOf(batch, three)).toBe(Fate.WAIT);
    expect(batch.mn(read)).toBe(second);
    three.change(3, [first, second]);
    expect(fateOf(batch, three)).toBe(Fate.BEREFT);
    mendIt();
    expect(fateOf(batch, three)).toBe(Fate.GO_ON);
    expect(batch.found(read, word()).lo).toBe(8);
  });

  it('leaves failed what has no replica left, beside what has', () => {
    const { nodes, before, batch, again } = makePool();
    const view = new View(before.geometry);
    const gone = [before.slotMn(SLOT, 0), before.slotMn(SLOT, 1)];
    const pointer = Array.from({ length: 3 }, (_, g) => g * CONFIG.regionBytes).find(
      (p) => before.dataMn(p, 0) === gone[0] && !gone.includes(before.dataMn(p, 1)),
    );
    if (pointer === undefined) throw new Error('no region that outlives the subtable');
    view.change(3, gone);
    nodes.kill(gone[1]);
    const lost = batch.read8(gone[0], before.slotOffset(SLOT));
    const left = batch.read8(gone[0], before.dataOffset(pointer, 0));
    nodes.store(view.dataMn(pointer, 0), view.dataOffset(pointer, 0), 6, 0);
    run(nodes, batch);
    mend(batch, view, again);
    expect(again.count).toBe(1);
    run(nodes, again);
    mended(batch, view, again);
    expect(batch.status(lost)).toBe(Status.FAIL);
    expect(batch.found(left, word()).lo).toBe(6);
    expect(fateOf(batch, view)).toBe(Fate.BEREFT);
  });
});
