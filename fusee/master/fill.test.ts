import { describe, expect, it } from 'vitest';
import { SequentialClient } from '../client/sequential.js';
import { MemoryFabric } from '../fabric/memory.js';
import { Geometry, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { CONTEXT_BYTES } from '../ops/index.js';
import type { Op, VerbBatch } from '../verbs/index.js';
import { Filler, fillBytes } from './fill.js';
import { Marks, pageBytesOf } from './marks.js';

const CONFIG = smallPool({ nodes: 3, indexReplicas: 2, dataReplicas: 2, regionBytes: 1 << 17 });
const MN = 1;

/** A pool with some keys, whose node 1 has died and has a fresh memory; and what it held before. */
function bereft() {
  const nodes = makeNodes(CONFIG);
  const all = makeView();
  const fabric = new MemoryFabric(nodes, { localBytes: CONTEXT_BYTES + (1 << 16) });
  const cache = { bytes: 0, keyBytes: 32, threshold: 1 };
  const client = new SequentialClient(fabric, { view: all, cid: 1, cache });
  for (let i = 0; i < 40; i++) client.insert(`key${i}`, `value ${i}`);
  const contents = (): Buffer => {
    const bytes = Buffer.alloc(all.geometry.nodeBytes);
    nodes.read(MN, 0, bytes, 0, bytes.length);
    return bytes;
  };
  const before = contents();
  nodes.renew(MN);
  // Superblock and the like are the fresh process's own.
  nodes.write(MN, 0, before, 0, 4096);
  const view = makeView();
  view.change(2, [MN]);
  const pieceBytes = pageBytesOf(view.geometry.nodeBytes);
  const copier = new MemoryFabric(nodes, { localBytes: fillBytes(pieceBytes) + 4096 });
  const filler = new Filler({ local: copier.local, view, mn: MN, target: MN, pieceBytes });
  const run = (steps: Op<boolean>): boolean => {
    const done: VerbBatch[] = [];
    for (let step = steps.next(); ; step = steps.next()) {
      if (step.done) return step.value;
      copier.post(step.value);
      copier.poll(done);
    }
  };
  return { nodes, view, filler, run, before, contents };
}

const makeView = (): View => new View(new Geometry(CONFIG));

describe('a place', () => {
  it('is filled with what its node held: every byte', () => {
    const { filler, run, before, contents } = bereft();
    expect(filler.isBereft).toBe(false);
    expect(filler.progress.leftBytes).toBeGreaterThanOrEqual(filler.progress.bytes);
    expect(run(filler.copy(false))).toBe(true);
    expect([filler.progress.leftBytes, filler.isNearlyDone]).toEqual([0, true]);
    expect(run(filler.copy(true))).toBe(true);
    expect(contents().equals(before)).toBe(true);
  });

  it('gets what is written to behind its copy when that is marked, and not otherwise', () => {
    const { nodes, view, filler, run, contents } = bereft();
    run(filler.copy(false));
    const { region, base } = view.placedOn(MN).regions[0];
    const pointer = region * CONFIG.regionBytes + 8192;
    const [mn, offset] = [view.dataMn(pointer, 0), view.dataOffset(pointer, 0)];
    nodes.store(mn, offset, 77, 88);
    run(filler.copy(true));
    expect(contents().readUInt32LE(base + 8192)).toBe(0);
    const marks = new Marks({ nodes: CONFIG.nodes, nodeBytes: view.geometry.nodeBytes });
    marks.addRange(mn, offset, 8);
    filler.changed(marks);
    // A page may lie in two pieces.
    expect(filler.progress.leftBytes / marks.pageBytes).toBeOneOf([1, 2]);
    run(filler.copy(true));
    expect(contents().readUInt32LE(base + 8192)).toBe(77);
    // A zero again: it has to be written, since there is something else by now.
    nodes.store(mn, offset, 0, 0);
    filler.startOver();
    run(filler.copy(true));
    expect(contents().readUInt32LE(base + 8192)).toBe(0);
  });

  it('has still to be copied what a silent node had, and cannot be filled when that was the last', () => {
    const { nodes, view, filler, run } = bereft();
    nodes.kill(2);
    expect(run(filler.copy(false))).toBe(false);
    expect(filler.progress.leftBytes).toBeGreaterThan(0);
    expect(filler.isBereft).toBe(false);
    view.change(3, [MN, 2]);
    // With two replicas of everything on three nodes, something was on these two alone.
    expect(filler.isBereft).toBe(true);
    expect(run(filler.copy(false))).toBe(false);
  });
});
