import { describe, expect, it } from 'vitest';
import { masterOf, REPORT, told } from './by-hand.js';
import type { Effect, Master } from './master.js';

/** A master with a client, two spares, and node 1 dead by the view. */
function bereft(...spares: number[]): { master: Master; effects: Effect[] } {
  const master = masterOf(1);
  for (const spare of spares) master.spares.add(spare);
  expect(told(master.provide())).toEqual([]);
  master.nodeDied(1);
  master.stopped(1, REPORT);
  return { master, effects: master.repaired(true) };
}

/** The spare is what any fresh process is from here on; its place is being copied. */
function filling(master: Master, mn: number): void {
  master.offer(mn);
  master.stopped(1, REPORT);
  expect(told(master.repaired(true))).toEqual(['adopt 1', `fill ${mn}`]);
}

/** It has all been copied, and the node joins. */
function join(master: Master, mn: number): Effect[] {
  master.filled(mn);
  master.stopped(1, REPORT);
  return master.repaired(true);
}

describe('a spare', () => {
  it('is given the place of a node that dies, when the view says so', () => {
    const { master, effects } = bereft(7, 8);
    expect(told(effects)).toEqual(['adopt 1', 'spare 7 gets 1']);
    expect(master.isSettled).toBe(false);
    filling(master, 1);
    expect(told(join(master, 1))).toEqual(['adopt 1', 'enter 1']);
    master.spares.remove(7);
    expect([master.view.dead, master.isSettled, master.spares.waiting]).toEqual([[], true, 1]);
  });

  it('that comes late gets a place that is vacant already', () => {
    const { master, effects } = bereft();
    expect(told(effects)).toEqual(['adopt 1']);
    master.spares.add(3);
    expect(told(master.provide())).toEqual(['spare 3 gets 1']);
    expect(told(master.provide())).toEqual([]);
  });

  it('that dies while it waits gets nothing', () => {
    const master = masterOf(1);
    master.spares.add(7);
    master.spares.add(8);
    master.spares.remove(7);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'spare 8 gets 0']);
  });

  it('that dies before it has offered itself leaves its place to the next', () => {
    const { master } = bereft(7, 8);
    master.spares.remove(7);
    expect(told(master.provide())).toEqual(['spare 8 gets 1']);
  });

  it('that dies while its place is filled leaves it to the next, behind the view without it', () => {
    const { master } = bereft(7, 8);
    filling(master, 1);
    expect(told(master.withdraw(1))).toEqual(['stop 1']);
    master.spares.remove(7);
    expect(told(master.provide())).toEqual([]);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'spare 8 gets 1']);
    filling(master, 1);
    expect(told(join(master, 1))).toEqual(['adopt 1', 'enter 1']);
  });

  it('gets one place each when several nodes have died, and none that a process stands ready for', () => {
    const master = masterOf(1);
    for (const mn of [0, 2]) master.nodeDied(mn);
    master.stopped(1, REPORT);
    master.repaired(false);
    master.repaired(true);
    expect(master.view.dead).toEqual([0, 2]);
    expect(told(master.offer(2))).toEqual(['stop 1']);
    master.spares.add(5);
    master.spares.add(6);
    // While the view changes nobody is told anything.
    expect(told(master.provide())).toEqual([]);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'fill 2', 'spare 5 gets 0']);
    expect(master.spares.waiting).toBe(1);
  });

  it('is not given a place that nobody can fill', () => {
    const { master } = bereft(7, 8);
    master.spares.bereft(1);
    master.spares.remove(7);
    expect(told(master.provide())).toEqual([]);
    expect(master.spares.waiting).toBe(1);
  });
});

describe('a place that is drained', () => {
  it('is given to a spare, and to the next one while that is not in', () => {
    const master = masterOf(1);
    master.spares.add(7);
    master.spares.add(8);
    master.spares.drain(2);
    expect(told(master.provide())).toEqual(['spare 7 replaces 2']);
    master.spares.remove(7);
    expect(told(master.provide())).toEqual(['spare 8 replaces 2']);
    filling(master, 2);
    expect(told(join(master, 2))).toEqual(['adopt 1', 'enter 2']);
    master.spares.remove(8);
    // It is done with: a spare that comes now waits.
    master.spares.add(9);
    expect(told(master.provide())).toEqual([]);
  });

  it('comes behind those of the dead, and is one of them when its node dies', () => {
    const { master } = bereft();
    master.spares.drain(0);
    master.spares.add(7);
    master.spares.add(8);
    expect(told(master.provide())).toEqual(['spare 7 gets 1', 'spare 8 replaces 0']);
    master.spares.remove(8);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1']);
    master.spares.add(9);
    expect(told(master.provide())).toEqual(['spare 9 gets 0']);
  });

  it('stays where it is when nobody waits for it any more', () => {
    const master = masterOf(1);
    master.spares.drain(2);
    master.spares.drain(2, false);
    master.spares.add(7);
    expect(told(master.provide())).toEqual([]);
  });
});
