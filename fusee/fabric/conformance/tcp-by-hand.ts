/** The TCP fabric's protocol by hand: both of its ends, for tests of what the real ones do with nonsense. */
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, connect as openSocket, type Server, type Socket } from 'node:net';

const MAGIC = Buffer.from('FTCP');
const VERSION = 1;
const HELLO_BYTES = 40;
const PROOF_BYTES = 80;

/** Opcodes on the wire. */
export const Wire = { READ: 0, WRITE: 1, CAS: 2, FAA: 3, RPC: 4, FENCE: 5 } as const;

const head = (): Buffer => {
  const bytes = Buffer.alloc(8);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(VERSION, 4);
  return bytes;
};

const mac = (secret: Uint8Array, side: 'client' | 'node  ', parts: readonly Buffer[]): Buffer =>
  createHmac('sha256', secret).update(`fusee-tcp-1 ${side}`).update(Buffer.concat(parts)).digest();

/** One request's header. */
export function request(opcode: number, bytes: number, remote: bigint, expect = 0n, swap = 0n): Buffer {
  const buffer = Buffer.alloc(32);
  buffer.writeUInt8(opcode);
  buffer.writeUInt32LE(bytes, 4);
  buffer.writeBigUInt64LE(remote, 8);
  buffer.writeBigUInt64LE(expect, 16);
  buffer.writeBigUInt64LE(swap, 24);
  return buffer;
}

/** Collects what a socket gets. */
export class Collector {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  isOver = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    for (const event of ['close', 'end'] as const) {
      socket.on(event, () => {
        this.isOver = true;
      });
    }
    socket.on('error', () => {
      this.isOver = true;
    });
  }

  /** The next `count` bytes. @throws Error when the other side closes before, or nothing comes for 10 s. */
  async take(count: number): Promise<Buffer> {
    for (const end = performance.now() + 10_000; this.#bytes.length < count; ) {
      if (this.isOver) throw new Error(`closed after ${this.#bytes.length} of ${count} bytes`);
      if (performance.now() > end) throw new Error(`${this.#bytes.length} of ${count} bytes came`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }
}

/** A client by hand, let in by a node, or what the node answered to its proof. */
export async function enter(
  port: number,
  { secret, key = randomBytes(8).readBigUInt64LE() | 1n }: { secret: Uint8Array; key?: bigint },
): Promise<{ collector: Collector; refusal: number; memoryBytes: bigint }> {
  const socket = openSocket(port, '127.0.0.1');
  const collector = new Collector(socket);
  const hello = Buffer.from(await collector.take(HELLO_BYTES));
  const said = Buffer.alloc(16 + 32);
  head().copy(said);
  said.writeBigUInt64LE(key, 8);
  randomBytes(32).copy(said, 16);
  socket.write(Buffer.concat([said, mac(secret, 'client', [hello, said])]));
  const accept = await collector.take(24);
  const refusal = accept.readUInt32LE(4);
  const own = await collector.take(32);
  if (refusal === 0 && !own.equals(mac(secret, 'node  ', [hello, said, Buffer.from(accept)])))
    throw new Error('the node has not proved itself');
  return { collector, refusal, memoryBytes: accept.readBigUInt64LE(8) };
}

/**
 * A node by hand of 4 KiB, which lets clients in and then answers what `onBytes` says; nothing at all to those
 * who come when `greets` is false.
 */
export async function nodeByHand(
  secret: Uint8Array,
  onBytes: (socket: Socket) => void,
  { greets = true } = {},
): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    if (!greets) return;
    const hello = Buffer.concat([head(), randomBytes(32)]);
    socket.write(hello);
    const collector = new Collector(socket);
    const welcome = (proof: Buffer): void => {
      const accept = Buffer.alloc(24);
      MAGIC.copy(accept);
      accept.writeBigUInt64LE(4096n, 8);
      accept.writeBigUInt64LE(7n, 16);
      const said = Buffer.from(proof.subarray(0, 48));
      socket.write(Buffer.concat([accept, mac(secret, 'node  ', [hello, said, accept])]));
      socket.on('data', () => onBytes(socket));
    };
    // Who does not prove itself has gone.
    collector.take(PROOF_BYTES).then(welcome, () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, server };
}

/** Hands on what comes to a node and from it, over connections that can be cut. */
export class Relay {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** The port of the node that it leads to. */
  to: number;
  /** Times that something was cut. */
  cuts = 0;

  private constructor(server: Server, to: number) {
    this.#server = server;
    this.to = to;
    server.on('connection', (near: Socket) => {
      const far = openSocket(this.to, '127.0.0.1');
      const pair = [near, far] as const;
      this.#pairs.add(pair);
      for (const [from, into] of [pair, [far, near] as const]) {
        from.setNoDelay(true);
        from.on('error', () => {});
        from.on('data', (chunk: Buffer) => into.write(chunk));
        from.on('close', () => {
          into.destroy();
          this.#pairs.delete(pair);
        });
      }
    });
  }

  static async open(to: number): Promise<Relay> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Relay(server, to);
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts all connections; what is on its way is lost. */
  cut(): void {
    if (this.#pairs.size > 0) this.cuts++;
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
