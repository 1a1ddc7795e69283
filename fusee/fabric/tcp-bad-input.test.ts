/** What comes from outside, or does not come: a node and its other clients go on, and everybody is told. */
import { afterEach, describe, expect, it } from 'vitest';
import { FabricError, Status, UsageError, VerbBatch, word } from '../verbs/index.js';
import { waitFor } from './conformance/harness.js';
import { Request, serveConformance } from './conformance/service.js';
import { enter, nodeByHand, request, Wire } from './conformance/tcp-by-hand.js';
import { ShmNode } from './shm-node.js';
import { fenceOverTcp, openTcpFabric, TcpFabric } from './tcp.js';

const { OK, FAIL } = Status;
const SECRET = Buffer.from('a secret of the tests of TCP');
const MEMORY_BYTES = 1 << 20;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0).reverse()) one.close();
});

let count = 0;

/** A node in this process: its thread serves while the tests block. */
function startNode(): { node: ShmNode; port: number; address: string; log: string[] } {
  const node = new ShmNode({
    pool: `test-${process.pid}-bad-${count++}`,
    mn: 0,
    memoryBytes: MEMORY_BYTES,
    prefault: false,
  });
  open.push(node);
  const bytes = new Uint8Array(node.memory);
  node.serve(serveConformance((offset, lengthBytes) => bytes.subarray(offset, offset + lengthBytes)));
  node.ready();
  const log: string[] = [];
  const port = node.listen({ address: '127.0.0.1:0', secret: SECRET }, (line) => log.push(line));
  return { node, port, address: `127.0.0.1:${port}`, log };
}

function attach(address: string): TcpFabric {
  const fabric = new TcpFabric({ addresses: [address], secret: SECRET, localBytes: 1 << 20 });
  open.push(fabric);
  return fabric;
}

/** To a node by hand, which needs this thread to let anybody in. */
async function openTo(port: number, options: { silenceNs?: number } = {}): Promise<TcpFabric> {
  const addresses = [`127.0.0.1:${port}`];
  const fabric = await openTcpFabric({ addresses, secret: SECRET, localBytes: 1 << 20, ...options });
  open.push(fabric);
  return fabric;
}

async function roundTrip(fabric: TcpFabric, batch: VerbBatch): Promise<number[]> {
  fabric.post(batch);
  await waitFor('the batch', () => fabric.poll([]) === 1);
  return Array.from({ length: batch.count }, (_, i) => batch.status(i));
}

const faa = (fabric: TcpFabric): VerbBatch => {
  const batch = new VerbBatch(fabric.local, 1);
  batch.faa(0, 64, word(0, 1));
  return batch;
};

describe('who is let in', () => {
  it('proves that it knows the secret, and so does the node', async () => {
    const { port } = startNode();
    expect(await enter(port, { secret: SECRET })).toMatchObject({ refusal: 0, memoryBytes: 1n << 20n });
  });

  it('has the right secret: else both sides say so, and the node goes on', async () => {
    const { address, log, port } = startNode();
    const fabric = attach(address);
    const wrong = { addresses: [address], secret: Buffer.from('some other secret') };
    expect(() => new TcpFabric(wrong)).toThrow(UsageError);
    await expect(openTcpFabric(wrong)).rejects.toThrow(
      /has another secret: give both the pool's secret file/,
    );
    expect((await enter(port, { secret: Buffer.from('a third one') })).refusal).toBe(1);
    await waitFor('the log', () => log.length === 3);
    expect(log[0]).toMatch(/^closed the connection of 127\.0\.0\.1:\d+: its proof is wrong$/);
    expect(log.join()).not.toContain('secret');
    expect(await roundTrip(fabric, faa(fabric))).toEqual([OK]);
  });

  it('does not take a node for one that has not proved itself', async () => {
    const { port, server } = await nodeByHand(Buffer.from('not the secret'), () => {});
    const options = { addresses: [`127.0.0.1:${port}`], secret: SECRET };
    await expect(openTcpFabric(options)).rejects.toThrow(/has another secret/);
    server.close();
  });

  it('proves it in time, and speaks the protocol', async () => {
    const { port, log } = startNode();
    const { Socket } = await import('node:net');
    const [silent, babbling] = [new Socket(), new Socket()];
    for (const socket of [silent, babbling]) socket.on('error', () => {}).connect(port, '127.0.0.1');
    babbling.write(
      'GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html and so on, and so on, and so forth\r\n\r\n',
    );
    await waitFor('both ends', () => log.length === 2, 20_000);
    expect(log[0]).toMatch(/it does not speak this protocol$/);
    expect(log[1]).toMatch(/it has not proved itself in time$/);
  });

  it('has not been fenced before', async () => {
    const { port, address, log } = startNode();
    const key = 77n;
    const { collector } = await enter(port, { secret: SECRET, key });
    await fenceOverTcp(key, { addresses: [address], secret: SECRET });
    await waitFor('the end', () => collector.isOver);
    expect((await enter(port, { secret: SECRET, key })).refusal).toBe(2);
    await waitFor('the log', () => log.length === 2);
    expect(log[0]).toMatch(/its client has been fenced$/);
  });
});

