import { describe, expect, it } from 'vitest';
import { masterOf, REPORT, ROUND, recordIn, repairIn, tickTo, told } from './by-hand.js';
import { type Effect, Master } from './master.js';

describe('a change of the view', () => {
  it('stops everybody, repairs when all have stopped, and then lets them go on', () => {
    const master = masterOf(1, 2);
    expect(told(master.nodeDied(0))).toEqual(['stop 1', 'stop 2']);
    expect(master.isChanging).toBe(true);
    expect(told(master.stopped(1, REPORT))).toEqual([]);
    const effects = master.stopped(2, { ...REPORT, rounds: [ROUND] });
    expect(told(effects)).toEqual(['repair 2 without 0']);
    expect(repairIn(effects).reports.get(2)?.rounds).toEqual([ROUND]);
    expect(repairIn(effects).before).toEqual({ number: 1, dead: [] });
    expect(master.view.number).toBe(1);
    const published = master.repaired(true);
    expect(told(published)).toEqual(['adopt 1', 'adopt 2']);
    expect(recordIn(published).view).toEqual({ number: 2, dead: [0] });
    expect(master.view).toEqual({ number: 2, dead: [0] });
    expect(master.isChanging).toBe(false);
  });

  it('lets nobody in who has left meanwhile', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    for (const cid of [2, 3]) expect(told(master.join({ cid, place: cid }, 0))).toEqual([]);
    expect(told(master.leave(2))).toEqual([]);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'welcome 3']);
    expect(master.renew(2, 0)).toBe(false);
  });

  it('needs nobody when nobody is there', () => {
    const master = masterOf();
    expect(told(master.nodeDied(1))).toEqual(['repair 2 without 1']);
    expect(told(master.repaired(true))).toEqual([]);
    expect(master.view).toEqual({ number: 2, dead: [1] });
  });

  it('hears of a death once, however often it is told', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    expect(told(master.nodeDied(0))).toEqual([]);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 2 without 0']);
    expect(told(master.stopped(1, REPORT))).toEqual([]);
    master.repaired(true);
    expect(told(master.nodeDied(0))).toEqual([]);
    expect(master.view.number).toBe(2);
  });

  it('waits for the repair under way when another node dies, and repairs again before anybody goes on', () => {
    const master = masterOf(1);
    master.nodeDied(2);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 2 without 2']);
    expect(told(master.nodeDied(0))).toEqual([]);
    const again = master.repaired(true);
    expect(told(again)).toEqual(['repair 3 without 0,2']);
    expect(repairIn(again).before).toEqual({ number: 1, dead: [] });
    expect(repairIn(again).reports.has(1)).toBe(true);
    expect(told(master.repaired(true))).toEqual(['adopt 1']);
    expect(master.view).toEqual({ number: 3, dead: [0, 2] });
  });

  it('takes in a node that dies while clients are still stopping', () => {
    const master = masterOf(1);
    master.nodeDied(2);
    expect(told(master.nodeDied(1))).toEqual(['stop 1']);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 3 without 1,2']);
  });

  it('tells who stops which nodes are out, and again when there are more, so that nobody waits for them', () => {
    const master = masterOf(1, 2, 3);
    const stops = (effects: readonly Effect[]) =>
      effects.flatMap((effect) => (effect.do === 'stop' ? [[effect.cid, ...effect.out]] : []));
    expect(stops(master.nodeDied(2))).toEqual([1, 2, 3].map((cid) => [cid, 2]));
    master.stopped(2, REPORT);
    expect(stops(master.nodeDied(0))).toEqual([1, 3].map((cid) => [cid, 0, 2]));
    // Its connection has broken: it may not have heard.
    expect(stops(master.join({ cid: 3, place: 2 }, 0))).toEqual([[3, 0, 2]]);
    expect(stops(master.nodeDied(2))).toEqual([]);
    // Who stops for a place that is filled is told as well who has been out before.
    for (const cid of [1, 3]) master.stopped(cid, REPORT);
    master.repaired(true);
    expect(stops(master.offer(2))).toEqual([1, 2, 3].map((cid) => [cid, 0, 2]));
  });

  it('repairs again when a living node was silent', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    expect(told(master.repaired(false))).toEqual(['repair 2 without 0']);
    expect(master.view.number).toBe(1);
  });

  it('lets who joins meanwhile wait for the new view, and keeps its lease', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    expect(told(master.join({ cid: 2, place: 1 }, 0))).toEqual([]);
    expect(master.renew(2, 90)).toBe(true);
    expect(repairIn(master.stopped(1, REPORT)).members.map(({ cid }) => cid)).toEqual([1]);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'welcome 2']);
    expect(master.living).toBe(2);
    expect(told(tickTo(master, 190))).toEqual(['fence 1']);
  });

  it('no longer waits for a client that leaves', () => {
    const master = masterOf(1, 2);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    expect(told(master.leave(2))).toEqual(['repair 2 without 0']);
  });
});

