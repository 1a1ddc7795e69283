import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { native } from '../../native/index.js';
import {
  DESCRIPTOR_BYTES,
  FabricError,
  Field,
  Header,
  RPC_BYTES,
  UsageError,
  VerbBatch,
  word,
} from '../verbs/index.js';
import { shmHarness } from './conformance/shm-harness.js';
import { describeFabric } from './conformance.js';
import { ShmFabric } from './shm.js';
import { ShmNode } from './shm-node.js';
import { sweepRegions } from './shm-process.js';

const harness = shmHarness();
afterAll(async () => {
  await harness.end();
  sweepRegions(`test-${process.pid}`);
});

describeFabric('shared-memory fabric', harness);

describe('shared-memory fabric, beyond the contract', () => {
  it('lays out descriptors as TypeScript does', () => {
    const { layout } = native();
    expect(layout.field).toEqual(Field);
    expect(layout.header).toEqual(Header);
    expect(layout.descriptorBytes).toBe(DESCRIPTOR_BYTES);
    expect(layout.rpcBytes).toBe(RPC_BYTES);
  });

  it('holds every answer back until its round trip is over, while verbs execute at once', () => {
    const [node, fabric, eager] = attachPair('rtt', 5e6);
    const batch = new VerbBatch(fabric.local, 1);
    batch.faa(0, 0, word(0, 1));
    fabric.post(batch);
    expect(fabric.poll([])).toBe(0);
    const look = new VerbBatch(eager.local, 1);
    look.read8(0, 0);
    eager.post(look);
    expect(eager.poll([])).toBe(1);
    expect(look.foundLo(0)).toBe(1);
    while (fabric.poll([]) === 0);
    expect(batch.completedNs - batch.postedNs).toBeGreaterThanOrEqual(5e6);
    expect(batch.completedNs).toBeLessThanOrEqual(fabric.nowNs());
    // Who comes late for an answer has waited so long: a stall of the client is part of its latency.
    fabric.post(batch.reset());
    fabric.poll([]);
    const untilNs = fabric.nowNs() + 20e6;
    while (fabric.nowNs() < untilNs);
    expect(fabric.poll([])).toBe(1);
    expect(batch.completedNs).toBeGreaterThanOrEqual(untilNs);
    for (const end of [fabric, eager, node]) end.close();
  });

  it('costs nothing to use after close: posts are refused, polls find nothing', () => {
    const [node, fabric, other] = attachPair('closed', 0);
    const batch = new VerbBatch(fabric.local, 1);
    fabric.close();
    expect(() => fabric.post(batch)).toThrow(/closed/);
    expect(fabric.poll([])).toBe(0);
    expect(fabric.local.crc32c(0, 64, 0)).toBeGreaterThan(0);
    for (const end of [other, node]) end.close();
  });

  it('shows a node its memory in windows', () => {
    const node = new ShmNode({ pool: `test-${process.pid}-window`, mn: 0, memoryBytes: 8192 });
    new Uint8Array(node.memory)[4100] = 7;
    expect(new Uint8Array(node.window(4096, 8))[4]).toBe(7);
    expect(() => node.window(8000, 200)).toThrow(UsageError);
    node.close();
  });
});

describe('memory that is looked at ahead of use', () => {
  /** KiB of the region's two mappings here, the node's and the client's, that have a page behind them. */
  const mappedKib = (name: string): number =>
    readFileSync('/proc/self/smaps', 'utf8')
      .split(/\n(?=[0-9a-f]+-)/)
      .filter((mapping) => mapping.split('\n')[0].endsWith(`/${name}`))
      .reduce((sum, mapping) => sum + Number(/^Rss:\s+(\d+)/m.exec(mapping)?.[1]), 0);

  it('is all there a little later, that of a process that has taken a place too', async () => {
    const names = ['ahead', 'ahead-next'].map((name) => `test-${process.pid}-${name}`);
    const options = { mn: 0, memoryBytes: 1 << 23, prefault: false };
    const [node, next] = names.map((pool) => new ShmNode({ ...options, pool }));
    for (const one of [node, next]) one.ready();
    const fabric = new ShmFabric({ regions: [node.name], localBytes: 1 << 16, prefault: false });
    expect(mappedKib(node.name)).toBeLessThan(1 << 12);
    fabric.touchAhead();
    await vi.waitUntil(() => mappedKib(node.name) >= 1 << 13, 20_000);
    fabric.reattach(0, next.name);
    await vi.waitUntil(() => mappedKib(next.name) >= 1 << 13, 20_000);
    for (const end of [fabric, node, next]) end.close();
  });
});

