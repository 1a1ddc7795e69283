/** Connections that are cut: another one goes on with them, and nothing executes twice, or not at all. */
import { afterEach, expect, it } from 'vitest';
import { FabricError, Status, UsageError, VerbBatch, word } from '../verbs/index.js';
import { waitFor } from './conformance/harness.js';
import { nodeByHand, Relay } from './conformance/tcp-by-hand.js';
import { ShmNode } from './shm-node.js';
import { fenceOverTcp, openTcpFabric, type TcpFabric } from './tcp.js';

const { OK, FAIL } = Status;
const SECRET = Buffer.from('a secret of the tests of TCP');

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0).reverse()) one.close();
});

let count = 0;

function startNode(): { node: ShmNode; port: number; log: string[] } {
  const pool = `test-${process.pid}-cut-${count++}`;
  const node = new ShmNode({ pool, mn: 0, memoryBytes: 1 << 22, prefault: false });
  open.push(node);
  node.ready();
  const log: string[] = [];
  const port = node.listen({ address: '127.0.0.1:0', secret: SECRET }, (line) => log.push(line));
  return { node, port, log };
}

async function attach(addresses: string[]): Promise<TcpFabric> {
  const fabric = await openTcpFabric({ addresses, secret: SECRET, localBytes: 1 << 23, silenceNs: 2e9 });
  open.push(fabric);
  return fabric;
}

/** A node behind a relay, and a client that reaches it so. */
async function start(): Promise<{ node: ShmNode; relay: Relay; fabric: TcpFabric; log: string[] }> {
  const { node, port, log } = startNode();
  const relay = await Relay.open(port);
  open.push(relay);
  return { node, relay, fabric: await attach([relay.address]), log };
}

async function drain(fabric: TcpFabric): Promise<void> {
  await waitFor('all batches', () => {
    fabric.poll([]);
    return fabric.outstanding === 0;
  });
}

const faa = (fabric: TcpFabric): VerbBatch => {
  const batch = new VerbBatch(fabric.local, 1);
  batch.faa(0, 64, word(0, 1));
  return batch;
};

