import { expect, it } from 'vitest';
import { NODE_LEASE_LEAST_NS, NodeLeases } from './node-leases.js';

const LEASE_NS = 1000e6;

/** Looks every 10 ms from `fromNs` to `toNs`, at a node whose pulse says so. */
function look(
  leases: NodeLeases,
  of: { fromNs: number; toNs: number; beats: (nowNs: number) => number },
): void {
  for (let nowNs = of.fromNs; nowNs <= of.toNs; nowNs += 10e6) {
    leases.looks(nowNs);
    leases.read(0, of.beats(nowNs), nowNs);
  }
}
const beating = (nowNs: number): number => 1 + Math.floor(nowNs / 50e6);

it('a node whose pulse stands still is out a lease after its last beat, and not before', () => {
  const leases = new NodeLeases({ leaseNs: LEASE_NS });
  look(leases, { fromNs: 0, toNs: 5000e6, beats: beating });
  expect(leases.hasEnded(0, 5000e6)).toBe(false);
  look(leases, { fromNs: 5010e6, toNs: 6000e6, beats: () => beating(5000e6) });
  expect([leases.hasEnded(0, 6000e6), leases.hasEnded(0, 6000e6 + 1)]).toEqual([false, true]);
});

it("a master that has not looked for long knows of nobody's silence", () => {
  const leases = new NodeLeases({ leaseNs: LEASE_NS });
  look(leases, { fromNs: 0, toNs: 1000e6, beats: beating });
  // Stopped for ten seconds, in which the node may have beaten, or not.
  leases.looks(11_000e6);
  expect(leases.hasEnded(0, 11_000e6)).toBe(false);
  look(leases, { fromNs: 11_010e6, toNs: 12_010e6, beats: () => beating(1000e6) });
  expect(leases.hasEnded(0, 12_010e6)).toBe(true);
});

it('a node without a pulse holds no lease; one whose place another has taken begins anew', () => {
  const leases = new NodeLeases({ leaseNs: LEASE_NS });
  look(leases, { fromNs: 0, toNs: 3000e6, beats: () => 0 });
  expect(leases.hasEnded(0, 3000e6)).toBe(false);
  look(leases, { fromNs: 3010e6, toNs: 5000e6, beats: () => 7 });
  expect(leases.hasEnded(0, 5000e6)).toBe(true);
  leases.forget(0);
  // Its count may stand where the other's has stood.
  leases.read(0, 7, 5000e6);
  expect(leases.hasEnded(0, 5000e6 + LEASE_NS)).toBe(false);
});

it('leases are not shorter than some beats take on a busy machine', () => {
  expect(new NodeLeases({ leaseNs: 50e6 }).leaseNs).toBe(NODE_LEASE_LEAST_NS);
});
