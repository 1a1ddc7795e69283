/** The search against the definition, on many small random histories, right and wrong ones. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bruteForce } from './brute-force.js';
import { type CheckOptions, checkHistory } from './check.js';
import { explain } from './explain.js';
import {
  History,
  isLegal,
  NO_VALUE,
  OPERATION_NAMES,
  Operation,
  type OperationRecord,
  OUTCOME_NAMES,
  Outcome,
  writesValue,
} from './history.js';
import { mutateAny } from './mutate.js';
import { Random } from './random.js';
import { type SimulationOptions, simulate } from './simulate.js';

/** A seed of its own for every run, printed with any failure; set to repeat one. */
const SEED = Number(process.env['LINEARIZABILITY_SEED'] ?? Date.now() % 1_000_000);
const OUTCOMES = Object.values(Outcome);

function rowsOf(history: History): string {
  return Array.from({ length: history.count }, (_, i) => {
    const end = history.outcome[i] === Outcome.PENDING ? '' : history.responseNs[i];
    const name = OPERATION_NAMES[history.operation[i]];
    const written = history.valueWritten[i] === NO_VALUE ? '' : `(${history.valueWritten[i]})`;
    const read = history.valueRead[i] === NO_VALUE ? '' : `(${history.valueRead[i]})`;
    const who = `c${history.client[i]} k${history.key[i]}`;
    const outcome = OUTCOME_NAMES[history.outcome[i]];
    return `${history.invocationNs[i]}-${end} ${who} ${name}${written} ${outcome}${read}`;
  }).join('\n');
}

/** Checks both ways and returns the common verdict. */
function agreed(history: History, options: CheckOptions, from: string): boolean {
  const expected = bruteForce(history, options);
  const result = checkHistory(history, options);
  const known = JSON.stringify({
    ...options,
    initial: [...(options.initial ?? [])],
    final: [...(options.final ?? [])],
  });
  expect(result.verdict, `${from}\n${known}\n${rowsOf(history)}\n${explain(history, result)}`).toBe(
    expected ? 'ok' : 'violation',
  );
  return expected;
}

const operationArbitrary = fc
  .record({
    client: fc.nat(2),
    key: fc.constantFrom(0, 0, 0, 1),
    operation: fc.constantFrom(...Object.values(Operation)),
    pick: fc.nat(99),
    written: fc.nat(2),
    read: fc.nat(2),
    invocationNs: fc.nat(9),
    duration: fc.nat(6),
  })
  .map(({ client, key, operation, pick, written, read, invocationNs, duration }): OperationRecord => {
    const likely = pick < 70 ? [Outcome.OK, Outcome.OK, Outcome.NOT_FOUND, Outcome.EXISTS] : OUTCOMES;
    const legal = likely.filter((outcome) => isLegal(operation, outcome));
    const outcome = legal[pick % legal.length];
    return {
      client,
      key,
      operation,
      outcome,
      valueWritten: writesValue(operation) ? written : NO_VALUE,
      valueRead: operation === Operation.SEARCH && outcome === Outcome.OK ? read : NO_VALUE,
      invocationNs,
      responseNs: invocationNs + duration,
    };
  });

const optionsArbitrary: fc.Arbitrary<CheckOptions> = fc.record({
  initial: fc.constantFrom(new Map(), new Map([[0, 0]]), new Map([[0, 1]])),
  final: fc.constantFrom(undefined, undefined, new Map([[0, 0]]), new Map([[0, NO_VALUE]])),
  clockBoundNs: fc.constantFrom(0, 0, 1),
});

describe('the search agrees with the definition', () => {
  it('on 6000 random histories of up to 6 operations', () => {
    let right = 0;
    fc.assert(
      fc.property(fc.array(operationArbitrary, { maxLength: 6 }), optionsArbitrary, (operations, options) => {
        const history = new History({ capacity: 8 });
        for (const operation of operations) history.append(operation);
        if (agreed(history, options, 'random')) right++;
      }),
      { numRuns: 6000, seed: SEED },
    );
    console.log(`LINEARIZABILITY_SEED=${SEED}: ${right} of 6000 random histories linearizable`);
    expect(right).toBeGreaterThan(600);
    expect(right).toBeLessThan(5400);
  }, 120_000);

  it('on 6000 correct histories of 7 operations and one mutation of each', () => {
    let wrong = 0;
    for (let run = 0; run < 6000; run++) {
      const seed = SEED * 10_000 + run;
      const random = new Random(seed);
      const options: SimulationOptions = {
        operations: 7,
        clients: 1 + random.below(5),
        keys: 1,
        seed,
        mix: random.happens(0.5) ? [4, 2, 2, 2, 2] : [5, 0, 2, 0, 1],
        unavailable: random.happens(0.5) ? 0.2 : 0,
        pending: random.happens(0.5) ? 0.15 : 0,
        noMemory: random.happens(0.2) ? 0.1 : 0,
        values: random.happens(0.5) ? 0 : 3,
        pause: random.below(3) / 2,
        tickNs: random.happens(0.5) ? 200 : 0,
      };
      const { history, final } = simulate(options);
      const known = random.happens(0.5) ? { final } : {};
      expect(agreed(history, known, `LINEARIZABILITY_SEED=${SEED}, run ${run}`)).toBe(true);
      if (!agreed(mutateAny(history, random), known, `LINEARIZABILITY_SEED=${SEED}, run ${run}, mutated`))
        wrong++;
    }
    console.log(`LINEARIZABILITY_SEED=${SEED}: ${wrong} of 6000 mutations not linearizable`);
    expect(wrong).toBeGreaterThan(1000);
  }, 120_000);
});
