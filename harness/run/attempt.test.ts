import { expect, it } from 'vitest';
import { type KeyedCell, titleOf } from './attempt.js';

const titled = (cell: Partial<KeyedCell>): string =>
  titleOf({ name: 'ycsb-a', label: null, repetition: 0, numbered: 1, ...cell } as KeyedCell);

it('a cell is called by its workload, its label and its place among all repetitions of the run', () => {
  expect(titled({})).toBe('ycsb-a');
  expect(titled({ label: '5ops' })).toBe('ycsb-a 5ops');
  // The second of five repetitions in the third part of a run of fifteen.
  expect(titled({ repetition: 11, numbered: 15 })).toBe('ycsb-a (12/15)');
});
