/** A master that fails to take over, and the next one: real nodes over TCP, and the former master's connection. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { complete } from '../client/call.js';
import { controlPath } from '../control/channel.js';
import { keepSecret, makeControlFolder } from '../fabric/secret.js';
import { drawClientKey, openTcpFabric } from '../fabric/tcp.js';
import { smallPool } from '../node/in-process.js';
import { startShmNode } from '../node/index.js';
import { Status, VerbBatch, word } from '../verbs/index.js';
import { MasterHost } from './master-host.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

it('whom one that fails has not fenced, the next one fences before it leads', async () => {
  const pool = `test-${process.pid}-takeover`;
  const folder = mkdtempSync(join(tmpdir(), 'fusee-takeover-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const secretFile = join(folder, 'secret');
  const { secret } = keepSecret(secretFile);
  const config = smallPool({ nodes: 1, indexReplicas: 1, dataReplicas: 1 });
  const node = startShmNode({ pool, mn: 0, config, prefault: false });
  closing.push(() => node.close());
  const address = `127.0.0.1:${node.listen({ address: '127.0.0.1:0', secret }, () => {})}`;
  const key = drawClientKey();
  const former = await openTcpFabric({ addresses: [address], secret, clientKey: key, localBytes: 1 << 16 });
  closing.push(() => former.close());
  const batch = new VerbBatch(former.local, 1);
  const adds = async (): Promise<number> => {
    batch.reset().faa(0, 4000, word(0, 0));
    await complete(former, batch);
    return batch.status(0);
  };
  expect(await adds()).toBe(Status.OK);
  // It has died; what it has sent may lie in buffers.
  makeControlFolder();
  const left = {
    pool: former.nodes.map(String),
    leader: { pid: 1, startTime: 1, key: String(key) },
    record: { view: { number: 1, dead: [] }, members: [{ cid: 1, place: 0, isDead: true }] },
    ...{ processes: [], decided: [], news: { isWhole: false } },
  };
  writeFileSync(controlPath(`${pool}.master-1`), JSON.stringify(left), { mode: 0o600 });
  const start = (at: string): Promise<MasterHost> =>
    MasterHost.start({ pool, fabric: 'tcp', nodes: [at], secretFile });
  await expect(start('127.0.0.1:1')).rejects.toThrow(/127\.0\.0\.1:1/);
  expect(await adds()).toBe(Status.OK);
  const master = await start(address);
  closing.push(() => master.close());
  expect([master.term, await adds()]).toEqual([3, Status.FAIL]);
  // And what it had to do is done.
  await master.settled(10_000);
  expect(master.status().recoveries.map(({ cid }) => cid)).toEqual([1]);
}, 60_000);
