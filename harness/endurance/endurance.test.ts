/**
 * The long-running checks in short, with processes of their own: what must hold, and not how fast it is. The limits
 * on time only end what hangs.
 */
import { describe, expect, it } from 'vitest';
import { regions } from '../e2e/run-fusee.js';
import { type EnduranceOptions, endure } from './endure.js';
import { grow } from './grow.js';
import type { CheckHooks } from './party.js';

const hooks = (): CheckHooks => ({ abort: new AbortController().signal, say: () => {} });
/** Beside other jobs a process may not run for longer than the store's second. */
const deadlineNs = 10e9;

const small: EnduranceOptions = {
  load: 'update',
  dataBytes: 4 << 20,
  slack: 1.8,
  times: 50,
  nodes: 2,
  replicas: 2,
  clients: 2,
  coroutines: 8,
  seed: 1,
  deadlineNs,
};

describe('many times its size written to a pool', () => {
  it.each(['update', 'churn'] as const)(
    'leaves memory flat and whole, and every value right (%s)',
    async (load) => {
      const result = await endure({ ...small, load }, hooks());
      expect(result.failures).toEqual([]);
      expect(result.bytesWritten).toBeGreaterThanOrEqual(small.times * small.dataBytes);
      expect(result.memory.samples).toBeGreaterThan(5);
      expect(result.keysChecked).toBeGreaterThan(3000);
      expect(regions(`fusee-endure-${process.pid}-`)).toEqual([]);
    },
    120_000,
  );
});

describe('an index of one subtable', () => {
  it('grows under INSERTs, of which none fails and none is lost, with subtables nearly full at their split', async () => {
    const result = await grow(
      { keys: 200_000, groups: 256, nodes: 2, replicas: 2, clients: 2, coroutines: 8, seed: 1, deadlineNs },
      hooks(),
    );
    expect(result.failures).toEqual([]);
    expect(result.keysChecked).toBe(200_000);
    expect(result.splits).toBeGreaterThan(20);
    expect(result.load.mean).toBeGreaterThan(0.8);
    expect(result.searches).toBeGreaterThan(0);
    expect(regions(`fusee-grow-${process.pid}-`)).toEqual([]);
  }, 120_000);
});

describe('a check that is interrupted', () => {
  it('ends its processes, leaves no shared memory, and says why', async () => {
    const abort = new AbortController();
    const reason = new Error('interrupted');
    const running = endure({ ...small, times: 10_000 }, { abort: abort.signal, say: onSay });
    function onSay(text: string): void {
      if (/[1-9]\d* % written|0 % written/.test(text)) abort.abort(reason);
    }
    await expect(running).rejects.toBe(reason);
    expect(regions(`fusee-endure-${process.pid}-`)).toEqual([]);
  }, 60_000);
});
