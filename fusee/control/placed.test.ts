/** A process that takes a place, whose master is gone before it says so; both ends over real sockets. */
import { afterEach, describe, expect, it } from 'vitest';
import { keepSecret, secretPath } from '../fabric/secret.js';
import { smallPool } from '../node/in-process.js';
import { removeFile, removeName, takeName } from './channel.js';
import type { FromMaster } from './messages.js';
import { offerNode } from './offer.js';
import { isPlaced } from './placed.js';
import { listen } from './server.js';
import { waitForPlace } from './spare.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const REFUSED: FromMaster = { type: 'refused', reason: 'the place of node 1 is not its' };

/** A master that is gone when a place has been taken, and the next one, which gives that answer. */
async function start(answer: FromMaster): Promise<string> {
  const pool = `test-placed-${process.pid}`;
  const { secret } = keepSecret(secretPath(pool));
  closing.push(() => removeFile(secretPath(pool)));
  const server = await listen(
    { pool, secret },
    {
      heard: (peer, { type }) => {
        if (type === 'spare') peer.send({ type: 'assign', mn: 1, isReplacing: false });
        if (type === 'offer') peer.send({ type: 'take' });
        if (type === 'taken') peer.drop();
        if (type === 'placed') peer.send(answer);
      },
      gone: () => {},
      refused: () => {},
      ...{ leaseMs: 1000, view: { number: 1, dead: [] }, term: 1, isLeading: true },
    },
  );
  closing.push(() => server.close());
  takeName(pool);
  closing.push(() => removeName(pool));
  return pool;
}

describe('who has taken a place and loses its master', () => {
  const offer = { mn: 1, isReplacing: false, take: () => {} };
  const hands = { onWaiting: () => {}, become: () => {}, take: () => {} };
  const wait = (pool: string) =>
    waitForPlace({ pool }, { config: smallPool(), hands, signal: new AbortController().signal });

  it('has it when the next master says so', async () => {
    const pool = await start({ type: 'entered' });
    await offerNode({ pool }, offer);
    expect(await wait(pool)).toEqual({ is: 'entered', mn: 1 });
  });

  it('has none when the next one knows nothing of it: it is to begin anew', async () => {
    const pool = await start(REFUSED);
    await expect(offerNode({ pool }, offer)).rejects.toThrow(/is gone; start this node again/);
    expect(await wait(pool)).toEqual({ is: 'masterless' });
  });

  it('has none when no master comes', async () => {
    const pool = await start(REFUSED);
    for (const close of closing.splice(1).reverse()) await close();
    expect(await isPlaced({ pool }, 1, { nextMs: 300 })).toBe(false);
  });
});
