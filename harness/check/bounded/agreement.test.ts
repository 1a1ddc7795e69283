/** The bounded explorer and the exhaustive one come to the same verdicts where both can look. */
import { describe, expect, it } from 'vitest';
import { LogOperation } from '../../../fusee/layout/index.js';
import { RequestKind } from '../../../fusee/ops/index.js';
import { explore as exploreAll } from '../find.js';
import { insertWith, RIGHT } from '../naive/insert.js';
import { modifyWith } from '../naive/modify.js';
import { insertVariant, modifyVariant } from '../naive/variants.js';
import { makeScenario } from '../scenario/scenario.js';
import type { ClientOptions } from './actors.js';
import { BoundedPool, explore, requestWorld } from './index.js';

type Loops = NonNullable<ClientOptions['loops']>;

const noCheck: Loops = (cx) => {
  const loops = [];
  loops[RequestKind.INSERT] = insertWith(cx, { ...RIGHT, check: 'none' });
  return loops;
};

const naiveModify: Loops = (cx) => {
  const policy = { vOld: 'read', loser: 'says OK' } as const;
  const loops = [];
  loops[RequestKind.UPDATE] = modifyWith(cx, LogOperation.UPDATE, policy);
  loops[RequestKind.DELETE] = modifyWith(cx, LogOperation.DELETE, policy);
  return loops;
};

const deleteWritesZero: Loops = (cx) => {
  const { aim } = cx;
  cx.aim = (slot, lines) => {
    aim.call(cx, slot, lines);
    if (lines === 0) cx.write.vNew.hi = cx.write.vNew.lo = 0;
  };
  return [];
};

const vacancies = [0, 1, 0];

describe.each([
  ['- -', 'I D | I D', noCheck, insertVariant('no check', { check: 'none' })],
  ['K0 -', 'D I | D I', noCheck, insertVariant('no check', { check: 'none' })],
  ['K0', 'U S | U | D S', naiveModify, modifyVariant('losing DELETE says OK', {})],
])('%s: %s', (slots, mix, loops, variant) => {
  const pool = new BoundedPool({
    setUp: (p) => {
      p.leaveFree(slots.split(' ').length);
      if (slots.startsWith('K0')) p.insert(0, 200);
      for (const cid of [1, 2, 3]) p.grant(cid);
    },
  });

  it('fails naively', () => {
    expect(exploreAll(makeScenario(slots, mix, { variant })).violation).toBeDefined();
    const { failure } = explore(requestWorld(pool, mix, { vacancies, loops }), { preemptions: 2 });
    expect(failure).toBeDefined();
  });

  it('is clean in ours', () => {
    expect(exploreAll(makeScenario(slots, mix)).violation).toBeUndefined();
    const found = explore(requestWorld(pool, mix, { vacancies }), { preemptions: 2 });
    expect(found.failure?.told.join('\n')).toBeUndefined();
    expect(found.complete).toBe(true);
  });
});

describe.each(['U | D', 'D | D', 'I1 | D'])('pruning K0: %s', (mix) => {
  const pool = new BoundedPool({
    setUp: (p) => {
      p.leaveFree(2);
      p.insert(0, 200);
      for (const cid of [1, 2]) p.grant(cid);
    },
  });

  it('changes no verdict, naive or ours, and nothing is left to chance', () => {
    for (const ways of [undefined, naiveModify, deleteWritesZero]) {
      const makeWorld = requestWorld(pool, mix, { loops: ways });
      const bounds = { preemptions: 1, crashes: ways === undefined ? 1 : 0 };
      const [pruned, again, whole] = [true, true, false].map((prunes) =>
        explore(makeWorld, { ...bounds, prunes }),
      );
      const { milliseconds: _, ...first } = pruned;
      expect(again).toMatchObject(first);
      expect(whole.complete).toBe(pruned.complete);
      expect(whole.failure?.message).toBe(pruned.failure?.message);
      expect(whole.schedules).toBeGreaterThanOrEqual(pruned.schedules);
    }
  });
});