describe('H7: a dead client', () => {
  it('is recovered behind the acknowledgement of its fence, and forgotten behind its recovery', () => {
    const master = masterOf(1, 2);
    const lost = master.lose(1);
    expect(told(lost)).toEqual(['fence 1']);
    expect(recordIn(lost).members).toContainEqual({ cid: 1, place: 0, isDead: true });
    expect(told(master.lose(1))).toEqual([]);
    expect(told(master.fenced(1))).toEqual(['recover 1']);
    expect(told(master.fenced(1))).toEqual([]);
    expect(recordIn(master.recovered(1)).members).toEqual([{ cid: 2, place: 1, isDead: false }]);
  });

  it('that is torn stays fenced, is waited for by nobody, and is tried again behind the next view', () => {
    const master = masterOf(1, 2);
    master.lose(1);
    master.torn(1);
    expect(master.isSettled).toBe(false);
    master.fenced(1);
    expect(master.isSettled).toBe(false);
    master.torn(1);
    expect([master.isSettled, master.knows(1), master.isHere(1)]).toEqual([true, false, true]);
    expect(told(master.nodeDied(0))).toEqual(['halt 1', 'stop 2']);
    expect(master.isSettled).toBe(false);
    master.stopped(2, REPORT);
    expect(repairIn(master.halted(1)).dead.map(({ cid }) => cid)).toEqual([1]);
    expect(told(master.repaired(true))).toEqual(['adopt 2', 'recover 1']);
    expect(master.isSettled).toBe(false);
    master.torn(1);
    expect(master.isSettled).toBe(true);
  });

  it('may not go on: its lease cannot be renewed, and its report counts for nothing', () => {
    const master = masterOf(1, 2);
    master.nodeDied(0);
    master.lose(1);
    expect(master.renew(1, 0)).toBe(false);
    expect(told(master.stopped(1, REPORT))).toEqual([]);
    expect(told(master.stopped(2, REPORT))).toEqual([]);
    const effects = master.fenced(1);
    expect(told(effects)).toEqual(['repair 2 without 0']);
    expect([...repairIn(effects).reports.keys()]).toEqual([2]);
    expect(repairIn(effects).dead.map(({ cid }) => cid)).toEqual([1]);
  });

  it('that had stopped already takes its report with it: its log tells, not its word', () => {
    const master = masterOf(1, 2);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    master.lose(1);
    expect(told(master.stopped(2, REPORT))).toEqual([]);
    expect([...repairIn(master.fenced(1)).reports.keys()]).toEqual([2]);
    expect(told(master.repaired(true))).toEqual(['adopt 2', 'recover 1']);
  });

  it('during a repair is fenced at once, and recovered in the new view', () => {
    const master = masterOf(1);
    master.nodeDied(0);
    master.stopped(1, REPORT);
    expect(told(master.lose(1))).toEqual(['fence 1']);
    expect(told(master.fenced(1))).toEqual([]);
    expect(told(master.repaired(true))).toEqual(['recover 1']);
  });

  it('waits with its recovery until memory nodes are mended', () => {
    const master = masterOf(1);
    master.lose(1);
    expect(told(master.nodeDied(0))).toEqual([]);
    expect(told(master.fenced(1))).toEqual(['repair 2 without 0']);
    expect(told(master.repaired(true))).toEqual(['recover 1']);
  });

  it('has its recovery halted by a change of the view, and begun anew behind it', () => {
    const master = masterOf(1);
    master.lose(1);
    master.fenced(1);
    expect(told(master.nodeDied(0))).toEqual(['halt 1']);
    const effects = master.halted(1);
    expect(told(effects)).toEqual(['repair 2 without 0']);
    expect(repairIn(effects).dead).toEqual([expect.objectContaining({ cid: 1, place: 0 })]);
    // What the halted recovery may still say of its end is of the former view.
    expect(told(master.recovered(1))).toEqual([]);
    expect(told(master.repaired(true))).toEqual(['recover 1']);
    expect(told(master.recovered(1))).toEqual([]);
    expect(master.living).toBe(0);
  });

  it('is recovered again when its recovery ended before its time', () => {
    const master = masterOf(1);
    master.lose(1);
    master.fenced(1);
    expect(told(master.halted(1))).toEqual(['recover 1']);
  });
});