describe('addresses', () => {
  it('where nobody listens: says so, and names it', async () => {
    const { node, address } = startNode();
    node.close();
    const options = { addresses: [address], secret: SECRET };
    await expect(openTcpFabric(options)).rejects.toThrow(
      new RegExp(`memory node ${address} cannot be reached: Connection refused`),
    );
    await expect(openTcpFabric(options)).rejects.toThrow(FabricError);
  });

  it('that are none, or unknown: says what one is', async () => {
    for (const address of ['here', 'localhost', ':7000', '::1:7000', '127.0.0.1:66000', '127.0.0.1:x']) {
      await expect(openTcpFabric({ addresses: [address], secret: SECRET })).rejects.toThrow(
        /is no address: give host:port/,
      );
    }
    await expect(openTcpFabric({ addresses: ['no.such.host.invalid:7000'], secret: SECRET })).rejects.toThrow(
      /cannot be resolved/,
    );
  });

  it('whose port is in use: the second node says so, and the first goes on', async () => {
    const { address } = startNode();
    const other = new ShmNode({ pool: `test-${process.pid}-second`, mn: 1, memoryBytes: 4096 });
    open.push(other);
    expect(() => other.listen({ address, secret: SECRET }, () => {})).toThrow(
      /Address already in use|another node has this port/,
    );
    const fabric = attach(address);
    expect(await roundTrip(fabric, faa(fabric))).toEqual([OK]);
  });

  it('that take a connection and say nothing: gives up in time', async () => {
    const { port, server } = await nodeByHand(SECRET, () => {}, { greets: false });
    const options = { addresses: [`127.0.0.1:${port}`], secret: SECRET, connectTimeoutNs: 2e8 };
    await expect(openTcpFabric(options)).rejects.toThrow(/does not answer: Connection timed out/);
    server.close();
  });
});

describe('a bad frame ends its connection with a reason, and harms nobody else', () => {
  const size = BigInt(MEMORY_BYTES);
  const frames: [string, Buffer, RegExp][] = [
    ['of 4 GiB', request(Wire.WRITE, 0xffff_ffff, 0n), /WRITE of 4294967295 bytes at 0, of 1048576 bytes/],
    ['READ of 4 GiB', request(Wire.READ, 0xffff_ffff, 8n), /READ of 4294967295 bytes at 8, of 1048576/],
    ['beyond the region', request(Wire.READ, 8, size), /READ of 8 bytes at 1048576, of 1048576 bytes/],
    ['across its end', request(Wire.WRITE, 16, size - 8n), /WRITE of 16 bytes at 1048568/],
    ['at the end of the address space', request(Wire.READ, 64, 2n ** 64n - 8n), /at 18446744073709551608/],
    ['with an atomic beyond it', request(Wire.CAS, 8, size), /CAS of 8 bytes at 1048576/],
    ['with an unaligned atomic', request(Wire.FAA, 8, 12n), /FAA of 8 bytes at 12/],
    ['with an atomic of 4 bytes', request(Wire.CAS, 4, 0n), /CAS of 4 bytes at 0/],
    ['with a call of 113 bytes', request(Wire.RPC, 113, 1n), /RPC of 113 bytes/],
    ['with no verb', request(200, 0, 0n), /unknown verb of 0 bytes/],
    ['with a fence of nobody', request(Wire.FENCE, 0, 0n), /FENCE of 0 bytes at 0/],
  ];
  it.each(frames)('%s', async (_, frame, reason) => {
    const { port, address, log, node } = startNode();
    const other = attach(address);
    const { collector } = await enter(port, { secret: SECRET });
    // What came ahead of it has executed and is answered; what comes behind it never is.
    collector.socket.write(
      Buffer.concat([request(Wire.FAA, 8, 128n, 5n), frame, request(Wire.FAA, 8, 128n, 1n)]),
    );
    expect((await collector.take(16)).readUInt8(1)).toBe(OK);
    await waitFor('the end', () => collector.isOver && log.length > 0);
    expect(log[0]).toMatch(reason);
    expect(new Uint32Array(node.window(128, 8))[0]).toBe(5);
    expect(await roundTrip(other, faa(other))).toEqual([OK]);
  });
});

