import { expect, it } from 'vitest';
import { HiccupWatch } from './hiccups.js';
import { readScheduling, schedulingSince } from './scheduling.js';

it('an idle thread tells how late it woke, and is gone when it has told', async () => {
  const watch = new HiccupWatch();
  await watch.begun;
  await new Promise((resolve) => setTimeout(resolve, 300));
  const hiccups = await watch.end();
  expect(hiccups?.count).toBeGreaterThan(10);
  expect(hiccups?.p50Ns).toBeGreaterThan(0);
  expect(hiccups?.p50Ns).toBeLessThanOrEqual(hiccups?.p99Ns ?? 0);
  expect(hiccups?.p99Ns).toBeLessThanOrEqual(hiccups?.maxNs ?? 0);
});

it('a watch that is ended at once has measured nothing, or little', async () => {
  const hiccups = await new HiccupWatch().end();
  expect(hiccups === null || hiccups.count < 100).toBe(true);
});

it('scheduling is counted since a reading, and waiting that is not told stays unknown', async () => {
  const before = readScheduling();
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  const since = schedulingSince(before);
  expect(since.voluntarySwitches).toBeGreaterThan(0);
  expect(since.involuntarySwitches).toBeGreaterThanOrEqual(0);
  expect(since.coreWaitNs).toBeGreaterThanOrEqual(0);
  expect(schedulingSince({ ...before, coreWaitNs: null }).coreWaitNs).toBeNull();
});