describe('leases', () => {
  it('end with a fence, those of stopped clients too, unless they are renewed', () => {
    const master = masterOf(1, 2);
    expect(told(tickTo(master, 100))).toEqual([]);
    expect(master.renew(2, 50)).toBe(true);
    expect(told(master.tick(101))).toEqual(['fence 1']);
    expect(told(master.tick(102))).toEqual([]);
    master.nodeDied(0);
    master.stopped(2, REPORT);
    expect(told(tickTo(master, 150, 120))).toEqual([]);
    expect(told(master.tick(151))).toEqual(['fence 2']);
  });

  it('do not end for who could not renew them, as long as that is so', () => {
    const master = masterOf(1, 2);
    tickTo(master, 100);
    expect(told(master.tick(101, (cid) => cid === 2))).toEqual(['fence 1']);
    expect(told(master.tick(110, () => true))).toEqual([]);
    expect(told(master.tick(120))).toEqual(['fence 2']);
  });

  it('do not end because the master itself was stopped: who was silent meanwhile it cannot know', () => {
    const master = masterOf(1);
    expect(told(tickTo(master, 60))).toEqual([]);
    // Its clients have renewed their leases all the time; it finds that out behind its timers.
    expect(told(master.tick(5000))).toEqual([]);
    expect(told(tickTo(master, 5100, 5020))).toEqual([]);
    expect(told(master.tick(5101))).toEqual(['fence 1']);
  });

  it('of length 0 do not end', () => {
    const master = new Master({ leaseNs: 0 });
    master.join({ cid: 1, place: 0 }, 0);
    expect(told(master.tick(1e12))).toEqual([]);
  });

  it('of nobody cannot be renewed', () => {
    expect(masterOf().renew(7, 0)).toBe(false);
  });
});

describe('a place that is filled', () => {
  /** A master whose node 1 has died, and whose client has gone on. */
  const bereft = (): Master => {
    const master = masterOf(1);
    master.nodeDied(1);
    master.stopped(1, REPORT);
    master.repaired(true);
    return master;
  };
  /** The same, with the place of node 1 being copied. */
  const filling = (): Master => {
    const master = bereft();
    master.offer(1);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'fill 1']);
    return master;
  };

  it('gets its node back in two views, with everybody stopped for each', () => {
    const master = bereft();
    expect(told(master.offer(1))).toEqual(['stop 1']);
    expect(master.isSettled).toBe(false);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 3 without 1, filling 1']);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'fill 1']);
    expect(master.view).toEqual({ number: 3, dead: [1], filling: 1 });
    expect(told(master.filled(1))).toEqual(['stop 1']);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 4 without , joins 1']);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'enter 1']);
    expect(master.view).toEqual({ number: 4, dead: [] });
    expect(master.isSettled).toBe(true);
  });

  it('is copied some more when too much has changed, with nobody joining yet', () => {
    const master = filling();
    master.filled(1);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true, { isToCopyMore: true }))).toEqual(['adopt 1', 'fill 1']);
    expect(master.view).toEqual({ number: 4, dead: [1], filling: 1 });
    master.filled(1);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 5 without , joins 1']);
  });

  it('stays dead when its fresh process is gone, whatever was under way', () => {
    const master = filling();
    expect(told(master.withdraw(1))).toEqual(['stop 1']);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1']);
    expect(master.view).toEqual({ number: 4, dead: [1] });

    const joining = filling();
    joining.filled(1);
    joining.stopped(1, REPORT);
    expect(told(joining.withdraw(1))).toEqual([]);
    // It was silent, or had answered all: either way nobody joins.
    for (const isDone of [false, true]) {
      const [again] = joining.repaired(isDone);
      if (again === undefined) continue;
      if (again.do === 'repair') expect(told([again])).toEqual(['repair 5 without 1']);
    }
    expect(joining.view).toEqual({ number: 5, dead: [1] });
  });

  it('waits for the view without another node that dies, and is filled on', () => {
    const master = filling();
    expect(told(master.nodeDied(2))).toEqual(['stop 1']);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 4 without 1,2, filling 1']);
    // Its copying has gone on all the time: nobody is told to begin it.
    expect(told(master.repaired(true))).toEqual(['adopt 1']);
    master.filled(1);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 5 without 2, joins 1']);
  });

  it('has nobody join by a view in which another node is found dead', () => {
    const master = filling();
    master.filled(1);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 4 without , joins 1']);
    expect(told(master.nodeDied(0))).toEqual([]);
    expect(told(master.repaired(false))).toEqual(['repair 5 without 0,1, filling 1']);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'fill 1']);
    expect(master.view).toEqual({ number: 5, dead: [0, 1], filling: 1 });
  });

  it('has its node for good once that is in, whoever dies or leaves meanwhile', () => {
    const master = filling();
    master.filled(1);
    master.stopped(1, REPORT);
    master.nodeDied(0);
    master.withdraw(1);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'enter 1', 'stop 1']);
    expect(master.view).toEqual({ number: 4, dead: [] });
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 5 without 0']);
  });

  it('waits its turn', () => {
    const master = filling();
    expect(told(master.offer(0))).toEqual([]);
    master.filled(1);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'enter 1', 'stop 1']);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 5 without , filling 0']);
  });

  it('is filled anew by the next master', () => {
    const record = { view: { number: 3, dead: [1], filling: 1 }, members: [] };
    const master = new Master({ leaseNs: 100 }, record);
    expect(told(master.join({ cid: 1, place: 0 }, 0))).toEqual(['welcome 1']);
    expect(told(master.offer(1))).toEqual(['stop 1']);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 4 without 1, filling 1']);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'fill 1']);
  });
});
