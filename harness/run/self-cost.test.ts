import { expect, it } from 'vitest';
import { memoryPool } from '../../fusee/client/memory-client.js';
import { KeyTable, RequestKind, type RequestStream } from '../../workloads/index.js';
import { measureClock, measureSelfCost, nullOperationNs } from './self-cost.js';

const { SEARCH, UPDATE, READ_MODIFY_WRITE, INSERT } = RequestKind;
const keys = new KeyTable({ recordCount: 20, clientIndex: 0, coroutineCount: 1, insertsPerCoroutine: 10 });
const stream = (kinds: readonly number[]): RequestStream => ({
  length: kinds.length,
  kinds: Uint8Array.from(kinds),
  keys: new Float64Array(kinds.length).fill(7),
  fromLatest: new Uint8Array(kinds.length),
  valueBytes: 64,
  hash: '',
});

/** A clock that moves by so much at each read. */
const clock = (...steps: readonly number[]): (() => number) => {
  let [now, reads] = [1000, 0];
  return () => {
    now += steps[reads++ % steps.length];
    return now;
  };
};

it('a null operation takes time, finds its values sound, and leaves nothing of a store behind', () => {
  const client = memoryPool().join(1);
  const coroutine = client.coroutines[0];
  const { local } = client.fabric;
  const fabric = { local, nowNs: () => Number(process.hrtime.bigint()) };
  for (const kinds of [[SEARCH], [UPDATE, SEARCH], [READ_MODIFY_WRITE, INSERT]]) {
    const ns = nullOperationNs({ coroutine, fabric, keys, stream: stream(kinds) });
    expect(ns).toBeGreaterThan(1);
    expect(ns).toBeLessThan(100_000);
  }
  expect(nullOperationNs({ coroutine, fabric, keys, stream: stream([]) })).toBeNull();
  const cost = measureSelfCost({ coroutine, fabric, keys, stream: stream([SEARCH]) });
  expect(cost).toMatchObject({ clockBackwards: 0, clockStepNs: expect.any(Number) });
  expect(client.fabric.outstanding).toBe(0);
});

it('a clock has its step and cost, and steps back are counted', () => {
  expect(measureClock(clock(40))).toEqual({ clockReadNs: 40, clockStepNs: 40, clockBackwards: 0 });
  expect(measureClock(clock(100, 0))).toMatchObject({ clockStepNs: 100, clockBackwards: 0 });
  expect(measureClock(clock(50, 50, -10)).clockBackwards).toBeGreaterThan(1000);
  expect(measureClock(() => 5)).toEqual({ clockReadNs: 0, clockStepNs: null, clockBackwards: 0 });
});
