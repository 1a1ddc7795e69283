/** A real node over shared memory that its master gives up, while its process lives. */
import { afterEach, expect, it, vi } from 'vitest';
import { ask, complete } from '../client/call.js';
import { waitFor } from '../fabric/conformance/harness.js';
import { ShmFabric } from '../fabric/shm.js';
import { Geometry, PULSE_BYTES, PULSE_OFFSET, readPulse } from '../layout/index.js';
import { RPC_FRAME_BYTES, RpcOperation, writeRequest } from '../memory/index.js';
import { Status, VerbBatch, word } from '../verbs/index.js';
import { smallPool } from './in-process.js';
import { NodeService, startShmNode } from './index.js';

const open: { close(): void }[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const one of open.splice(0).reverse()) one.close();
});

const POOL = `test-${process.pid}-pulse`;
const CONFIG = smallPool({ nodes: 1, indexReplicas: 1, dataReplicas: 1 });

function start(onExpelled: () => void = () => {}): { attach: () => ShmFabric } {
  const node = startShmNode({ pool: POOL, mn: 0, config: CONFIG, prefault: false, onExpelled });
  open.push(node);
  const attach = (): ShmFabric => {
    const fabric = new ShmFabric({ regions: [node.name], localBytes: 1 << 16, prefault: false });
    open.push(fabric);
    return fabric;
  };
  return { attach };
}

it('beats while its event loop turns, and tells whose it is', async () => {
  const fabric = start().attach();
  const at = fabric.local.reserve(PULSE_BYTES);
  const batch = new VerbBatch(fabric.local, 1);
  const pulse = async () => {
    batch.reset().read(0, PULSE_OFFSET, at, PULSE_BYTES);
    await complete(fabric, batch);
    return readPulse(fabric.local.bytes, at);
  };
  const { beats, pid } = await pulse();
  expect([beats > 0, pid]).toEqual([true, process.pid]);
  let latest = beats;
  await waitFor('another beat', () => {
    void pulse().then(({ beats: now }) => {
      latest = now;
    });
    return latest > beats;
  });
});

it('that was given up answers neither verbs nor calls from then on, lets nobody in, and hears of it once', async () => {
  let heard = 0;
  const { attach } = start(() => heard++);
  const [master, client] = [attach(), attach()];
  expect((await ask(client, 0, { operation: RpcOperation.STATS, cid: 0 })).status).toBe(1);
  master.fenceNode(0);
  const batch = new VerbBatch(client.local, 2);
  batch.reset().read8(0, 0);
  batch.faa(0, 64, word(0, 1));
  await complete(client, batch);
  expect([batch.status(0), batch.status(1)]).toEqual([Status.FAIL, Status.FAIL]);
  await expect(ask(client, 0, { operation: RpcOperation.STATS, cid: 0 })).rejects.toThrow(/did not answer/);
  expect(attach).toThrow(
    /counts as dead: its memory node, process \d+, was silent for longer than its lease/,
  );
  await waitFor('the node to hear of it', () => heard > 0);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(heard).toBe(1);
});

it('beats in work that takes long, whatever its event loop does', () => {
  vi.useFakeTimers();
  const config = smallPool({ nodes: 2, indexReplicas: 1, dataReplicas: 2 });
  const memory = new Uint8Array(new Geometry(config).nodeBytes);
  let beats = 0;
  const service = new NodeService(config, 0, {
    read: (offset, into, at, bytes) => into.set(memory.subarray(offset, offset + bytes), at),
    write: (offset, from, at, bytes) => memory.set(from.subarray(at, at + bytes), offset),
  });
  service.onBusy = () => beats++;
  // The other node is dead: its regions are this one's, each with a table to be read.
  const request = new Uint8Array(RPC_FRAME_BYTES);
  writeRequest(request, 0, { operation: RpcOperation.VIEW, cid: 0, argument: 2, other: 1 << 1 });
  service.handle(request);
  expect(beats).toBe(config.regionsPerNode);
});

it('whose name another has taken for long is out, though nobody has told it', () => {
  vi.useFakeTimers();
  let heard = 0;
  start(() => heard++);
  const next = startShmNode({ pool: POOL, mn: 0, config: CONFIG, prefault: false, isNext: true });
  open.push(next);
  vi.advanceTimersByTime(20_000);
  expect(heard).toBe(0);
  next.takePlace();
  // A master that brings another in has told it by then.
  vi.advanceTimersByTime(8000);
  expect(heard).toBe(0);
  vi.advanceTimersByTime(20_000);
  expect(heard).toBe(1);
});
