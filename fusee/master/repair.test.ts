/** What a repair does to the control data of a pool that has lost the node which kept it. */
import { describe, expect, it } from 'vitest';
import {
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  entryOf,
  isKv,
  isTomb,
  LINE_BYTES,
  LOG_COMMIT_BYTES,
  makeSlot,
  objectLines,
  ownerPointer,
  slotFingerprint,
  View,
} from '../layout/index.js';
import type { ByHand } from '../ops/by-hand.js';
import { loadDirectory, Outcome, openRounds } from '../ops/index.js';
import { run, SmallPool } from '../recovery/by-hand.js';
import { recoverClient } from '../recovery/index.js';
import { CorruptionError, Field, Opcode, type Word, word } from '../verbs/index.js';
import { REPORT, ROUND } from './by-hand.js';
import { Repairer, type RepairOptions } from './index.js';
import type { Repair } from './master.js';

const MASTER = 60_000;

/** The change to the view without a node, of a pool whose clients have all gone. */
const without = (mn: number): Repair => ({
  view: { number: 2, dead: [mn] },
  before: { number: 1, dead: [] },
  isWhole: false,
  isAgain: false,
  reports: new Map(),
  members: [],
  dead: [],
});

it('a directory whose primary died has the depth of its entries, also when no client is left to tell it', () => {
  const pool = new SmallPool({ subtablesMax: 2048 });
  const { nodes, view } = pool;
  const primary = view.directoryMn(0);
  // Subtables 0 and 1 of depth 1, then one by one deeper: the last entry is far from the first.
  const entries = new Map([[0, 1]]);
  for (let depth = 1; depth < 11; depth++) entries.set(2 ** depth - 1, Math.min(depth + 1, 10));
  for (const [s, depth] of entries)
    for (let r = 0; r < 2; r++) nodes.store(view.directoryMn(r), directoryOffset(s), entryOf(depth), 0);
  nodes.store(primary, DIRECTORY_VERSION_OFFSET, 77, 10);
  const { fabric, coroutine } = pool.outsider(MASTER);
  const { directory } = coroutine.cx.client;
  const room = { view, batch: coroutine.cx.batch, into: coroutine.cx.matchArea };
  expect(run(fabric, loadDirectory(directory, room))).toBe(true);
  const before = new View(view.geometry);
  const repairer = new Repairer(coroutine.cx);
  nodes.kill(primary);
  view.change(2, [primary]);
  expect(run(fabric, repairer.repair(without(primary), before))).toEqual(new Map());
  const late = pool.outsider(1);
  const fresh = late.coroutine.cx.client.directory;
  const itsRoom = { view, batch: late.coroutine.cx.batch, into: late.coroutine.cx.matchArea };
  expect(run(late.fabric, loadDirectory(fresh, itsRoom))).toBe(true);
  expect([fresh.globalDepth, [...fresh.subtables()].length]).toEqual([10, entries.size]);
  // Above all that anybody has seen: who has the directory of before loads it anew, the master among them.
  expect(fresh.version).toBe(78);
});

/** Client 1 dies in an INSERT, its word on the backup only; its log list does not come to its head. */
function halfInserted() {
  const pool = new SmallPool();
  const victim = pool.byHand(1);
  expect(victim.insert('first', 'f').finish()).toBe(Outcome.OK);
  const hasCas = ({ batch }: ByHand): boolean =>
    batch !== undefined &&
    Array.from({ length: batch.count }, (_, i) => batch.opcode(i)).includes(Opcode.CAS);
  victim.insert('half', 'h');
  while (!hasCas(victim)) victim.step();
  victim.step();
  const { slot } = victim.cx.write;
  const [{ pointer: block }] = pool.blocksOf(1);
  pool.putPointer(block + pool.view.geometry.headsOffset, block + pool.view.geometry.cellsOffset + 1);
  return { pool, primary: slot.mn[0], backup: slot.mn[1], offset: slot.offsetBytes[1] };
}

/** The repair behind the death of the primary of the slot. */
function repairAll(
  { pool, primary }: { pool: SmallPool; primary: number },
  options: RepairOptions & { repair?: Partial<Repair> } = {},
): Map<number, Word> | undefined {
  const view = new View(pool.view.geometry);
  const { fabric, coroutine } = pool.outsider(MASTER, view);
  const repairer = new Repairer(coroutine.cx, options);
  pool.nodes.kill(primary);
  for (const of of [view, pool.view]) of.change(2, [primary]);
  const members = [{ cid: 1, place: 0 }];
  const repair = { ...without(primary), members, dead: members, ...options.repair };
  return run(fabric, repairer.repair(repair, new View(view.geometry)));
}

describe("a dead client's log that contradicts itself", () => {
  it('ends no repair: it is told of, and what it has open is found in its blocks and decided', () => {
    const half = halfInserted();
    const { pool, backup, offset } = half;
    expect(isKv(pool.nodes.load(backup, offset, word()))).toBe(true);
    const torn: [number, string][] = [];
    const onTorn = (cid: number, why: string): void => {
      torn.push([cid, why]);
    };
    const decided = repairAll(half, { onTorn });
    expect(torn).toEqual([[1, expect.stringMatching(/does not come to its head/)]]);
    // Nobody was told of it: made visible, it might stand beside another of the same key (control X11b).
    expect(isTomb(pool.nodes.load(backup, offset, word()))).toBe(true);
    expect([...(decided ?? [])].filter(([, stands]) => isTomb(stands))).toHaveLength(1);
    const other = pool.outsider(2);
    expect([other.search('half'), other.search('first')]).toEqual([Outcome.NOT_FOUND, 'f']);
    expect([other.insert('half', 'mine'), other.search('half')]).toEqual([Outcome.OK, 'mine']);
  });

  it('ends a repair whose driver hears of nothing', () => {
    expect(() => repairAll(halfInserted())).toThrow(CorruptionError);
  });
});

