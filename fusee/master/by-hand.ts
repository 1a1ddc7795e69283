/** For tests of the master: events as words, and reports. */
import { type Effect, Master, type MasterRecord, type Repair, type StopReport } from './master.js';

/** Of a client with nothing open. */
export const REPORT: StopReport = { rounds: [], word: { hi: 0, lo: 0 }, directory: { version: 1, depth: 0 } };

/** An open round. */
export const ROUND = {
  slot: 64,
  object: 128,
  cell: 192,
  operation: 1,
  vOld: { hi: 0, lo: 0 },
  wasSwapped: false,
};

/** `repair 3 without 0, filling 1`, or `joins 1`. */
export const tellRepair = ({ view, joins }: Repair): string =>
  `repair ${view.number} without ${view.dead}` +
  (view.filling === undefined ? '' : `, filling ${view.filling}`) +
  (joins === undefined ? '' : `, joins ${joins}`);

/** What is to be done, without the records: `stop 1`, `fence 2`, `repair 2 without 0`. */
export function told(effects: readonly Effect[]): string[] {
  return effects.flatMap((effect) => {
    switch (effect.do) {
      case 'store':
        return [];
      case 'repair':
        return [tellRepair(effect.repair)];
      case 'recover':
        return [`recover ${effect.member.cid}`];
      case 'fill':
      case 'enter':
        return [`${effect.do} ${effect.mn}`];
      case 'assign':
        return [`spare ${effect.spare} ${effect.isReplacing ? 'replaces' : 'gets'} ${effect.mn}`];
      default:
        return [`${effect.do} ${effect.cid}`];
    }
  });
}

/** The repair among effects; there has to be one. */
export const repairIn = (effects: readonly Effect[]): Repair => {
  const found = effects.find((effect) => effect.do === 'repair');
  if (found === undefined) throw new Error(`no repair in ${told(effects)}`);
  return found.repair;
};

/** The latest record among effects. */
export const recordIn = (effects: readonly Effect[]): MasterRecord => {
  const found = effects.findLast((effect) => effect.do === 'store');
  if (found === undefined) throw new Error('nothing is stored');
  return found.record;
};

/** A master whose clients have joined. */
export function masterOf(...cids: number[]): Master {
  const master = new Master({ leaseNs: 100 });
  for (const cid of cids) master.join({ cid, place: cid - 1 }, 0);
  return master;
}

/** Looks at leases all the time, as masters do that are not held up, and for the last time at `nowNs`. */
export function tickTo(master: Master, nowNs: number, fromNs = 0): Effect[] {
  const effects: Effect[] = [];
  for (let at = fromNs; at < nowNs; at += 20) effects.push(...master.tick(at));
  return [...effects, ...master.tick(nowNs)];
}
