import { describe, expect, it } from 'vitest';
import { rehearseRecovery } from './rehearsal.js';

describe('a rehearsal', () => {
  it('recovers a client whose log has entries to look at, again and again', async () => {
    const { rounds, entries } = await rehearseRecovery(() => false);
    expect(rounds).toBeGreaterThan(10);
    expect(entries).toBeGreaterThan(2);
  });

  it('ends between two recoveries when its master does', async () => {
    let looks = 0;
    expect((await rehearseRecovery(() => ++looks > 2)).rounds).toBe(2);
  });
});
