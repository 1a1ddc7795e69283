/**
 * The control channel: lines of JSON between the master and everybody else, over a Unix socket on the
 * master's host, over TCP from others. Never on the path of a request.
 *
 * Who connects proves that it knows the pool's secret, and has the master prove it too: each answers the
 * other's nonce by HMAC-SHA-256 under a word that names the direction and the pool, so no answer can be
 * played back, or serve with another pool that has the same secret. The secret is a file that only its user
 * may read; it is never sent, printed or passed as an argument.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { controlFolder, secretPath } from '../fabric/secret.js';
import { FabricError, UsageError } from '../verbs/index.js';

/** Longest line that is accepted: far above any message. */
export const LINE_MAX: number = 1 << 20;
/** The same ahead of a proof: whoever has not proved anything gets no more memory. */
export const UNPROVEN_LINE_MAX = 4096;
/** What waits to be sent to somebody who reads nothing; beyond that the connection ends. */
const UNSENT_MAX = 16 << 20;
const NONCE_BYTES = 32;

/** A file in the folder of this user's sockets and secrets. */
export const controlPath = (name: string): string => join(controlFolder(), name);

/** Where the leading master of a pool is found: a link to its own socket. */
export const socketPath = (pool: string): string => controlPath(`${pool}.sock`);

/** Where one master of a pool listens; others of the same pool have sockets of their own. */
export const ownSocketPath = (pool: string): string => controlPath(ownSocketName(pool));

const ownSocketName = (pool: string): string => `${pool}.sock.${process.pid}`;

/**
 * Has clients find this master, which leads and listens, under the pool's name. They find the one before or
 * this one at any moment; what that one has left is removed.
 */
export function takeName(pool: string): void {
  const path = socketPath(pool);
  const before = readName(path);
  if (before === ownSocketName(pool)) return;
  const fresh = `${ownSocketPath(pool)}.name`;
  removeFile(fresh);
  symlinkSync(ownSocketName(pool), fresh);
  renameSync(fresh, path);
  if (before?.startsWith(`${pool}.sock.`)) removeFile(controlPath(before));
}

/** Nobody is to be found under the pool's name any more, unless another master has taken it. */
export function removeName(pool: string): void {
  if (readName(socketPath(pool)) === ownSocketName(pool)) removeFile(socketPath(pool));
}

/** Removes the names of a pool that is no more. */
export function forgetNames(pool: string): void {
  const own = readName(socketPath(pool));
  if (own?.startsWith(`${pool}.sock.`)) removeFile(controlPath(own));
  removeFile(socketPath(pool));
  removeFile(secretPath(pool));
}

function readName(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    // EINVAL: something else stands there, which is written over.
    if (['ENOENT', 'EINVAL'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** Removes a file that may not be there. */
export function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Host and port of "host:port", or "[address]:port". @throws UsageError when it is none. */
export function parseAddress(address: string): { host: string; port: number } {
  const [, v6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = v6 ?? name;
  if (host !== undefined && Number(digits) < 65_536) return { host, port: Number(digits) };
  throw new UsageError(`'${address}' is no address: give host:port, or [address]:port for IPv6`);
}

/** A nonce to be answered. */
export const newNonce = (): string => randomBytes(NONCE_BYTES).toString('hex');

/** What both sides know beforehand. */
export interface Shared {
  readonly pool: string;
  readonly secret: Buffer;
}

/** The answer to a nonce. */
export function proof(
  { pool, secret }: Shared,
  side: 'client' | 'master',
  nonces: readonly string[],
): string {
  return createHmac('sha256', secret)
    .update(`fusee-control-2 ${side} ${pool} ${nonces.join(' ')}`)
    .digest('hex');
}

/** Compares in constant time. */
export function isProof(given: unknown, expected: string): boolean {
  const [a, b] = [Buffer.from(String(given)), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** What both sides send: an object with a type. */
export interface Message {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Sends a message; whoever reads nothing for too long has lost the connection. */
export function send(socket: Socket, message: Message): void {
  if (socket.destroyed) return;
  socket.write(`${JSON.stringify(message)}\n`);
  if (socket.writableLength > UNSENT_MAX) socket.destroy();
}

/** Has a socket send at once, and notice that the other host is gone. */
export function tune(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}

const KEEP_ALIVE_MS = 5000;

/**
 * Calls `onMessage` with each message of a socket. A line that is no message ends the connection with
 * `onError`.
 * @param how.longest characters that a line may have by now; asked for anew each time.
 */
export function receive(
  socket: Socket,
  onMessage: (message: Message) => void,
  { onError, longest }: { onError: (error: FabricError) => void; longest: () => number },
): void {
  let pending = '';
  const fail = (reason: string): void => {
    onError(new FabricError(reason));
    socket.destroy();
  };
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    pending += text;
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      if (socket.destroyed) return;
      const line = pending.slice(0, end);
      pending = pending.slice(end + 1);
      const message = line.length > longest() ? undefined : parse(line);
      if (message === undefined) return fail(`a line of ${line.length} characters is no message`);
      onMessage(message);
    }
    if (pending.length > longest()) fail(`a line has more than ${longest()} characters`);
  });
}

function parse(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isMessage =
      typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
    return isMessage ? (value as Message) : undefined;
  } catch {
    return undefined;
  }
}
