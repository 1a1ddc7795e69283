/** Both ends of the control channel over real sockets: masters that fall silent, peers that do not end. */
import { connect } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { keepSecret, secretPath } from '../fabric/secret.js';
import { ownSocketPath, removeFile, removeName, takeName } from './channel.js';
import { MasterLink, type Obedient } from './link.js';
import type { FromClient } from './messages.js';
import { type Listener, type Listening, listen, type Peer } from './server.js';
import { Session } from './session.js';

const LEASE_MS = 40;
const view = { number: 1, dead: [] };
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A listener that does what `hear` does, and notes whom it has refused. */
async function start(hear: (peer: Peer, message: FromClient) => void) {
  const pool = `test-link-${process.pid}`;
  const { secret } = keepSecret(secretPath(pool));
  closing.push(() => removeFile(secretPath(pool)));
  const refused: string[] = [];
  const listener: Listener = {
    heard: hear,
    gone: () => {},
    refused: (reason) => refused.push(reason),
    ...{ leaseMs: LEASE_MS, view, term: 1, isLeading: true },
  };
  const server: Listening = await listen({ pool, secret }, listener);
  closing.push(() => server.close());
  takeName(pool);
  closing.push(() => removeName(pool));
  return { pool, refused };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Joins, and notes what it is told. */
async function join(pool: string): Promise<string[]> {
  const told: string[] = [];
  const obedient: Obedient = {
    stop: (out) => told.push(['stop', ...out].join(' ')),
    adopt: () => told.push('adopt'),
    expelled: (why) => told.push(why ?? 'expelled'),
    cacheCounts: () => ({ hits: 0, misses: 0, bypassed: 0 }),
    viewNumber: () => 1,
  };
  const link = await MasterLink.open({ pool });
  closing.push(() => link.close('leave'));
  await link.join({ cid: 7, place: 0 }, obedient);
  return told;
}

const answer = (peer: Peer, { type }: FromClient): void => {
  if (type === 'join') peer.send({ type: 'in', view });
  if (type === 'renew') peer.send({ type: 'renewed', seq: 0 });
  if (type === 'leave') peer.send({ type: 'farewell' });
};

it('a client that was stopped, and that no master lets go on, is out of the pool in the end', async () => {
  const { pool } = await start((peer, message) => {
    answer(peer, message);
    if (message.type === 'join') peer.send({ type: 'stop', out: [2] });
  });
  const told = await join(pool);
  await pause(9 * LEASE_MS);
  expect(told).toEqual(['stop 2']);
  for (let waited = 0; told.length < 2 && waited < 5000; waited += 10) await pause(10);
  expect(told[1]).toMatch(/^a change of the view has not ended for a long time/);
  await pause(3 * LEASE_MS);
  expect(told).toHaveLength(2);
});

it('a client that goes on in time is not', async () => {
  const { pool } = await start((peer, message) => {
    answer(peer, message);
    if (message.type !== 'join') return;
    peer.send({ type: 'stop', out: [] });
    peer.send({ type: 'adopt', view, decided: [], isWhole: false });
  });
  const told = await join(pool);
  await pause(12 * LEASE_MS);
  expect(told).toEqual(['stop', 'adopt']);
});

it('peers that were refused, and do not end, keep nobody out', async () => {
  const { pool, refused } = await start(answer);
  for (let i = 0; i < 70; i++) {
    const socket = connect({ path: ownSocketPath(pool), allowHalfOpen: true });
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    socket.write(`${JSON.stringify({ type: 'hello', nonce: 'x', proof: 'y' })}\n`);
  }
  for (let waited = 0; refused.length < 70 && waited < 5000; waited += 10) await pause(10);
  const session = await Session.open({ pool });
  session.socket.destroy();
  expect(refused.filter((reason) => reason === 'the proof is wrong').length).toBeGreaterThan(0);
});

it('who proves nothing for three seconds is told so and let go, and keeps nobody out', async () => {
  const { pool, refused } = await start(answer);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  closing.push(() => vi.useRealTimers());
  // One place less than there are: whoever looked whether a master is here may not be gone yet.
  const silent = Array.from({ length: 63 }, () => {
    const socket = connect({ path: ownSocketPath(pool) });
    const peer = { text: '', isEnded: false };
    socket.on('data', (bytes) => {
      peer.text += String(bytes);
    });
    socket.on('end', () => {
      peer.isEnded = true;
    });
    socket.on('error', () => {});
    closing.push(() => socket.destroy());
    return peer;
  });
  const until = async (isSo: () => boolean): Promise<void> => {
    for (let turns = 0; !isSo() && turns < 20_000; turns++) await new Promise(setImmediate);
  };
  // The challenge is there: from then on it counts.
  await until(() => silent.every(({ text }) => text.includes('"challenge"')));
  vi.advanceTimersByTime(2999);
  for (let turns = 0; turns < 100; turns++) await new Promise(setImmediate);
  expect([refused, silent.filter(({ isEnded }) => isEnded).length]).toEqual([[], 0]);
  vi.advanceTimersByTime(1);
  expect(new Set(refused)).toEqual(new Set(['no proof in time']));
  await until(() => silent.every(({ isEnded }) => isEnded));
  expect(silent.every(({ text }) => text.includes('"reason":"no proof in time"'))).toBe(true);
  vi.useRealTimers();
  const session = await Session.open({ pool });
  session.socket.destroy();
});
