import { describe, expect, it } from 'vitest';
import { chooseWarmup } from './warmup.js';

describe('the warm-up that nobody chose', () => {
  it('is 7 % of what the requests would take at the rate of the load', () => {
    expect(chooseWarmup({ requests: 500_000, loaded: 100_000, loadMs: 1000 })).toBe(350);
    expect(chooseWarmup({ requests: 20_000, loaded: 1000, loadMs: 50 })).toBe(70);
  });

  it('leaves a window to runs too short to get up to speed', () => {
    expect(chooseWarmup({ requests: 800, loaded: 100, loadMs: 50 })).toBe(1);
    expect(chooseWarmup({ requests: 800, loaded: 0, loadMs: 50 })).toBe(1);
  });

  it('is longer where the machine is slower, and never longer than two seconds', () => {
    expect(chooseWarmup({ requests: 500_000, loaded: 100_000, loadMs: 2000 })).toBe(700);
    expect(chooseWarmup({ requests: 5e6, loaded: 100_000, loadMs: 2000 })).toBe(2000);
  });

  it('goes by the number of requests where nothing is loaded', () => {
    expect(chooseWarmup({ requests: 500_000, loaded: 0, loadMs: 1 })).toBe(500);
    expect(chooseWarmup({ requests: 1000, loaded: 0, loadMs: 1 })).toBe(1);
  });
});
