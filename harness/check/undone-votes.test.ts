/**
 * Control X7 in the product itself: votes compared by the whole word, so that an INSERT that undoes itself
 * changes a count. With two backups a count of two is all or nothing, and no schedule tells; with three, a
 * majority may break up.
 */
import { describe, expect, it, vi } from 'vitest';
import type { Word } from '../../fusee/verbs/index.js';
import { explore, story } from './find.js';
import { makeScenario } from './scenario/scenario.js';
import { UNDONE_MIXES } from './scenario/suites.js';

const votes = vi.hoisted(() => ({ byWord: false }));

vi.mock('../../fusee/layout/slot.js', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../fusee/layout/slot.js')>();
  return {
    ...original,
    sameOwner: (a: Word, b: Word) =>
      votes.byWord ? a.hi === b.hi && a.lo === b.lo : original.sameOwner(a, b),
    lessOwner: (a: Word, b: Word) =>
      votes.byWord ? a.hi < b.hi || (a.hi === b.hi && a.lo < b.lo) : original.lessOwner(a, b),
  };
});

describe('an INSERT that undoes itself while another one counts votes', () => {
  it.each(UNDONE_MIXES)('is clean by owner, over three backups: %s: %s', (slots, mix) => {
    for (const isReversed of [false, true]) {
      const exploration = explore(makeScenario(slots, mix, { replicas: 4, isReversed }));
      expect(story(exploration)).toBeUndefined();
      expect(exploration.isPartial).toBe(false);
    }
  });

  it('makes two winners when votes are whole words', () => {
    votes.byWord = true;
    try {
      const [[slots, mix]] = UNDONE_MIXES;
      const exploration = explore(makeScenario(slots, mix, { replicas: 4 }));
      expect(exploration.violation?.message).toMatch(/CAS of .* failed/);
      expect(story(exploration)).toContain('-> TOMB(');
    } finally {
      votes.byWord = false;
    }
  });
});
