import { describe, expect, it } from 'vitest';
import { chiSquareDeviation } from './chi-square.js';
import { WorkloadError } from './errors.js';
import { RandomStream } from './random.js';

const base = { seed: 1, host: 0, process: 0, coroutine: 0 };

function firstDraws(identity: typeof base, count = 4): string {
  const random = new RandomStream(identity);
  return Array.from({ length: count }, () => random.nextUint32()).join();
}

describe('RandomStream', () => {
  it('repeats itself for the same identity, on every machine', () => {
    expect(firstDraws(base)).toBe(firstDraws({ ...base }));
    expect(firstDraws(base)).toBe('406578065,1513751035,3204558103,1443642730');
  });

  it('differs for every seed, host, process and coroutine', () => {
    const seen = new Set<string>();
    for (const seed of [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]) {
      for (let host = 0; host < 10; host++) {
        for (let process = 0; process < 10; process++) {
          for (let coroutine = 0; coroutine < 10; coroutine++) {
            seen.add(firstDraws({ seed, host, process, coroutine }, 2));
          }
        }
      }
    }
    expect(seen.size).toBe(6000);
  });

  it('does not confuse the parts of an identity with one another', () => {
    const permuted = [
      { seed: 1, host: 2, process: 3, coroutine: 4 },
      { seed: 2, host: 1, process: 3, coroutine: 4 },
      { seed: 1, host: 3, process: 2, coroutine: 4 },
      { seed: 1, host: 2, process: 4, coroutine: 3 },
    ];
    expect(new Set(permuted.map((identity) => firstDraws(identity))).size).toBe(4);
  });

  it('has no correlation between neighbouring streams', () => {
    const count = 20000;
    const one = new RandomStream(base);
    const other = new RandomStream({ ...base, coroutine: 1 });
    let sum = 0;
    for (let i = 0; i < count; i++) sum += (one.nextDouble() - 0.5) * (other.nextDouble() - 0.5);
    // The standard deviation of the mean product is (1/12) / sqrt(count).
    expect(Math.abs(sum / count)).toBeLessThan((4 / 12) * count ** -0.5);
  });

  it('is uniform in doubles of 53 bits and in integers', () => {
    const random = new RandomStream({ ...base, seed: 7 });
    const cells = new Uint32Array(100);
    const integers = new Uint32Array(7);
    let lowBits = 0;
    let outside = 0;
    for (let i = 0; i < 100_000; i++) {
      const double = random.nextDouble();
      if (double < 0 || double >= 1) outside++;
      lowBits += (double * 2 ** 53) % 2;
      cells[Math.floor(double * 100)]++;
      integers[random.nextBelow(7)]++;
    }
    expect(outside).toBe(0);
    expect(Math.abs(lowBits - 50_000)).toBeLessThan(700);
    expect(chiSquareDeviation(cells, new Float64Array(100).fill(1 / 100))).toBeLessThan(4);
    expect(chiSquareDeviation(integers, new Float64Array(7).fill(1 / 7))).toBeLessThan(4);
  });

  it.each(['seed', 'host', 'process', 'coroutine'])('refuses a %s that is no integer from 0 on', (part) => {
    expect(() => new RandomStream({ ...base, [part]: -1 })).toThrow(WorkloadError);
    expect(() => new RandomStream({ ...base, [part]: 0.5 })).toThrow(`${part} is 0.5`);
  });
});
