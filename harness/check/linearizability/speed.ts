/**
 * Measures the checker on simulated correct histories: `npx tsx harness/check/linearizability/speed.ts
 * [shape]`.
 */
import { checkHistory } from './check.js';
import { type SimulationOptions, simulate } from './simulate.js';

const SHAPES: Record<string, SimulationOptions> = {
  'many keys, zipf, 8 clients': { operations: 1_000_000, clients: 8, keys: 10_000, zipfTheta: 0.99, seed: 1 },
  'many keys, uniform, 128 clients': { operations: 1_000_000, clients: 128, keys: 10_000, seed: 2 },
  'YCSB-A, zipf, 128 clients': {
    operations: 1_000_000,
    clients: 128,
    keys: 10_000,
    zipfTheta: 0.99,
    seed: 3,
    mix: [1, 0, 1, 0, 0],
    loaded: true,
  },
  '10 hot keys, 4 clients': { operations: 200_000, clients: 4, keys: 10, seed: 4, pause: 0 },
  '10 hot keys, 4 clients, faults': {
    operations: 200_000,
    clients: 4,
    keys: 10,
    seed: 5,
    pause: 0,
    unavailable: 0.001,
    pending: 0.001,
  },
  '1 hot key, 16 clients': { operations: 100_000, clients: 16, keys: 1, seed: 6, pause: 0 },
  '1 hot key, 8 clients, 4 values': {
    operations: 100_000,
    clients: 8,
    keys: 1,
    seed: 7,
    pause: 0,
    values: 4,
  },
};

const wanted = process.argv[2] ?? '';
console.log('shape                             operations   check s   operations/s    states   verdict');
for (const [name, options] of Object.entries(SHAPES)) {
  if (!name.includes(wanted)) continue;
  const { history, initial, final } = simulate(options);
  const startMs = performance.now();
  const result = checkHistory(history, { initial, final });
  const seconds = (performance.now() - startMs) / 1000;
  const columns = [
    name.padEnd(32),
    String(history.count).padStart(11),
    seconds.toFixed(2).padStart(9),
    Math.round(history.count / seconds)
      .toString()
      .padStart(14),
    String(result.stateCount).padStart(9),
    result.verdict,
  ];
  console.log(columns.join(' '));
}
