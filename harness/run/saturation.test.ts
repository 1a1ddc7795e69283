import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../workloads/index.js';
import { judgeRow } from './saturate.js';
import { findSaturation, type Repetition, type SearchOptions } from './saturation.js';

const options: SearchOptions = {
  fromOps: 1000,
  leastOps: 10,
  mostOps: 1e6,
  tolerance: 0.1,
  repetitionsMax: 9,
};
const said = (isKept: boolean): Repetition => (isKept ? 'kept' : 'broken');
/** A system that keeps the bound up to its edge, and always breaks it beyond. */
const sharp = (edge: number) => async (offered: number) => said(offered <= edge);

describe('the search for saturation', () => {
  it.each([10.5, 77, 1000, 1001, 12_345, 987_000])('finds an edge at %d, and is sure of it', async (edge) => {
    const { underOps, overOps, isSure, judged } = await findSaturation(sharp(edge), options);
    expect(isSure).toBe(true);
    expect(underOps ?? 0).toBeLessThanOrEqual(edge);
    expect(overOps ?? 0).toBeGreaterThan(edge);
    expect((overOps ?? 0) / (underOps ?? 1)).toBeLessThanOrEqual(1.1);
    // Three repetitions agree: no more are run.
    expect(judged.every(({ kept, broken }) => kept + broken === 3)).toBe(true);
  });

  it('of a system that keeps the bound up to the limit has no upper end, and is not sure', async () => {
    const found = await findSaturation(sharp(1e9), options);
    expect(found).toMatchObject({ underOps: 1e6, overOps: null, isSure: false });
  });

  it('of a system that never keeps it has no lower end', async () => {
    expect(await findSaturation(sharp(0), options)).toMatchObject({
      underOps: null,
      overOps: 10,
      isSure: false,
    });
  });

  it('says that it is not sure where repetitions disagree', async () => {
    let turn = 0;
    const mixed = async (offered: number) =>
      said(offered > 4000 && offered < 9000 ? turn++ % 2 === 0 : offered <= 4000);
    const found = await findSaturation(mixed, options);
    expect([found.underOps, found.isSure]).toEqual([4000, false]);
    expect(found.overOps ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(8000);
    const undecided = found.judged.filter(({ verdict }) => verdict === 'undecided');
    expect(undecided.length).toBeGreaterThan(0);
    // As many as are allowed, but for the last, which could decide nothing.
    for (const { kept, broken } of undecided) expect(kept + broken).toBeGreaterThanOrEqual(7);
  });

  it('is wrong about a load in less than 2 % of searches when a fifth of repetitions goes astray', async () => {
    const random = new RandomStream({ seed: 5, host: 0, process: 0, coroutine: 0 });
    let wrong = 0;
    let decided = 0;
    for (let search = 0; search < 400; search++) {
      const noisy = async (offered: number) => said(offered <= 5000 !== random.nextDouble() < 0.2);
      for (const { offeredOps, verdict } of (await findSaturation(noisy, options)).judged) {
        if (verdict === 'undecided') continue;
        decided++;
        if ((verdict === 'under') !== offeredOps <= 5000) wrong++;
      }
    }
    expect(decided).toBeGreaterThan(1500);
    expect(wrong / decided).toBeLessThan(0.03);
  });

  it('asks again where a repetition could not be relied on, and decides nothing without enough that can', async () => {
    let turn = 0;
    const every = (nth: number) => async (offered: number) =>
      turn++ % nth === 0 ? said(offered <= 5000) : 'unreliable';
    const found = await findSaturation(every(3), options);
    expect(found.isSure).toBe(true);
    expect(found.judged.every(({ kept, broken, unreliable }) => kept + broken === 3 && unreliable > 3)).toBe(
      true,
    );
    const none = await findSaturation(every(5), options);
    expect(none).toMatchObject({ underOps: null, overOps: null, isSure: false });
  });
});

describe('a repetition', () => {
  const latency = (p99: number) => ({ p50: 1, p90: 1, p99, p999: p99, max: p99 });
  const row = (
    p99: number,
    verdict: 'ok' | 'noisy' | 'unusable',
    sustained: 'sustained' | 'not sustained',
  ) => ({
    openLoop: { verdict: sustained, responseNs: latency(p99) } as Parameters<typeof judgeRow>[0]['openLoop'],
    trust: { verdict, reasons: [] },
  });
  const lax = { boundNs: 1000, requireTrust: false };

  it('keeps the bound when its load was sustained and its p99 is within', () => {
    expect(judgeRow(row(1000, 'ok', 'sustained'), lax)).toBe('kept');
    expect(judgeRow(row(1001, 'ok', 'sustained'), lax)).toBe('broken');
    expect(judgeRow(row(1, 'ok', 'not sustained'), lax)).toBe('broken');
  });

  it('that is unusable says nothing; that is noisy neither, when trust is required', () => {
    expect(judgeRow(row(1, 'unusable', 'sustained'), lax)).toBe('unreliable');
    expect(judgeRow(row(1, 'noisy', 'sustained'), lax)).toBe('kept');
    expect(judgeRow(row(1, 'noisy', 'sustained'), { ...lax, requireTrust: true })).toBe('unreliable');
    expect(judgeRow(row(1, 'ok', 'sustained'), { ...lax, requireTrust: true })).toBe('kept');
  });
});
