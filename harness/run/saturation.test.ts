import { describe, expect, it } from 'vitest';
import { RandomStream } from '../../workloads/index.js';
import { findSaturation, type SearchOptions } from './saturation.js';

const options: SearchOptions = {
  fromOps: 1000,
  leastOps: 10,
  mostOps: 1e6,
  tolerance: 0.1,
  repetitionsMax: 9,
};
/** A system that keeps the bound up to its edge, and always breaks it beyond. */
const sharp = (edge: number) => async (offered: number) => offered <= edge;

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
      offered > 4000 && offered < 9000 ? turn++ % 2 === 0 : offered <= 4000;
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
      const noisy = async (offered: number) => offered <= 5000 !== random.nextDouble() < 0.2;
      for (const { offeredOps, verdict } of (await findSaturation(noisy, options)).judged) {
        if (verdict === 'undecided') continue;
        decided++;
        if ((verdict === 'under') !== offeredOps <= 5000) wrong++;
      }
    }
    expect(decided).toBeGreaterThan(1500);
    expect(wrong / decided).toBeLessThan(0.03);
  });
});
