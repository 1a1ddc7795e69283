import { describe, expect, it } from 'vitest';
import { masterOf, REPORT, recordIn, tickTo, told } from './by-hand.js';
import { Master } from './master.js';

describe('a successor', () => {
  it('fences the dead again before it recovers them, and knows view and living', () => {
    const master = masterOf(1, 2);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    master.stopped(2, REPORT);
    master.repaired(true);
    const record = recordIn(master.lose(1));
    const successor = new Master({ leaseNs: 100 }, record, 1000);
    expect(successor.view).toEqual({ number: 2, dead: [0] });
    expect(successor.living).toBe(1);
    expect(told(successor.begin())).toEqual(['fence 1']);
    expect(told(successor.fenced(1))).toEqual(['recover 1']);
    expect(told(tickTo(successor, 1100, 1020))).toEqual([]);
    expect(told(successor.tick(1101))).toEqual(['fence 2']);
  });

  it('ends the change of the view that was begun, under a number that nobody has seen', () => {
    const master = masterOf(1, 2);
    const begun = master.nodeDied(0);
    // Stored ahead of the first stop: whoever was stopped is let go by somebody.
    expect(begun.map((effect) => effect.do)).toEqual(['store', 'stop', 'stop']);
    expect(recordIn(begun).next).toEqual({ number: 2, dead: [0] });
    const successor = new Master({ leaseNs: 100 }, recordIn(begun));
    expect(told(successor.begin())).toEqual(['stop 1', 'stop 2']);
    expect(successor.view).toEqual({ number: 1, dead: [] });
    // Told again when they are back: what was told before had nobody to hear it.
    expect(told(successor.join({ cid: 1, place: 0 }, 0))).toEqual(['stop 1']);
    successor.stopped(1, REPORT);
    expect(told(successor.join({ cid: 1, place: 0 }, 0))).toEqual([]);
    expect(told(successor.stopped(2, REPORT))).toEqual(['repair 3 without 0']);
    const published = successor.repaired(true);
    expect(told(published)).toEqual(['adopt 1', 'adopt 2']);
    expect(recordIn(published)).toMatchObject({ view: { number: 3, dead: [0] }, next: undefined });
  });

  it('ends it also when nobody is left, and with a node that has died since', () => {
    const record = recordIn(masterOf().nodeDied(0));
    expect(told(new Master({ leaseNs: 100 }, record).begin())).toEqual(['repair 3 without 0']);
    const waiting = new Master({ leaseNs: 100 }, recordIn(masterOf(1).nodeDied(0)));
    expect(told(waiting.begin())).toEqual(['stop 1']);
    expect(told(waiting.nodeDied(2))).toEqual(['stop 1']);
    expect(told(waiting.stopped(1, REPORT))).toEqual(['repair 4 without 0,2']);
  });
});

describe('a client that has lost its connection', () => {
  it('is in again at once, with a whole lease; one that is dead is not', () => {
    const master = masterOf(1, 2);
    tickTo(master, 80);
    expect(told(master.join({ cid: 1, place: 0 }, 90))).toEqual(['welcome 1']);
    expect(told(tickTo(master, 101, 100))).toEqual(['fence 2']);
    expect(told(master.join({ cid: 2, place: 1 }, 101))).toEqual([]);
    expect([master.knows(1), master.knows(2), master.renew(2, 101)]).toEqual([true, false, false]);
    expect(master.living).toBe(1);
  });

  it('while it waits for a new view still waits for it, once', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    master.join({ cid: 2, place: 1 }, 0);
    expect(told(master.join({ cid: 2, place: 1 }, 0))).toEqual([]);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'welcome 2']);
  });
});
