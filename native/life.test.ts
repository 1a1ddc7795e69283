import { afterEach, describe, expect, it, vi } from 'vitest';
import { type NodeRegion, native, type ProcessId, type ShmSession } from './index.js';
import { regionNames, ScriptProcess } from './test-process.js';

const prefix = `fusee-life-test-${process.pid}-`;
let count = 0;
const open: { close(): void }[] = [];
const children: ScriptProcess[] = [];

/** A region, a session of this process, and another process, which has run `script`. */
async function setUp(
  script = `const session = makeSession();`,
): Promise<{ region: NodeRegion; name: string; session: ShmSession; child: ScriptProcess; id: ProcessId }> {
  const name = `${prefix}${count++}`;
  const region = new (native().NodeRegion)({ name, memoryBytes: 65536, prefault: false });
  region.ready();
  const session = attach(name);
  open.push(region);
  const child = new ScriptProcess(name, `${script} console.log('attached'); setInterval(() => {}, 1000);`);
  children.push(child);
  await child.until('attached');
  return { region, name, session, child, id: native().findProcess(child.child.pid!)! };
}

function attach(name: string): ShmSession {
  const options = { localBytes: 4096, queueCapacity: 4, rttNs: 0, rpcTimeoutNs: 1e9, prefault: false };
  const session = new (native().ClientSession)({ regions: [name], ...options });
  open.push(session);
  return session;
}

afterEach(async () => {
  for (const child of children.splice(0)) await child.kill();
  for (const one of open.splice(0)) one.close();
  expect(regionNames(prefix)).toEqual([]);
});

describe('the end of a thread that has a session', () => {
  it('is told of a process that was killed, and of none that lives or is stopped', async () => {
    const { session, child, id } = await setUp();
    expect(session.endedProcesses()).toEqual([]);
    child.child.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(session.endedProcesses()).toEqual([]);
    await child.kill();
    expect(session.endedProcesses()).toEqual([id]);
  });

  it('is told ahead of the end of the process, which first gives its memory back', async () => {
    const { session, child, id } = await setUp(`
      const session = makeSession();
      globalThis.kept = Array.from({ length: 8 }, () => Buffer.alloc(1 << 26, 1));
    `);
    child.child.kill('SIGKILL');
    await vi.waitUntil(() => session.endedProcesses().length > 0, { timeout: 20_000, interval: 0 });
    const hasExited = child.child.signalCode !== null;
    expect([hasExited, session.endedProcesses()]).toEqual([false, [id]]);
    expect((await child.exited).signal).toBe('SIGKILL');
  });

  it('is told when it left without closing, and not when it closed its session', async () => {
    const { session, child, id } = await setUp(`
      const session = makeSession();
      process.stdin.on('data', () => process.exit(0));
    `);
    child.child.stdin!.write('go');
    await child.exited;
    expect(session.endedProcesses()).toEqual([id]);
    const closed = await setUp(`makeSession().close();`);
    await closed.child.kill();
    expect(closed.session.endedProcesses()).toEqual([]);
  });

  it('is not told while another session of the process is at work', async () => {
    const { session, child } = await setUp(`
      const session = makeSession();
      const { Worker, isMainThread } = require('node:worker_threads');
      const code = 'const { parentPort, workerData } = require("node:worker_threads");' +
        'const addon = require(workerData.addon);' +
        'const session = new addon.ClientSession(workerData.options); parentPort.postMessage(1);' +
        'setInterval(() => {}, 1000);';
      const sizes = { localBytes: 4096, queueCapacity: 4, rttNs: 0, rpcTimeoutNs: 1e9 };
      const options = { regions: [regionName], prefault: false, ...sizes };
      const worker = new Worker(code, { eval: true, workerData: { addon: addonFile, options } });
      worker.on('message', () => { session.close(); console.log('only the worker'); });
    `);
    await child.until('only the worker');
    expect(session.endedProcesses()).toEqual([]);
    await child.kill();
    expect(session.endedProcesses()).toHaveLength(1);
  });

  it('is no more told of when others have the places of its sessions', async () => {
    const { name, session, child, id } = await setUp();
    await child.kill();
    // As many sessions as there are places: one takes over from the dead process, and is at work.
    for (let i = 0; i < 255; i++) attach(name);
    expect(session.endedProcesses()).toEqual([]);
    expect(native().isAlive(id)).toBe(false);
    expect(() => attach(name)).toThrow('which is its limit');
  });

  it('is all that a fence of a dying process waits for', async () => {
    const { name, child, id } = await setUp();
    child.child.kill('SIGSTOP');
    await native().fenceProcess(id, { regions: [name], deadlineNs: 5e9 });
    expect((await child.exited).signal).toBe('SIGKILL');
  });
});