it('a tombstone whose object is of no length that can be stands, and nothing is written for it', () => {
  const { pool, primary, backup, offset } = halfInserted();
  const { nodes, view } = pool;
  const insert = nodes.load(backup, offset, word());
  const pointer = ownerPointer(insert);
  const tomb = makeSlot(word(), pointer, 0, slotFingerprint(insert));
  nodes.store(backup, offset, tomb.lo, tomb.hi);
  // Its end would lie in another block, of somebody else.
  const keyBytes = 8000;
  for (let r = 0; r < 2; r++) nodes.store(view.dataMn(pointer, r), view.dataOffset(pointer, r), keyBytes, 0);
  const end = pointer + (objectLines(keyBytes, 0) - 1) * LINE_BYTES;
  const there = (): number[] => {
    const line = new Uint8Array(LINE_BYTES);
    nodes.read(view.dataMn(end, 0), view.dataOffset(end, 0), line, 0, LINE_BYTES);
    return [...line];
  };
  const before = there();
  const rounds = [{ ...ROUND, slot: offset - view.slotOffset(0) }];
  const reports = new Map([[3, { ...REPORT, rounds }]]);
  const stands = repairAll({ pool, primary }, { repair: { reports, dead: [] } });
  expect(stands).toEqual(new Map([[rounds[0].slot, tomb]]));
  expect(there()).toEqual(before);
});

/** The CRC-8 of a log commit of which two bytes are there, without the rule that none is 0. */
function plainCrc(low: number): number {
  let c = 0xff;
  for (const byte of [low & 255, low >>> 8, 0, 0, 0, 0, 0, 0]) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = ((c << 1) & 0xff) ^ (c & 0x80 ? 0x07 : 0);
  }
  return c;
}

/** Of 256 fingerprints one makes the first bytes of a word have a CRC of 0, as a fresh entry has. */
function unluckyKey(by: ByHand): string {
  for (let i = 0; ; i++) {
    by.search(`k${i}`).finish();
    if (plainCrc((1 << 8) | by.cx.place.fingerprint) === 0) return `k${i}`;
  }
}

/** Steps until the batch that commits the log, and lets its WRITEs land so far. */
function dieInCommit(victim: ByHand, bytes: number): void {
  const isCommit = (i: number): boolean =>
    victim.batch?.opcode(i) === Opcode.WRITE && victim.batch.field(i, Field.LENGTH) === LOG_COMMIT_BYTES;
  while (victim.batch !== undefined && !isCommit(0)) victim.step();
  const { batch } = victim;
  if (batch === undefined) throw new Error('the request has ended without a commit');
  for (let i = 0; i < batch.count; i++) if (isCommit(i)) batch.setField(i, Field.LENGTH, bytes);
  victim.execute();
}

describe('a commit that its death has stopped behind the first word of memory', () => {
  it('is none, also when its primary dies too: what it replaced is freed, and nothing else', () => {
    const pool = new SmallPool({ nodes: 4, indexReplicas: 3 });
    const other = pool.client(2);
    const victim = pool.byHand(1);
    const key = unluckyKey(victim);
    expect(other.c.insert(key, 'before')).toBe(Outcome.OK);
    expect(victim.insert('mine', 'm').finish()).toBe(Outcome.OK);
    // The old value's first two bytes lie in one word, the others and its check in the next.
    dieInCommit(victim.update(key, 'after'), 2);
    repairAll({ pool, primary: victim.cx.write.slot.mn[0] });
    const { fabric, coroutine } = pool.outsider(20);
    expect(run(fabric, recoverClient(coroutine.cx, { cid: 1, index: 0 }))).toBe(true);
    expect([other.c.search(key), other.c.search('mine')]).toEqual(['after', 'm']);
    const { findings, nodes } = pool.walk();
    expect([findings, nodes.map(({ bytes }) => bytes?.unfreed ?? 0)]).toEqual([[], [0, 0, 0, 0]]);
  });
});

it('a round that is lost to the tombstone of the object just ahead of its own frees nothing that stands', () => {
  const pool = new SmallPool({ nodes: 4, indexReplicas: 3 });
  const victim = pool.byHand(1);
  expect([victim.insert('k', 'v').finish(), victim.delete('k').finish()]).toEqual([Outcome.OK, Outcome.OK]);
  // Its log is committed, and the primary still holds the tombstone: another of its replicas dies.
  dieInCommit(victim.insert('k', 'again'), LOG_COMMIT_BYTES);
  const { slot } = victim.cx.write;
  const rounds = openRounds(victim.cx.client);
  const reports = new Map([[1, { ...REPORT, rounds }]]);
  const stands = repairAll({ pool, primary: slot.mn[1] }, { repair: { reports, dead: [] } });
  const tomb = stands?.get(rounds[0].slot) ?? word();
  expect([isTomb(tomb), rounds[0].cell - ownerPointer(tomb) > 0]).toEqual([true, true]);
  // It dies before it has gone on.
  const { fabric, coroutine } = pool.outsider(20);
  expect(run(fabric, recoverClient(coroutine.cx, { cid: 1, index: 0 }))).toBe(true);
  expect(pool.walk().findings).toEqual([]);
});