it('every atomic executes once, in posting order, however often the connection is cut', async () => {
  const { node, relay, fabric } = await start();
  const batches = Array.from({ length: 64 }, () => new VerbBatch(fabric.local, 8));
  let expected = 0;
  for (let round = 0; round < 60; round++) {
    for (const batch of batches) {
      batch.reset();
      for (let i = 0; i < 8; i++) batch.faa(0, 64, word(0, 1));
      fabric.post(batch);
    }
    // Sometimes before anything has gone out, sometimes when some of it has been answered.
    for (let polls = 0; polls < round % 7; polls++) {
      fabric.poll([]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    relay.cut();
    await drain(fabric);
    for (const batch of batches)
      for (let i = 0; i < 8; i++) expect([batch.status(i), batch.foundLo(i)]).toEqual([OK, expected++]);
  }
  // Where all had been answered before the last one was made anew there was nothing to be cut.
  expect(relay.cuts).toBeGreaterThan(20);
  expect(new Uint32Array(node.window(64, 8))[0]).toBe(60 * 64 * 8);
}, 60_000);

it('WRITEs larger than any queue land whole, and READs bring what is there', async () => {
  const { node, relay, fabric } = await start();
  const bytes = 3 << 20;
  const [from, into] = [fabric.local.reserve(bytes), fabric.local.reserve(bytes)];
  const batch = new VerbBatch(fabric.local, 3);
  for (let round = 1; round <= 8; round++) {
    fabric.local.bytes.fill(round, from, from + bytes);
    batch.reset();
    batch.write(0, 4096, from, bytes);
    batch.faa(0, 64, word(0, 1));
    batch.read(0, 4096, into, bytes);
    fabric.post(batch);
    for (let polls = 0; polls < 3 * round; polls++) {
      fabric.poll([]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    relay.cut();
    await drain(fabric);
    expect([0, 1, 2].map((i) => batch.status(i))).toEqual([OK, OK, OK]);
    expect(batch.foundLo(1)).toBe(round - 1);
    expect(fabric.local.bytes.subarray(into, into + bytes).every((byte) => byte === round)).toBe(true);
    expect(new Uint8Array(node.window(4096, bytes)).every((byte) => byte === round)).toBe(true);
  }
}, 60_000);

it('a connection that breaks while nothing is under way is followed when there is something', async () => {
  const { relay, fabric, log } = await start();
  for (let i = 0; i < 3; i++) {
    const batch = faa(fabric);
    fabric.post(batch);
    await drain(fabric);
    expect([batch.status(0), batch.foundLo(0)]).toEqual([OK, i]);
    relay.cut();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(log.filter((line) => line.includes('goes on, whose connection had broken'))).toHaveLength(2);
});

it('verbs to other nodes are answered meanwhile, and behind', async () => {
  const other = startNode();
  const { port } = startNode();
  const relay = await Relay.open(port);
  open.push(relay);
  const fabric = await attach([relay.address, `127.0.0.1:${other.port}`]);
  const batch = new VerbBatch(fabric.local, 2);
  for (let round = 0; round < 20; round++) {
    batch.reset();
    batch.faa(0, 64, word(0, 1));
    batch.faa(1, 64, word(0, 1));
    fabric.post(batch);
    relay.cut();
    await drain(fabric);
    expect([0, 1].map((i) => [batch.status(i), batch.foundLo(i)])).toEqual([
      [OK, round],
      [OK, round],
    ]);
  }
});

it('a node that has come back empty is another one: verbs FAIL', async () => {
  const { relay, fabric } = await start();
  const fresh = startNode();
  relay.to = fresh.port;
  relay.cut();
  const batch = faa(fabric);
  fabric.post(batch);
  await drain(fabric);
  expect(batch.status(0)).toBe(FAIL);
  expect(new Uint32Array(fresh.node.window(64, 8))[0]).toBe(0);
});

it('a client that was fenced does not come back, and one that nobody lets in FAILs at once', async () => {
  const { node, relay, fabric } = await start();
  const key = fabric.clientKey;
  await fenceOverTcp(key, { addresses: [relay.address], secret: SECRET });
  const batch = faa(fabric);
  fabric.post(batch);
  await drain(fabric);
  expect(batch.status(0)).toBe(FAIL);
  expect(new Uint32Array(node.window(64, 8))[0]).toBe(0);

  const second = await attach([relay.address]);
  relay.close();
  const late = faa(second);
  const startNs = second.nowNs();
  second.post(late);
  await drain(second);
  expect(late.status(0)).toBe(FAIL);
  expect(second.nowNs() - startNs).toBeLessThan(700e6);
});

it('a node that the pool goes on without is not waited for: what it owes FAILs, others answer as ever', async () => {
  // It takes nothing in, so that verbs to others wait behind those that find no room.
  const silent = await nodeByHand(SECRET, (socket) => socket.pause());
  open.push(silent.server);
  const other = startNode();
  const fabric = await attach([`127.0.0.1:${silent.port}`, `127.0.0.1:${other.port}`]);
  const from = fabric.local.reserve(4096);
  const batches = Array.from({ length: 64 }, () => new VerbBatch(fabric.local, 65));
  for (const batch of batches) {
    for (let i = 0; i < 64; i++) batch.write(0, 0, from, 4096);
    batch.faa(1, 64, word(0, 1));
    fabric.post(batch);
  }
  const added = (): number => new Uint32Array(other.node.window(64, 8))[0];
  await waitFor('some to be answered', () => {
    fabric.poll([]);
    return added() > 0;
  });
  for (let polls = 0; polls < 200; polls++) fabric.poll([]);
  expect(added()).toBeLessThan(64);
  const startNs = fabric.nowNs();
  fabric.cut(0);
  await drain(fabric);
  // Silence alone would be noticed after 2 s.
  expect(fabric.nowNs() - startNs).toBeLessThan(1e9);
  for (const [i, batch] of batches.entries()) {
    expect([batch.status(0), batch.status(63), batch.status(64)]).toEqual([FAIL, FAIL, OK]);
    expect(batch.foundLo(64)).toBe(i);
  }
  fabric.cut(0);
  const late = faa(fabric);
  fabric.post(late);
  await drain(fabric);
  expect(late.status(0)).toBe(FAIL);
  // Its place is another process's: what was cut before says nothing of that one.
  fabric.cut(0);
  fabric.reattach(0, `127.0.0.1:${startNode().port}`);
  const next = faa(fabric);
  fabric.post(next);
  await drain(fabric);
  expect([next.status(0), next.foundLo(0)]).toEqual([OK, 0]);
}, 30_000);

it('a client attaches to another process in place of a node, and the one before hears no more of it', async () => {
  const { node, port } = startNode();
  const next = startNode();
  const fabric = await attach([`127.0.0.1:${port}`]);
  fabric.post(faa(fabric));
  expect(() => fabric.reattach(0, `127.0.0.1:${next.port}`)).toThrow(UsageError);
  await drain(fabric);
  fabric.reattach(0, `127.0.0.1:${next.port}`);
  for (let i = 0; i < 3; i++) {
    fabric.post(faa(fabric));
    await drain(fabric);
  }
  expect([new Uint8Array(node.memory)[64], new Uint8Array(next.node.memory)[64]]).toEqual([1, 3]);
  // Where nobody listens: verbs FAIL, until the next attempt.
  const closed = await Relay.open(port);
  const { address } = closed;
  closed.close();
  expect(() => fabric.reattach(0, address)).toThrow(FabricError);
  const failed = faa(fabric);
  fabric.post(failed);
  await drain(fabric);
  expect(failed.status(0)).toBe(FAIL);
  fabric.reattach(0, `127.0.0.1:${port}`);
  fabric.post(faa(fabric));
  await drain(fabric);
  expect(new Uint8Array(node.memory)[64]).toBe(2);
});
