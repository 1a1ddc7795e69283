/**
 * The conformance suite of fabrics: every rule of `contract.ts` as tests, the same for every kind.
 *
 * A kind joins by a harness that starts MNs and attaches clients, and a test file of one line. What it cannot
 * run it skips by name, with the reason.
 */
import { describe } from 'vitest';
import { type FabricHarness, Suite } from './conformance/harness.js';
import { describeConcurrency } from './conformance/many-clients.js';
import { describeQueue, describeRefusals, describeVerbs } from './conformance/one-client.js';
import { describeDeath, describeRpc } from './conformance/rpc.js';

export type { AttachOptions, ClientProcess, FabricHarness, FabricPool } from './conformance/harness.js';

/** Registers the whole suite under `name`. */
export function describeFabric(name: string, harness: FabricHarness): void {
  describe(name, () => {
    const suite = new Suite(harness);
    describeVerbs(suite);
    describeRefusals(suite);
    describeQueue(suite);
    describeConcurrency(suite);
    describeRpc(suite);
    describeDeath(suite);
    suite.finish();
  });
}
