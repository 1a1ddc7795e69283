import { expect, test } from 'vitest';
import { type SelfTestRow, selfTest } from './self-test.js';

/** A part of what the command tries, so that rates may miss their limits by what so few trials scatter. */
const TRIALS = 200;

/** By how many standard errors of a rate at its limit the rate is on the wrong side. */
const missedBy = ({ asked, rate, limit, trials }: SelfTestRow): number => {
  const over = asked === 'at most' ? rate - limit : limit - rate;
  return over <= 0 ? 0 : over / Math.sqrt(Math.max(limit * (1 - limit), 1e-4) / trials);
};

test('claims of the statistics hold on a few series, the same each time', { timeout: 120_000 }, () => {
  const rows = selfTest({ trials: TRIALS });
  expect(rows.filter((row) => missedBy(row) > 3)).toEqual([]);
  expect(rows[0]).toMatchObject({ asked: 'at least', limit: 0.95 });
  expect(rows[0].claim).toMatch(/a 5 % step at 2 % noise is found, 10 points each side/);
  const falseAlarms = rows.filter(({ claim }) => claim.startsWith('A/A: a step'));
  expect(falseAlarms.map(({ limit }) => limit)).toEqual([0.01, 0.01, 0.01]);
  const heard: unknown[] = [];
  selfTest({ trials: 20, onRow: (row) => heard.push(row) });
  expect(heard).toEqual(selfTest({ trials: 20 }));
});
