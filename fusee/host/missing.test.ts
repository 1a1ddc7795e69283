/** Clients that die between their JOIN at the nodes and their join at the master; both are real. */
import { spawn } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { joinPool, leavePool } from '../client/membership.js';
import { forgetNames } from '../control/channel.js';
import type { FromMaster } from '../control/messages.js';
import { Session } from '../control/session.js';
import { waitFor } from '../fabric/conformance/harness.js';
import { ShmFabric } from '../fabric/shm.js';
import { findProcess, thisHost } from '../fabric/shm-process.js';
import { smallPool } from '../node/in-process.js';
import { startShmNode } from '../node/index.js';
import { forgetMasters } from '../store/index.js';
import { MasterHost } from './master-host.js';
import { Missing } from './missing.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const NODES = 2;
const CONFIG = smallPool({ nodes: NODES, indexReplicas: 2 });

function start(): { pool: string; fabric: ShmFabric; lead: () => Promise<MasterHost> } {
  const pool = `test-${process.pid}-missing`;
  const nodes = [0, 1].map((mn) => startShmNode({ pool, mn, config: CONFIG, prefault: false }));
  for (const node of nodes) closing.push(() => node.close());
  // A pool that has missed somebody is remembered.
  closing.push(() => forgetMasters(pool));
  closing.push(() => forgetNames(pool));
  const lead = async (): Promise<MasterHost> => {
    const master = await MasterHost.start({ pool, joinGraceMs: 200 });
    closing.push(() => master.close());
    return master;
  };
  const fabric = new ShmFabric({ regions: nodes.map(({ name }) => name), localBytes: 1 << 16 });
  closing.push(() => fabric.close());
  return { pool, fabric, lead };
}

/** What the master says to a client of another process that wants to join; that process dies behind it. */
async function answerTo(pool: string, cid: number, place: number): Promise<FromMaster> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    await waitFor('the process', () => findProcess(child.pid as number) !== null);
    const { pid, startTime } = findProcess(child.pid as number) as { pid: number; startTime: number };
    const session = await Session.open({ pool });
    const answered = new Promise<FromMaster>((resolve) => {
      session.onMessage = resolve;
    });
    session.send({ type: 'join', cid, place, pid, startTime, host: thisHost(), view: 1 });
    const answer = await answered;
    session.socket.destroy();
    return answer;
  } finally {
    child.kill('SIGKILL');
  }
}

describe('a client that has a place and never comes to its master', () => {
  it("is given up, its place is another's, and when it comes it is told to come as another", async () => {
    const { pool, fabric, lead } = start();
    const master = await lead();
    const lost = await joinPool(fabric, { nodes: NODES, hasMaster: true });
    // One that knows of no master, and one that leaves in time: nobody misses them.
    const alone = await joinPool(fabric, { nodes: NODES });
    const brief = await joinPool(fabric, { nodes: NODES, hasMaster: true });
    await leavePool(fabric, { nodes: NODES, cid: brief.cid });
    expect([lost, alone].map(({ clientIndex }) => clientIndex)).toEqual([0, 1]);
    const recovered = (): number[] => master.status().recoveries.map(({ cid }) => cid);
    await waitFor('its recovery', () => recovered().length > 0);
    const next = await joinPool(fabric, { nodes: NODES });
    expect([next.clientIndex, next.cid > brief.cid]).toEqual([0, true]);
    expect(await answerTo(pool, lost.cid, 0)).toMatchObject({ type: 'refused', isLate: true });
    // The next master knows it too.
    await master.close();
    const successor = await lead();
    expect(await answerTo(pool, lost.cid, 0)).toMatchObject({ type: 'refused', isLate: true });
    const late = await joinPool(fabric, { nodes: NODES, hasMaster: true });
    expect(await answerTo(pool, late.cid, late.clientIndex)).toMatchObject({ type: 'in' });
    await waitFor('its recovery', () => successor.status().recoveries.length > 0);
    expect([recovered(), successor.status().recoveries.map(({ cid }) => cid)]).toEqual([[1], [late.cid]]);
  });
});

describe('the missing', () => {
  const member = (cid: number) => ({ cid, place: cid });

  it('are those who have not come for a grace, and hold their place still', () => {
    const missing = new Missing(100);
    expect(missing.lookMs).toBe(25);
    expect(missing.seen([member(1), member(2)], 1000)).toEqual([]);
    expect(missing.seen([member(2), member(3)], 1099)).toEqual([]);
    // Number 1 had come or gone, and is seen anew.
    expect(missing.seen([member(1), member(2), member(3)], 1100)).toEqual([member(2)]);
    expect(missing.seen([member(1), member(3)], 1199)).toEqual([member(3)]);
    expect(missing.seen([member(1)], 1200)).toEqual([member(1)]);
  });

  it('are nobody, when the master itself has not looked for long', () => {
    const missing = new Missing(100);
    missing.seen([member(1)], 1000);
    missing.forget();
    expect(missing.seen([member(1)], 9000)).toEqual([]);
  });
});
