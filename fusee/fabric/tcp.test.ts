import { afterAll } from 'vitest';
import { tcpHarness } from './conformance/tcp-harness.js';
import { describeFabric } from './conformance.js';
import { sweepRegions } from './shm-process.js';

const harness = tcpHarness();
afterAll(async () => {
  await harness.end();
  sweepRegions(`test-${process.pid}`);
});

describeFabric('TCP fabric', harness);