describe('connections', () => {
  it('that bring requests byte by byte are served like others', async () => {
    const { port, node } = startNode();
    const { collector } = await enter(port, { secret: SECRET });
    collector.socket.setNoDelay(true);
    const bytes = Buffer.concat([
      request(Wire.WRITE, 20, 100n),
      Buffer.alloc(20, 9),
      request(Wire.READ, 20, 100n),
    ]);
    for (const byte of bytes) {
      collector.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const answer = await collector.take(16 + 16 + 20);
    expect([...answer.subarray(32)]).toEqual(new Array(20).fill(9));
    expect([...new Uint8Array(node.window(99, 22))]).toEqual([0, ...new Array(20).fill(9), 0]);
  });

  it('whose client reads nothing wait for it, in bounded memory, while others are served', async () => {
    const { port, address } = startNode();
    const { collector } = await enter(port, { secret: SECRET });
    collector.socket.pause();
    const reads = 2000;
    const readBytes = 64 << 10;
    const before = process.memoryUsage.rss();
    for (let i = 0; i < reads; i++) collector.socket.write(request(Wire.READ, readBytes, 0n));
    const other = attach(address);
    for (let i = 0; i < 100; i++) expect(await roundTrip(other, faa(other))).toEqual([OK]);
    // 125 MiB of answers are owed.
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 << 20);
    let seen = 0;
    collector.socket.removeAllListeners('data');
    collector.socket.on('data', (chunk: Buffer) => {
      seen += chunk.length;
    });
    collector.socket.resume();
    await waitFor('all answers', () => seen === reads * (16 + readBytes), 60_000);
  });

  it('that are half open FAIL when the node has been silent for too long', async () => {
    const { port, server } = await nodeByHand(SECRET, () => {});
    const fabric = await openTo(port, { silenceNs: 3e8 });
    const startNs = fabric.nowNs();
    expect(await roundTrip(fabric, faa(fabric))).toEqual([FAIL]);
    expect(fabric.nowNs() - startNs).toBeGreaterThan(3e8);
    // It stays broken, and says so at once.
    const againNs = fabric.nowNs();
    expect(await roundTrip(fabric, faa(fabric))).toEqual([FAIL]);
    expect(fabric.nowNs() - againNs).toBeLessThan(2e8);
    server.close();
  });

  it('on which a node answers nonsense FAIL, and nothing of it lands', async () => {
    const answers: [string, Buffer][] = [
      ['more bytes than were asked for', Buffer.from([0, 1, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
      ['a kind of its own', Buffer.from([9, 1, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ];
    for (const [, answer] of answers) {
      const { port, server } = await nodeByHand(SECRET, (socket) =>
        socket.write(Buffer.concat([answer, Buffer.alloc(300, 7)])),
      );
      const fabric = await openTo(port);
      const batch = new VerbBatch(fabric.local, 1);
      const into = fabric.local.reserve(4096);
      batch.read(0, 0, into, 8);
      expect(await roundTrip(fabric, batch)).toEqual([FAIL]);
      expect(fabric.local.bytes.subarray(into, into + 4096).every((byte) => byte === 0)).toBe(true);
      server.close();
    }
  });

  it('of a node that goes in the middle of batches give every verb one status', async () => {
    // One that has served everything before it goes is no such case: another is tried.
    let isMet = false;
    for (let attempt = 0; attempt < 20 && !isMet; attempt++) isMet = await goInTheMiddle();
    expect(isMet).toBe(true);
  });

  async function goInTheMiddle(): Promise<boolean> {
    const [first, second] = [startNode(), startNode()];
    const fabric = new TcpFabric({ addresses: [first.address, second.address], secret: SECRET });
    open.push(fabric);
    const data = fabric.local.reserve(8192);
    const batches = Array.from({ length: 40 }, () => new VerbBatch(fabric.local, 40));
    for (const batch of batches) {
      for (let i = 0; i < 20; i++) batch.write(0, 8192 * i, data, 8192);
      for (let i = 0; i < 20; i++) batch.faa(1, 8, word(0, 1));
      fabric.post(batch);
    }
    fabric.poll([]);
    first.node.close();
    await waitFor('all batches', () => {
      fabric.poll([]);
      return fabric.outstanding === 0;
    });
    const statuses = batches.map((batch) => Array.from({ length: 40 }, (_, i) => batch.status(i)));
    for (const of of statuses) expect(of.slice(20)).toEqual(new Array(20).fill(OK));
    // In posting order: once one has FAILed, all behind it have.
    const toFirst = statuses.flatMap((of) => of.slice(0, 20));
    const failed = toFirst.includes(FAIL) ? toFirst.indexOf(FAIL) : toFirst.length;
    expect(toFirst.slice(failed).every((status) => status === FAIL)).toBe(true);
    expect(toFirst.slice(0, failed).every((status) => status === OK)).toBe(true);
    expect(new Uint32Array(second.node.window(8, 8))[0]).toBe(800);
    return failed < toFirst.length;
  }

  it('of a fenced client end, also behind a call, and the others go on', async () => {
    const { address, port } = startNode();
    const { collector } = await enter(port, { secret: SECRET, key: 5n });
    collector.socket.write(
      Buffer.concat([request(Wire.RPC, 8, 1n), Buffer.from([Request.REVERSE, 1, 2, 3, 4, 5, 6, 7])]),
    );
    expect((await collector.take(24)).subarray(16).toJSON().data).toEqual([
      7,
      6,
      5,
      4,
      3,
      2,
      1,
      Request.REVERSE,
    ]);
    await fenceOverTcp(5n, { addresses: [address], secret: SECRET });
    const fabric = attach(address);
    expect(await roundTrip(fabric, faa(fabric))).toEqual([OK]);
  });
});
