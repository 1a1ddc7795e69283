import { describe, expect, it } from 'vitest';
import { replicaRef } from '../verbs/index.js';
import { CLIENTS_BASE, Geometry, type PoolConfig } from './geometry.js';
import { View } from './view.js';

const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 5,
  indexReplicas: 3,
  dataReplicas: 2,
  regionBytes: 65_536,
  blockBytes: 8192,
  subtables: 8,
  subtablesMax: 8,
  groupsPerSubtable: 4,
  regionsPerNode: 2,
};

const geometry = new Geometry(CONFIG);
const viewOf = (): View => new View(geometry);
const subtables = Array.from({ length: CONFIG.subtablesMax }, (_, s) => s * geometry.subtableBytes);
const regions = Array.from({ length: geometry.regions }, (_, g) => g * CONFIG.regionBytes);

const slotNodes = (view: View, slot: number): number[] => {
  const { count, mn } = view.slotReplicas(slot, replicaRef(8));
  return [...mn.slice(0, count)];
};
const dataNodes = (view: View, pointer: number): number[] => {
  const { count, mn } = view.dataReplicas(pointer, replicaRef(8));
  return [...mn.slice(0, count)];
};

describe('a view that changes', () => {
  it('leaves the dead out and keeps the order of the living, of subtables and of regions', () => {
    const [view, before] = [viewOf(), viewOf()];
    view.change(2, [3]);
    expect([view.number, view.dead(), view.isDead(3), view.isDead(2)]).toEqual([2, [3], true, false]);
    for (const slot of subtables) {
      const left = slotNodes(before, slot).filter((mn) => mn !== 3);
      expect(slotNodes(view, slot)).toEqual(left);
      expect(view.slotCount(slot)).toBe(left.length);
      expect(view.slotMn(slot, 0)).toBe(left[0]);
    }
    for (const pointer of regions) {
      expect(dataNodes(view, pointer)).toEqual(dataNodes(before, pointer).filter((mn) => mn !== 3));
      expect(view.dataCount(pointer)).toBe(dataNodes(view, pointer).length);
    }
  });

  it('keeps the offset of each replica that is left', () => {
    const [view, before] = [viewOf(), viewOf()];
    view.change(2, [0]);
    for (const pointer of regions) {
      const offsets = new Map<number, number>();
      for (let r = 0; r < 2; r++) offsets.set(before.dataMn(pointer, r), before.dataOffset(pointer, r));
      for (let r = 0; r < view.dataCount(pointer); r++)
        expect(view.dataOffset(pointer, r)).toBe(offsets.get(view.dataMn(pointer, r)));
    }
  });

  it('says of each subtable whether the latest change was one for it', () => {
    const [view, before] = [viewOf(), viewOf()];
    expect(subtables.some((slot) => view.hasChanged(slot))).toBe(false);
    view.change(2, [1]);
    const changed = subtables.filter((slot) => view.hasChanged(slot));
    expect(changed).toEqual(subtables.filter((slot) => slotNodes(before, slot).includes(1)));
    expect(changed.length).toBeGreaterThan(0);
    expect(changed.length).toBeLessThan(subtables.length);
    const second = subtables.filter((slot) => slotNodes(view, slot).includes(4));
    view.change(3, [1, 4]);
    expect(subtables.filter((slot) => view.hasChanged(slot))).toEqual(second);
  });

  it('is the same whether it is changed at once, in steps, or made like another', () => {
    const [atOnce, inSteps] = [viewOf(), viewOf()];
    atOnce.change(3, [1, 4]);
    inSteps.change(2, [4]);
    inSteps.change(3, [1, 4]);
    for (const view of [inSteps, new View(geometry, atOnce)]) {
      expect([view.number, view.dead()]).toEqual([3, [1, 4]]);
      expect(subtables.map((slot) => slotNodes(view, slot))).toEqual(
        subtables.map((slot) => slotNodes(atOnce, slot)),
      );
      expect(regions.map((pointer) => dataNodes(view, pointer))).toEqual(
        regions.map((pointer) => dataNodes(atOnce, pointer)),
      );
    }
  });

  it('takes nodes back that come back', () => {
    const view = viewOf();
    view.change(2, [0, 1]);
    view.change(3, []);
    for (const slot of subtables) expect(slotNodes(view, slot)).toEqual(slotNodes(viewOf(), slot));
    expect(view.dead()).toEqual([]);
  });

  it('names the dead primary of what has no replica left, so that every verb to it FAILs', () => {
    const [view, before] = [viewOf(), viewOf()];
    const lost = slotNodes(before, subtables[0]);
    view.change(2, lost);
    expect(view.slotCount(subtables[0])).toBe(1);
    expect(view.slotMn(subtables[0], 0)).toBe(lost[0]);
    expect(view.isDead(view.slotMn(subtables[0], 0))).toBe(true);
    expect(view.hasChanged(subtables[0])).toBe(true);
  });

  it('has clients admitted by the first living node', () => {
    const view = viewOf();
    expect(view.grantingMn).toBe(0);
    view.change(2, [0, 1]);
    expect(view.grantingMn).toBe(2);
  });
});

describe('elsewhere', () => {
  it('is the first living replica, at its own offset', () => {
    const [view, before] = [viewOf(), viewOf()];
    view.change(2, [2]);
    let data = 0;
    for (const pointer of regions) {
      const r = dataNodes(before, pointer).indexOf(2);
      if (r < 0) continue;
      data++;
      expect(view.elsewhere(2, before.dataOffset(pointer + 640, r))).toEqual({
        mn: view.dataMn(pointer + 640, 0),
        offset: view.dataOffset(pointer + 640, 0),
      });
    }
    expect(data).toBe(CONFIG.regionsPerNode * CONFIG.dataReplicas);
    for (const slot of subtables.filter((s) => slotNodes(before, s).includes(2))) {
      const offset = view.slotOffset(slot + 8);
      expect(view.elsewhere(2, offset)).toEqual({ mn: view.slotMn(slot, 0), offset });
    }
  });

  it('of the client table and the directory is the control node of now', () => {
    const [view, before] = [viewOf(), viewOf()];
    const { controlMn } = before;
    view.change(2, [controlMn]);
    expect(view.controlMn).not.toBe(controlMn);
    expect(view.elsewhere(controlMn, CLIENTS_BASE + 8)).toEqual({
      mn: view.controlMn,
      offset: CLIENTS_BASE + 8,
    });
  });

  it('is nowhere when nothing is left', () => {
    const [view, before] = [viewOf(), viewOf()];
    const [slot] = subtables;
    const [pointer] = regions;
    view.change(2, [...new Set([...slotNodes(before, slot), ...dataNodes(before, pointer)])]);
    expect(view.elsewhere(before.slotMn(slot, 0), view.slotOffset(slot))).toBeUndefined();
    expect(view.elsewhere(before.dataMn(pointer, 0), before.dataOffset(pointer, 0))).toBeUndefined();
  });
});
