import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../fusee/verbs/errors.js';
import { checkHistory } from './check.js';
import { explain } from './explain.js';
import { NO_VALUE, Operation, Outcome } from './history.js';
import { encodeHistory } from './history-file.js';
import { copyHistory, makeStale } from './mutate.js';
import { Random } from './random.js';
import { type SimulationOptions, simulate } from './simulate.js';

const FAULTS = { unavailable: 0.01, pending: 0.01, noMemory: 0.01 };
const SHAPES: SimulationOptions[] = [
  { operations: 20_000, clients: 8, keys: 100, seed: 1, zipfTheta: 0.99 },
  { operations: 20_000, clients: 8, keys: 100, seed: 2, zipfTheta: 0.99, mix: [5, 2, 3, 2, 2], ...FAULTS },
  { operations: 5_000, clients: 4, keys: 1, seed: 3, pause: 0, ...FAULTS },
  { operations: 5_000, clients: 8, keys: 2, seed: 4, pause: 0, values: 5, loaded: true },
  { operations: 5_000, clients: 6, keys: 2, seed: 5, tickNs: 500, mix: [2, 2, 2, 2, 1] },
  { operations: 2_000, clients: 40, keys: 1, seed: 6, pause: 0, loaded: true, mix: [1, 0, 1, 0, 0] },
];

describe('a simulated history', () => {
  for (const shape of SHAPES) {
    it(`is linearizable: ${JSON.stringify(shape)}`, () => {
      const { history, initial, final } = simulate(shape);
      expect(history.count).toBe(shape.operations);
      const result = checkHistory(history, { initial, final });
      expect(result.verdict, explain(history, result)).toBe('ok');
    }, 60_000);
  }

  it('is the same for the same seed', () => {
    const bytes = () => encodeHistory(simulate(SHAPES[1]).history);
    expect(Buffer.compare(bytes(), bytes())).toBe(0);
  });

  it('needs clients and keys', () => {
    expect(() => simulate({ operations: 1, clients: 0, keys: 1, seed: 0 })).toThrow(UsageError);
    expect(() => simulate({ operations: 1, clients: 1, keys: 0, seed: 0 })).toThrow(UsageError);
  });
});

describe('one wrong operation among thousands is found', () => {
  const options = {
    operations: 5000,
    clients: 8,
    keys: 20,
    zipfTheta: 0.99,
    loaded: true,
    mix: [5, 0, 5, 0, 0],
  } as const;

  it('when it is a stale read', () => {
    for (let seed = 0; seed < 40; seed++) {
      const { history, initial } = simulate({ ...options, seed });
      const key = seed % 20;
      const stale = makeStale(history, key, new Random(seed));
      expect(stale, `seed ${seed}`).toBeDefined();
      const result = checkHistory(stale!, { initial });
      expect(result.violation?.key, `seed ${seed}`).toBe(key);
    }
  }, 60_000);

  it('when it is a SEARCH that finds no key where none was deleted, or a value no one wrote', () => {
    for (let seed = 0; seed < 40; seed++) {
      const { history, initial } = simulate({ ...options, seed });
      const random = new Random(seed);
      let row = random.below(history.count);
      while (history.operation[row] !== Operation.SEARCH) row = random.below(history.count);
      const lost = { outcome: Outcome.NOT_FOUND, valueRead: NO_VALUE };
      const wrong = copyHistory(history, { row, to: seed % 2 ? lost : { valueRead: 1e9 } });
      expect(checkHistory(wrong, { initial }).violation?.unplaced, `seed ${seed}`).toBe(row);
    }
  }, 60_000);
});
