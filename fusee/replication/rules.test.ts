import { describe, expect, it } from 'vitest';
import { makeSlot } from '../layout/index.js';
import { type Word, word } from '../verbs/index.js';
import { countVotes, isLeast, Verdict, won } from './rules.js';

/** Owners in the order of their pointers; differences in the low and the high half of the word. */
const POINTERS = [64, 128, 2 ** 33, 2 ** 47];
type Form = 'kv' | 'tomb';
const vote = (owner: number, form: Form): Word =>
  makeSlot(word(), POINTERS[owner], form === 'kv' ? 1 + owner : 0, form === 'kv' ? 9 : 255 - owner);

/** Every list of `count` owners out of four. */
function* patterns(count: number): Generator<number[]> {
  for (let n = 0; n < 4 ** count; n++)
    yield Array.from({ length: count }, (_, i) => Math.floor(n / 4 ** i) % 4);
}

/** Algorithm 2 as the paper states it, over owners; `isPrimaryUnchanged` answers its READ of the primary. */
function algorithm2(list: number[], mine: number): 'RULE_1' | 'RULE_2' | 'RULE_3' | 'LOSE' {
  const frequency = (owner: number): number => list.filter((o) => o === owner).length;
  const most = [...list].sort((a, b) => frequency(b) - frequency(a))[0];
  if (frequency(most) === list.length) return most === mine ? 'RULE_1' : 'LOSE';
  if (frequency(most) > list.length / 2) return most === mine ? 'RULE_2' : 'LOSE';
  if (!list.includes(mine)) return 'LOSE';
  return Math.min(...list) === mine ? 'RULE_3' : 'LOSE';
}

function decide(votes: Word[], vNew: Word): string {
  const verdict = countVotes(votes, votes.length, vNew);
  if (verdict === Verdict.TIE) return isLeast(votes, votes.length, vNew) ? 'RULE_3' : 'LOSE';
  return Object.entries(Verdict).find(([, v]) => v === verdict)?.[0] ?? '';
}

describe.each([1, 2, 3, 4])('with %i backups', (count) => {
  const forms: Form[] = ['kv', 'tomb'];

  it('every pattern of votes is decided as Algorithm 2 says, whatever kinds the words are of', () => {
    for (const list of patterns(count)) {
      for (let mine = 0; mine < 4; mine++) {
        for (const form of forms) {
          const seen = decide(
            list.map((o) => vote(o, form)),
            vote(mine, 'kv'),
          );
          expect({ list, mine, form, seen }).toEqual({ list, mine, form, seen: algorithm2(list, mine) });
        }
      }
    }
  });

  it('a KV and the tombstone of one object are one vote', () => {
    for (const list of patterns(count)) {
      const mixed = list.map((o, i) => vote(o, forms[i % 2]));
      const seen = [0, 1, 2, 3].map((mine) => decide(mixed, vote(mine, 'kv')));
      expect({ list, seen }).toEqual({ list, seen: [0, 1, 2, 3].map((mine) => algorithm2(list, mine)) });
    }
  });

  it('of all writers that see the same votes exactly one wins', () => {
    for (const list of patterns(count)) {
      const winners = [0, 1, 2, 3].filter(
        (mine) =>
          decide(
            list.map((o) => vote(o, 'kv')),
            vote(mine, 'kv'),
          ) !== 'LOSE',
      );
      expect({ list, winners: winners.length }).toEqual({ list, winners: 1 });
    }
  });

  it('votes beyond the count do not count', () => {
    const votes = Array.from({ length: count }, () => vote(1, 'kv'));
    expect(countVotes([...votes, vote(0, 'kv'), vote(0, 'kv')], count, vote(1, 'kv'))).toBe(Verdict.RULE_1);
    expect(isLeast([...votes, vote(0, 'kv')], count, vote(1, 'kv'))).toBe(true);
  });
});

it('exactly the last writer of Rules 1, 2 and 3 has won', () => {
  expect(
    Object.entries(Verdict)
      .filter(([, v]) => won(v))
      .map(([name]) => name),
  ).toEqual(['RULE_1', 'RULE_2', 'RULE_3']);
});
