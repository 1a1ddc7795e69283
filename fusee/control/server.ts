/** The master's end of the control channel: who connects, proves itself, and is heard. */
import { createServer, type Socket } from 'node:net';
import { FabricError } from '../verbs/index.js';
import {
  isProof,
  type Message,
  newNonce,
  ownSocketPath,
  proof,
  receive,
  removeFile,
  send,
} from './channel.js';
import { check, type FromClient, type FromMaster, fromClient, type ToldView } from './messages.js';

/** Somebody who has proved to know the secret. */
export interface Peer {
  /** Set when it has joined: its client id. */
  cid: number;
  send(message: FromMaster): void;
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

/** Who connects has so long to prove itself, and so many may try at a time. */
const PROOF_MS = 3000;
const UNPROVEN_MAX = 64;

/** A socket that is listened on. */
export interface Listening {
  /** Ends it, and every connection. */
  close(): Promise<void>;
}

/** Listens on a socket of this master's own; `takeName` has clients find it. */
export async function listen(pool: string, secret: Buffer, listener: Listener): Promise<Listening> {
  const path = ownSocketPath(pool);
  // Left by a process of the same number that was killed.
  removeFile(path);
  let unproven = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (unproven >= UNPROVEN_MAX) {
      socket.destroy();
      return;
    }
    unproven++;
    let isCounted = true;
    const settle = (): void => {
      if (isCounted) unproven--;
      isCounted = false;
    };
    serve(socket, { secret, listener, onSettled: settle });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new FabricError(`the master cannot listen on ${path}: ${error.message}`)),
    );
    server.listen(path, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

function serve(
  socket: Socket,
  { secret, listener, onSettled }: { secret: Buffer; listener: Listener; onSettled: () => void },
): void {
  const challenge = newNonce();
  let peer: Peer | undefined;
  const refuse = (reason: string): void => {
    listener.refused(reason);
    send(socket, { type: 'refused', reason });
    socket.end();
  };
  const timer = setTimeout(() => refuse('no proof in time'), PROOF_MS);
  const prove = (message: Message): void => {
    const nonce = String(message.nonce);
    if (message.type !== 'hello' || !isProof(message.proof, proof(secret, 'client', [challenge, nonce]))) {
      refuse('the proof is wrong');
      return;
    }
    if (!listener.isLeading) {
      socket.destroy();
      return;
    }
    clearTimeout(timer);
    onSettled();
    peer = { cid: 0, send: (answer) => send(socket, answer as Message) };
    const { leaseMs, view, term } = listener;
    const own = proof(secret, 'master', [nonce, challenge, String(term)]);
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
    (error) => listener.refused(error.message),
  );
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    onSettled();
    if (peer !== undefined) listener.gone(peer);
  });
  send(socket, { type: 'challenge', nonce: challenge });
}
