/** The master's end of the control channel: who connects, proves itself, and is heard. */
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { FabricError } from '../verbs/index.js';
import {
  isProof,
  LINE_MAX,
  type Message,
  newNonce,
  ownSocketPath,
  parseAddress,
  proof,
  receive,
  removeFile,
  type Shared,
  send,
  tune,
  UNPROVEN_LINE_MAX,
} from './channel.js';
import { check, type FromClient, type FromMaster, fromClient, type ToldView } from './messages.js';

/** Somebody who has proved to know the secret. */
export interface Peer {
  /** Set when it has joined: its client id. */
  cid: number;
  send(message: FromMaster): void;
  /** Ends the connection: whoever is a member comes back, and says again what was not heard. */
  drop(): void;
}

/** What the master does with what it hears. */
export interface Listener {
  heard(peer: Peer, message: FromClient): void;
  gone(peer: Peer): void;
  /** Somebody could not prove itself, or sent nonsense. */
  refused(reason: string): void;
  readonly leaseMs: number;
  readonly view: ToldView;
  /** The number of its term. */
  readonly term: number;
  /** False: another master may lead by now; nobody is to be let in. */
  readonly isLeading: boolean;
}

/** So long a refusal may take to be read. */
const REFUSAL_MS = 1000;
/** Who connects has so long to prove itself, and so many may try at a time. */
const PROOF_MS = 3000;
const UNPROVEN_MAX = 64;
/** Far above the places of a pool. */
const CONNECTIONS_MAX = 8192;

/** A socket that is listened on. */
export interface Listening {
  /** Where, of one that listens on TCP: the port that the system chose, if it did. */
  readonly address?: string;
  /** Ends it, and every connection. */
  close(): Promise<void>;
}

/**
 * Listens on a socket of this master's own; `takeName` has clients find it.
 * @param address "host:port", for clients of other hosts.
 * @throws FabricError when that cannot be listened at; UsageError when it is no address.
 */
export async function listen(shared: Shared, listener: Listener, address?: string): Promise<Listening> {
  const door = new Door(shared, listener);
  const path = ownSocketPath(shared.pool);
  // Left by a process of the same number that was killed.
  removeFile(path);
  try {
    await door.open({ path }, path);
    if (address === undefined) return door;
    const { host, port } = parseAddress(address);
    const server = await door.open({ host, port }, address);
    const { port: chosen } = server.address() as AddressInfo;
    return { address: address.replace(/:\d+$/, `:${chosen}`), close: () => door.close() };
  } catch (error) {
    await door.close();
    throw error;
  }
}

/** Lets in who proves itself, on all sockets that a master listens on. */
class Door implements Listening {
  readonly #shared: Shared;
  readonly #listener: Listener;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  #unproven = 0;

  constructor(shared: Shared, listener: Listener) {
    this.#shared = shared;
    this.#listener = listener;
  }

  async open(where: ListenOptions, name: string): Promise<Server> {
    const server = createServer((socket) => this.#admit(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const hint = error.code === 'EADDRINUSE' ? ' (choose another with --listen)' : '';
        reject(new FabricError(`the master cannot listen on ${name}: ${error.message}${hint}`));
      });
      server.listen(where, resolve);
    });
    this.#servers.push(server);
    return server;
  }

  #admit(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    const name = remoteAddress === undefined ? '' : ` of ${remoteAddress}:${remotePort}`;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#unproven >= UNPROVEN_MAX || this.#sockets.size > CONNECTIONS_MAX) {
      socket.on('error', () => {});
      socket.destroy();
      this.#listener.refused(`too many connections; turned one${name} away`);
      return;
    }
    if (name !== '') tune(socket);
    this.#unproven++;
    let isCounted = true;
    const onSettled = (): void => {
      if (isCounted) this.#unproven--;
      isCounted = false;
    };
    serve(socket, { shared: this.#shared, listener: this.#listener, name, onSettled });
  }

  async close(): Promise<void> {
    const ended = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(ended);
  }
}

function serve(
  socket: Socket,
  {
    shared,
    listener,
    name,
    onSettled,
  }: { shared: Shared; listener: Listener; name: string; onSettled: () => void },
): void {
  const challenge = newNonce();
  let peer: Peer | undefined;
  const refuse = (reason: string): void => {
    listener.refused(reason + name);
    send(socket, { type: 'refused', reason });
    // Whoever does not take it, or does not close its end, must not keep a place that others wait for.
    onSettled();
    socket.end(() => socket.destroy());
    setTimeout(() => socket.destroy(), REFUSAL_MS).unref();
  };
  const timer = setTimeout(() => refuse('no proof in time'), PROOF_MS);
  const prove = (message: Message): void => {
    const nonce = String(message.nonce);
    if (message.type !== 'hello' || !isProof(message.proof, proof(shared, 'client', [challenge, nonce]))) {
      refuse('the proof is wrong');
      return;
    }
    if (!listener.isLeading) {
      socket.destroy();
      return;
    }
    clearTimeout(timer);
    onSettled();
    peer = { cid: 0, send: (answer) => send(socket, answer as Message), drop: () => socket.destroy() };
    const { leaseMs, view, term } = listener;
    const own = proof(shared, 'master', [nonce, challenge, String(term)]);
    peer.send({ type: 'accepted', proof: own, leaseMs, view, term });
  };
  receive(
    socket,
    (raw) => {
      if (peer === undefined) {
        prove(raw);
        return;
      }
      const message = check(fromClient, raw);
      if (typeof message === 'string') refuse(message);
      else listener.heard(peer, message);
    },
    {
      onError: (error) => listener.refused(error.message + name),
      longest: () => (peer === undefined ? UNPROVEN_LINE_MAX : LINE_MAX),
    },
  );
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    onSettled();
    if (peer !== undefined) listener.gone(peer);
  });
  send(socket, { type: 'challenge', nonce: challenge });
}
