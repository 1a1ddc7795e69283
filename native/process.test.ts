import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { addonPath, native } from './index.js';

const sleeper = () => spawn('sleep', ['60']);

it('tells a process from a later one with its pid', () => {
  const self = native().findProcess(process.pid)!;
  expect(native().isAlive(self)).toBe(true);
  expect(native().isAlive({ pid: self.pid, startTime: self.startTime + 1 })).toBe(false);
  expect(native().findProcess(2 ** 22 - 1)).toBe(null);
});

it('fences a process, also a stopped one, and one that is gone already', async () => {
  const child = sleeper();
  const exited = once(child, 'exit');
  const id = native().findProcess(child.pid!)!;
  child.kill('SIGSTOP');
  await native().fenceProcess(id, { regions: [], deadlineNs: 5e9 });
  // Dead at the acknowledgement, though its parent has not looked yet.
  expect(native().isAlive(id)).toBe(false);
  expect((await exited)[1]).toBe('SIGKILL');
  await native().fenceProcess(id, { regions: ['fusee-not-there'], deadlineNs: 5e9 });
});

it('leaves alone the process that got the pid of another', async () => {
  const child = sleeper();
  const id = native().findProcess(child.pid!)!;
  await native().fenceProcess({ pid: id.pid, startTime: id.startTime - 1 }, { regions: [], deadlineNs: 1e9 });
  expect(native().isAlive(id)).toBe(true);
  child.kill('SIGKILL');
});

it('does not fence its own process', () => {
  const self = native().findProcess(process.pid)!;
  expect(() => native().fenceProcess(self, { regions: [], deadlineNs: 1e9 })).toThrow('for another process');
});

describe('a process whose parent is killed', () => {
  /** A parent and its child, which is stopped once it has followed the parent; then the parent is killed. */
  async function orphan(script: string): Promise<{ child: number; isAlive: () => boolean }> {
    const child = `
      const addon = require(${JSON.stringify(addonPath())});
      setInterval(() => {}, 1000);
      process.on('disconnect', () => process.exit(0));
      ${script}
      process.send(process.pid);`;
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `const { spawn } = require('node:child_process');
        const child = spawn(process.execPath, ['-e', ${JSON.stringify(child)}, String(process.pid)], {
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          detached: true,
        });
        child.on('message', (pid) => console.log(pid));`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const pid = Number(String((await once(parent.stdout, 'data'))[0]));
    const id = native().findProcess(pid)!;
    process.kill(pid, 'SIGSTOP');
    const exited = once(parent, 'exit');
    parent.kill('SIGKILL');
    await exited;
    return { child: pid, isAlive: () => native().isAlive(id) };
  }

  async function isGoneWithin(isAlive: () => boolean, timeoutMs: number): Promise<boolean> {
    for (const end = performance.now() + timeoutMs; isAlive() && performance.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return !isAlive();
  }

  it('stays when it is stopped and follows nobody: what the next two prevent', async () => {
    const { child, isAlive } = await orphan('');
    expect(await isGoneWithin(isAlive, 300)).toBe(false);
    process.kill(child, 'SIGKILL');
  });

  it('is killed with it, though it is stopped', async () => {
    const { isAlive } = await orphan('addon.followParent(Number(process.argv[1]), false);');
    expect(await isGoneWithin(isAlive, 5000)).toBe(true);
  });

  it('or is woken, and then sees by itself that its channel is closed', async () => {
    const { isAlive } = await orphan('addon.followParent(Number(process.argv[1]), true);');
    expect(await isGoneWithin(isAlive, 5000)).toBe(true);
  });

  it('before it could follow it learns that from the answer', async () => {
    const script = `const addon = require(${JSON.stringify(addonPath())});
      const [parent] = process.argv.slice(1).map(Number);
      console.log(addon.followParent(parent, false), addon.followParent(parent + 1, false));`;
    const child = spawn(process.execPath, ['-e', script, String(process.pid)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    expect(String((await once(child.stdout, 'data'))[0])).toBe('true false\n');
  });
});
