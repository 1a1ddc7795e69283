/**
 * The secret of a pool: who knows it may talk to the pool's master and, over a network, to its nodes. It is a
 * file that only its user may read; it is never sent, printed or passed as an argument.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../verbs/index.js';

/**
 * The folder that holds this user's sockets and secrets, if there is one.
 * @throws UsageError when another user has made it.
 */
export function controlFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), `fusee-${uid}`);
  const owner = statSync(folder, { throwIfNoEntry: false })?.uid ?? uid;
  if (owner !== uid)
    throw new UsageError(`${folder} belongs to user ${owner}; remove it, or set XDG_RUNTIME_DIR`);
  return folder;
}

/** Makes that folder; only its user may look into it. */
export function makeControlFolder(): void {
  mkdirSync(controlFolder(), { recursive: true, mode: 0o700 });
  chmodSync(controlFolder(), 0o700);
}

/** Where the secret of a pool is kept, unless the user says otherwise. */
export const secretPath = (pool: string): string => join(controlFolder(), `${pool}.secret`);

/** Reads a secret. @throws UsageError when the file is not there, or others may read it. */
export function readSecret(path: string): Buffer {
  let mode: number;
  let secret: Buffer;
  try {
    mode = statSync(path).mode;
    secret = readFileSync(path);
  } catch (error) {
    throw new UsageError(
      `the secret ${path} cannot be read (${(error as Error).message}); start the pool's master or its ` +
        'nodes, which make it, or copy it from the host where they run',
    );
  }
  if ((mode & 0o077) !== 0) throw new UsageError(`others may read the secret ${path}; run chmod 600 on it`);
  if (secret.length < 16)
    throw new UsageError(`the secret ${path} has ${secret.length} bytes; use 16 or more`);
  return secret;
}

/**
 * The secret in that file, which is made when it is not there; who comes later finds the same.
 * @returns also whether it was made now.
 */
export function keepSecret(path: string): { secret: Buffer; isNew: boolean } {
  let isNew = true;
  // Never seen half written, and never written over.
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(fresh, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    isNew = false;
  } finally {
    unlinkSync(fresh);
  }
  return { secret: readSecret(path), isNew };
}
