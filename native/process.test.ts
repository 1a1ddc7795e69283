import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { native } from './index.js';

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