describe('a recording', () => {
  it('is replayed: the same verbs, the same bytes, the same doorbells', () => {
    const [node, fabric, other] = attachPair('replay', 0);
    const bytes = new Uint8Array(node.memory);
    const buffer = fabric.local.reserve(4096);
    fabric.local.bytes.fill(7, buffer, buffer + 100);
    const [a, b] = [new VerbBatch(fabric.local, 4), new VerbBatch(fabric.local, 4)];
    fabric.record(100);
    a.write(0, 1001, buffer, 100);
    b.faa(0, 8, word(0, 1));
    b.cas(0, 16, word(), word(0, 5));
    fabric.post(a);
    fabric.post(b);
    while (fabric.outstanding > 0) fabric.poll([]);
    b.reset().read(0, 1000, buffer + 2048, 102);
    fabric.post(b);
    while (fabric.outstanding > 0) fabric.poll([]);
    const recording = fabric.stopRecording();
    expect([...recording.doorbellEnds]).toEqual([2, 3]);
    expect(recording.verbs).toBe(4);
    bytes.fill(0);
    fabric.local.bytes.fill(0, buffer + 2048, buffer + 2048 + 102);
    expect(fabric.replay(recording, 3)).toBeGreaterThan(0);
    expect([...bytes.subarray(1000, 1102)]).toEqual([0, ...new Array(100).fill(7), 0]);
    expect([...fabric.local.bytes.subarray(buffer + 2048, buffer + 2048 + 102)]).toEqual([
      ...bytes.subarray(1000, 1102),
    ]);
    const words = new Uint32Array(node.memory);
    expect([words[2], words[4]]).toEqual([3, 5]);
    expect(() => fabric.replay({ ...recording, doorbellEnds: new Uint32Array([4]) })).toThrow(
      /hold together/,
    );
    for (const end of [fabric, other, node]) end.close();
  });
});

describe('a client that attaches to another process in place of a node', () => {
  it('reads and writes there from then on, and nothing where it was', () => {
    const [node, fabric, other] = attachPair('reattach', 0);
    const next = new ShmNode({ pool: `test-${process.pid}-reattach-next`, mn: 0, memoryBytes: 16_384 });
    next.ready();
    new Uint8Array(node.memory)[64] = 1;
    new Uint8Array(next.memory)[64] = 2;
    const batch = new VerbBatch(fabric.local, 2);
    const look = (): number => {
      batch.reset().read8(0, 64);
      fabric.post(batch);
      while (fabric.poll([]) === 0);
      return batch.foundLo(0);
    };
    expect(look()).toBe(1);
    batch.reset().faa(0, 64, word(0, 8));
    fabric.post(batch);
    expect(() => fabric.reattach(0, next.name)).toThrow(UsageError);
    while (fabric.poll([]) === 0);
    fabric.reattach(0, next.name);
    expect([look(), fabric.memoryBytes[0]]).toEqual([2, 16_384]);
    batch.reset().faa(0, 64, word(0, 8));
    batch.faa(0, 16_376, word(0, 5));
    fabric.post(batch);
    while (fabric.poll([]) === 0);
    expect([new Uint8Array(node.memory)[64], new Uint8Array(next.memory)[64]]).toEqual([9, 10]);
    expect(new Uint8Array(next.memory)[16_376]).toBe(5);
    // A place that nobody has costs nothing but the attempt: the next one is as good.
    expect(() => fabric.reattach(0, `fusee-test-${process.pid}-nobody-0`)).toThrow(FabricError);
    fabric.reattach(0, node.name);
    expect(look()).toBe(9);
    for (const end of [fabric, other, node, next]) end.close();
  });
});

function attachPair(pool: string, rttNs: number): [ShmNode, ShmFabric, ShmFabric] {
  const node = new ShmNode({ pool: `test-${process.pid}-${pool}`, mn: 0, memoryBytes: 8192 });
  node.ready();
  const regions = [node.name];
  return [node, new ShmFabric({ regions, rttNs }), new ShmFabric({ regions })];
}
