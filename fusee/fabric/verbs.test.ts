/** Over real verbs: `npm run test:rdma` runs this in a guest with two soft-RoCE devices on one wire. */
import { afterAll, describe, expect, it } from 'vitest';
import { verbsAddon } from '../../native/verbs.js';
import { verbsHarness } from './conformance/verbs-harness.js';
import { describeFabric } from './conformance.js';
import { sweepRegions } from './shm-process.js';
import { requireVerbs } from './verbs.js';

const devices = verbsAddon()?.describeDevices() ?? 'none';
const isGuest = devices.includes('rxe0') && devices.includes('rxe1');

afterAll(() => {
  sweepRegions(`test-${process.pid}`);
});

if (isGuest) {
  const wire = verbsHarness({ host: '10.1.0.1', device: 'rxe1' });
  afterAll(() => wire.end());
  describeFabric('verbs fabric, queue pairs by exchange, over the wire', wire);
} else {
  it.skip('conformance over verbs [skipped: needs rxe0 and rxe1: npm run test:rdma]', () => {});
}

describe('verbs fabric', () => {
  it('is there, or says what to install and how to build it', () => {
    if (verbsAddon() !== null) expect(requireVerbs().describeDevices()).toBe(devices);
    else expect(() => requireVerbs()).toThrow(/libibverbs-dev.*npm run build/);
  });
});
