/** A client's own view of its lease, over a real node. */
import { afterEach, expect, it } from 'vitest';
import { waitFor } from '../fabric/conformance/harness.js';
import { ShmNode } from '../fabric/shm-node.js';
import { TcpFabric } from '../fabric/tcp.js';
import { Status, VerbBatch, word } from '../verbs/index.js';
import { Lease } from './lease.js';

const SECRET = Buffer.from('a secret of the tests of TCP');
const LEASE_MS = 200;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0).reverse()) one.close();
});

function start(): { fabric: TcpFabric; lease: Lease } {
  const node = new ShmNode({ pool: `test-${process.pid}-lease`, mn: 0, memoryBytes: 4096 });
  open.push(node);
  node.ready();
  const port = node.listen({ address: '127.0.0.1:0', secret: SECRET }, () => {});
  const fabric = new TcpFabric({ addresses: [`127.0.0.1:${port}`], secret: SECRET, localBytes: 1 << 16 });
  open.push(fabric);
  return { fabric, lease: new Lease(fabric) };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it('when it has ended no answer is taken; when it is renewed, all that have come meanwhile are', async () => {
  const { fabric, lease } = start();
  lease.asks(1);
  lease.granted(1, LEASE_MS);
  const batches = Array.from({ length: 3 }, () => new VerbBatch(fabric.local, 1));
  batches[0].faa(0, 64, word(0, 1));
  fabric.post(batches[0]);
  await waitFor('an answer within the lease', () => fabric.poll([]) === 1);
  await pause(LEASE_MS);
  for (const batch of batches) {
    batch.reset();
    batch.faa(0, 64, word(0, 1));
    fabric.post(batch);
  }
  for (let i = 0; i < 50; i++) {
    expect(fabric.poll([])).toBe(0);
    await pause(1);
  }
  // An answer to what was never asked, or asked long ago, renews nothing.
  lease.granted(7, LEASE_MS);
  lease.granted(1, LEASE_MS);
  expect(fabric.poll([])).toBe(0);
  lease.asks(2);
  const startNs = fabric.nowNs();
  lease.granted(2, 60_000);
  const done: VerbBatch[] = [];
  expect(fabric.poll(done)).toBe(3);
  expect(done.map((batch) => [batch.status(0), batch.foundLo(0)])).toEqual(
    [1, 2, 3].map((n) => [Status.OK, n]),
  );
  // They have waited so long.
  for (const batch of done) expect(batch.completedNs).toBeGreaterThanOrEqual(startNs);
});

it('counts from when it was asked for, and is lost after ten times its length', () => {
  let nowNs = 1e9;
  const until: number[] = [];
  const lease = new Lease({ nowNs: () => nowNs, leaseUntil: (atNs) => until.push(atNs) });
  expect(lease.isLost(LEASE_MS)).toBe(false);
  lease.asks(1);
  nowNs += 50e6;
  lease.granted(1, LEASE_MS);
  expect(until).toEqual([1e9 + LEASE_MS * 1e6 * (63 / 64)]);
  nowNs = until[0] + 10 * LEASE_MS * 1e6;
  expect(lease.isLost(LEASE_MS)).toBe(false);
  nowNs++;
  expect(lease.isLost(LEASE_MS)).toBe(true);
});
