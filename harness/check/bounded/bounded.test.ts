/** Finds what the published ways do wrong, and nothing in ours within the same bounds. */
import { describe, expect, it } from 'vitest';
import { LogOperation } from '../../../fusee/layout/index.js';
import { type Context, RequestKind } from '../../../fusee/ops/index.js';
import type { OpLoop } from '../../../fusee/verbs/index.js';
import { type InsertPolicy, insertWith, RIGHT } from '../naive/insert.js';
import { modifyWith } from '../naive/modify.js';
import { BoundedPool, explore, exploreRandom, replay, requestWorld } from './index.js';

const CLIENTS = [1, 2, 3];
const poolOf = (freeSlots: number, holdsKey0: boolean, indexReplicas = 2): BoundedPool =>
  new BoundedPool({
    config: { indexReplicas },
    setUp: (pool) => {
      pool.leaveFree(freeSlots);
      if (holdsKey0) pool.insert(0, 200);
      for (const cid of CLIENTS) pool.grant(cid);
    },
  });

type Loops = (cx: Context) => readonly (OpLoop | undefined)[];

const at = (kind: number, loop: OpLoop): (OpLoop | undefined)[] => {
  const loops: (OpLoop | undefined)[] = new Array(kind).fill(undefined);
  loops[kind] = loop;
  return loops;
};

const insertBy =
  (changes: Partial<InsertPolicy>): Loops =>
  (cx) =>
    at(RequestKind.INSERT, insertWith(cx, { ...RIGHT, ...changes }));

const losingDeleteSaysOk: Loops = (cx) =>
  at(RequestKind.DELETE, modifyWith(cx, LogOperation.DELETE, { vOld: 'read', loser: 'says OK' }));

const deleteWritesZero: Loops = (cx) => {
  const { aim } = cx;
  cx.aim = (slot, lines) => {
    aim.call(cx, slot, lines);
    if (lines === 0) cx.write.vNew.hi = cx.write.vNew.lo = 0;
  };
  return [];
};

const PREEMPTIONS = 2;

describe.each([
  [
    'H1: a losing INSERT says OK',
    1,
    false,
    'I0 S0 | I1 S1',
    insertBy({ loser: 'says OK', check: 'none' }),
    /not linear/,
  ],
  ['H1: no duplicate check', 2, false, 'I | I', insertBy({ check: 'none' }), /not linearizable/],
  ['H2: two DELETEs that write 0', 1, true, 'D | D', deleteWritesZero, /CAS of .* failed/],
  ['H2: 0 comes back under an INSERT', 1, false, 'I0 D0 | I1', deleteWritesZero, /CAS of .* failed|for ever/],
  ['H3: a losing DELETE says OK', 1, true, 'U S | D S', losingDeleteSaysOk, /not linearizable/],
  ['X3: the lower slot survives', 2, false, 'I | I', insertBy({ conflict: 'lower survives' }), /not linear/],
] as const)('%s', (_, freeSlots, holdsKey0, mix, loops, says) => {
  const pool = poolOf(freeSlots, holdsKey0);
  const vacancies = [0, 1, 0];

  it('is found when done naively, told, and replayed', () => {
    const makeWorld = requestWorld(pool, mix, { vacancies, loops });
    const { failure } = explore(makeWorld, { preemptions: PREEMPTIONS });
    expect(failure?.message).toMatch(says);
    expect(failure?.told.at(-1)).toBe(failure?.message);
    expect(failure?.told.join('\n')).toMatch(/client 2: CAS MN \d bucket \d+ slot \d \(backup 1\)/);
    expect(replay(makeWorld, failure?.schedule ?? '')).toBe(failure?.message);
  });

  it('does not happen in ours', () => {
    const found = explore(requestWorld(pool, mix, { vacancies }), { preemptions: PREEMPTIONS });
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});

describe('random schedules', () => {
  const makeWorld = requestWorld(poolOf(1, false), 'I0 S0 | I1 S1', {
    loops: insertBy({ loser: 'says OK', check: 'none' }),
  });

  it.each([undefined, 3])('find H1 too, the same one by the same seed (depth %s)', (depth) => {
    const options = { seed: 1, runs: 5000, depth };
    const found = exploreRandom(makeWorld, options);
    expect(found.failure?.message).toMatch(/not linearizable/);
    expect(exploreRandom(makeWorld, options).failure).toEqual(found.failure);
    expect(replay(makeWorld, found.failure?.schedule ?? '')).toBe(found.failure?.message);
  });

  it.each([undefined, 3])('find nothing in ours, with crashes and torn verbs (depth %s)', (depth) => {
    const ours = requestWorld(poolOf(2, true), 'U S | D I0 | I1 S', { vacancies: [0, 1, 0] });
    const failures = { crashes: 1, tears: true, tornReads: true };
    const found = exploreRandom(ours, { seed: 2, runs: 700, depth, ...failures });
    expect(found.failure?.told.join('\n')).toBeUndefined();
  });
});

describe('a client that dies', () => {
  const pool = poolOf(1, true);

  it('leaves the next writer waiting when nobody recovers it', () => {
    const makeWorld = requestWorld(pool, 'U | U', { recovers: false });
    const { failure } = explore(makeWorld, { preemptions: 1, crashes: 1 });
    expect(failure?.message).toMatch(/nobody can go on: client \d would wait for ever/);
  });

  it.each(['U S | D S', 'U | U', 'D I | U'])('holds up nobody once it is recovered: %s', (mix) => {
    const found = explore(requestWorld(pool, mix), { preemptions: 1, crashes: 1, tears: true });
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });

  it('may have a recoverer that dies too', () => {
    const found = explore(requestWorld(pool, 'U | D'), { preemptions: 0, crashes: 2 });
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});
