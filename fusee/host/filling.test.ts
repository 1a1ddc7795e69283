/** Processes that offer themselves for a place and die in a bad moment: real regions, a real master. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { forgetNames } from '../control/channel.js';
import { Session } from '../control/session.js';
import { waitFor } from '../fabric/conformance/harness.js';
import { keepSecret } from '../fabric/secret.js';
import { ShmFabric } from '../fabric/shm.js';
import type { ShmNode } from '../fabric/shm-node.js';
import { sweepRegions, thisProcess } from '../fabric/shm-process.js';
import { smallPool } from '../node/in-process.js';
import { startShmNode } from '../node/index.js';
import { forgetMasters } from '../store/index.js';
import { MasterHost } from './master-host.js';

const POOL = `test-${process.pid}-filling`;
const CONFIG = smallPool({ nodes: 3, indexReplicas: 2 });

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  sweepRegions(POOL);
  // A pool whose view has changed is remembered.
  forgetMasters(POOL);
  forgetNames(POOL);
});

/** A node, and whether it has heard that the pool goes on without it. */
function startNode(mn: number, isNext = false): { node: ShmNode; heard: string[] } {
  const heard: string[] = [];
  const told = { onExpelled: () => heard.push('expelled'), onParted: () => heard.push('parted') };
  const node = startShmNode({ pool: POOL, mn, config: CONFIG, prefault: false, isNext, ...told });
  closing.push(() => node.close());
  return { node, heard };
}

async function start(): Promise<{ nodes: ReturnType<typeof startNode>[]; master: MasterHost }> {
  const nodes = [0, 1, 2].map((mn) => startNode(mn));
  const master = await MasterHost.start({ pool: POOL });
  closing.push(() => master.close());
  return { nodes, master };
}

/** Offers a fresh process for place 1; what the master says, in order. */
async function offer(isReplacing: boolean, onTake: (session: Session) => void = () => {}) {
  const session = await Session.open({ pool: POOL });
  closing.push(() => session.socket.destroy());
  const said: string[] = [];
  session.onMessage = (message) => {
    said.push(message.type === 'refused' ? message.reason : message.type);
    if (message.type === 'take') onTake(session);
  };
  session.send({ type: 'offer', mn: 1, isReplacing, ...thisProcess() });
  return { session, said };
}

/** A fresh process comes to have the place. */
async function fills(): Promise<void> {
  const { node } = startNode(1, true);
  const { said } = await offer(false, (session) => {
    node.takePlace();
    session.send({ type: 'taken' });
  });
  await waitFor(`the place, of ${said.join()}`, () => said.includes('entered'), 20_000);
}

it('one that dies when it has taken the name of a living node ends that too, and the next one is filled', async () => {
  const { nodes, master } = await start();
  const { node } = startNode(1, true);
  const { said } = await offer(true, (session) => {
    node.takePlace();
    // As if its process had been killed: the name is a dead one's, whom nobody can attach to.
    const fabric = new ShmFabric({ regions: [node.name], localBytes: 1 << 16 });
    fabric.fenceNode(0);
    fabric.close();
    session.send({ type: 'taken' });
  });
  await waitFor('a view without the place', () => master.view.dead.includes(1), 20_000);
  expect(said).toEqual(['take', expect.stringMatching(/counts as dead/)]);
  await waitFor('the drained node to hear of it', () => nodes[1].heard.length > 0);
  expect([nodes[1].heard, nodes[0].heard]).toEqual([['expelled'], []]);
  await fills();
  await master.settled(10_000);
  expect(master.view.dead).toEqual([]);
}, 60_000);

it('one that goes while it is looked at keeps its place from nobody', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fusee-filling-'));
  closing.push(() => rmSync(folder, { recursive: true, force: true }));
  const secretFile = join(folder, 'secret');
  const { secret } = keepSecret(secretFile);
  // Over a network looking takes some turns, in which it may go.
  const listen = ({ node }: ReturnType<typeof startNode>): string =>
    `127.0.0.1:${node.listen({ address: '127.0.0.1:0', secret }, () => {})}`;
  const nodes = [0, 1, 2].map((mn) => startNode(mn));
  const addresses = nodes.map(listen);
  const lines: string[] = [];
  const log = (line: string): number => lines.push(line);
  const master = await MasterHost.start({ pool: POOL, fabric: 'tcp', nodes: addresses, secretFile, log });
  closing.push(() => master.close());
  nodes[1].node.close();
  await waitFor('a view without the node', () => master.view.dead.includes(1));
  const fresh = startNode(1, true);
  const offers = {
    type: 'offer',
    mn: 1,
    isReplacing: false,
    place: listen(fresh),
    ...thisProcess(),
  } as const;
  const gone = await Session.open({ pool: POOL, secretFile });
  gone.send(offers);
  gone.socket.destroySoon();
  const isOut = 'node 1 does not get its place back: its process is gone';
  await waitFor('its end to be noticed', () => lines.includes(isOut));
  const session = await Session.open({ pool: POOL, secretFile });
  closing.push(() => session.socket.destroy());
  const said: string[] = [];
  session.onMessage = (message) => {
    said.push(message.type);
    if (message.type === 'take') {
      fresh.node.takePlace();
      session.send({ type: 'taken' });
    }
  };
  session.send(offers);
  await waitFor(`the place, of ${said.join()}`, () => said.includes('entered'), 20_000);
}, 60_000);

it('one that was given up takes no name any more', () => {
  const { node } = startNode(1, true);
  const fabric = new ShmFabric({ regions: [node.name], localBytes: 1 << 16 });
  closing.push(() => fabric.close());
  fabric.fenceNode(0);
  expect(() => node.takePlace()).toThrow(/was given up by the master: it must not take a place/);
});
