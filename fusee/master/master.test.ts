import { describe, expect, it } from 'vitest';
import { type Effect, Master, type MasterRecord, type Repair, type StopReport } from './master.js';

const REPORT: StopReport = { rounds: [], word: { hi: 0, lo: 0 }, directory: { version: 1, depth: 0 } };

const ROUND = { slot: 64, cell: 192, operation: 1, vOld: { hi: 0, lo: 0 }, wasSwapped: false };

/** `repair 3 without 0, filling 1`, or `joins 1`. */
const tellRepair = ({ view, joins }: Repair): string =>
  `repair ${view.number} without ${view.dead}` +
  (view.filling === undefined ? '' : `, filling ${view.filling}`) +
  (joins === undefined ? '' : `, joins ${joins}`);

/** What is to be done, without the records: `stop 1`, `fence 2`, `repair 2 without 0`. */
function told(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) => {
    switch (effect.do) {
      case 'store':
        return [];
      case 'repair':
        return [tellRepair(effect.repair)];
      case 'recover':
        return [`recover ${effect.member.cid}`];
      case 'fill':
        return [`fill ${effect.mn}`];
      default:
        return [`${effect.do} ${effect.cid}`];
    }
  });
}

const repairIn = (effects: readonly Effect[]): Repair => {
  const found = effects.find((effect) => effect.do === 'repair');
  if (found === undefined) throw new Error(`no repair in ${told(effects)}`);
  return found.repair;
};

const recordIn = (effects: readonly Effect[]): MasterRecord => {
  const found = effects.findLast((effect) => effect.do === 'store');
  if (found === undefined) throw new Error('nothing is stored');
  return found.record;
};

/** A master whose clients have joined. */
function masterOf(...cids: number[]): Master {
  const master = new Master({ leaseNs: 100 });
  for (const cid of cids) master.join({ cid, place: cid - 1 }, 0);
  return master;
}

/** Looks at leases all the time, as masters do that are not held up, and for the last time at `nowNs`. */
function tickTo(master: Master, nowNs: number, fromNs = 0): Effect[] {
  const effects: Effect[] = [];
  for (let at = fromNs; at < nowNs; at += 20) effects.push(...master.tick(at));
  return [...effects, ...master.tick(nowNs)];
}

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
    expect(told(master.nodeDied(1))).toEqual([]);
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 3 without 1,2']);
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
    expect(told(waiting.nodeDied(2))).toEqual([]);
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
    expect(told(master.repaired(true))).toEqual(['adopt 1']);
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
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'stop 1']);
    expect(master.view).toEqual({ number: 4, dead: [] });
    expect(told(master.stopped(1, REPORT))).toEqual(['repair 5 without 0']);
  });

  it('waits its turn', () => {
    const master = filling();
    expect(told(master.offer(0))).toEqual([]);
    master.filled(1);
    master.stopped(1, REPORT);
    expect(told(master.repaired(true))).toEqual(['adopt 1', 'stop 1']);
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
