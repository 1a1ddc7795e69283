import { type ChildProcess, spawn } from 'node:child_process';
import { afterEach, expect, it, vi } from 'vitest';
import { findProcess, type ProcessId } from '../fabric/shm-process.js';
import { Excuses } from './excuse.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** A process that runs for ever, or sleeps. */
function start(script: string): { child: ChildProcess; id: ProcessId } {
  const child = spawn('sh', ['-c', script]);
  children.push(child);
  return { child, id: findProcess(child.pid as number) as ProcessId };
}

const BUSY = 'while :; do :; done';

it('who waits for a processor is excused until it has had one for half a lease', async () => {
  const { id } = start(BUSY);
  const leaseNs = 400e6;
  const excuses = new Excuses(leaseNs);
  await vi.waitFor(() => {
    excuses.heard(1, id, 0);
    expect(excuses.isExcused(1, id, leaseNs)).toBe(true);
  }, 10_000);
  await vi.waitFor(() => expect(excuses.isExcused(1, id, leaseNs)).toBe(false), 20_000);
  // Heard again, it has a lease anew.
  excuses.heard(1, id, leaseNs);
  expect(excuses.isExcused(1, id, 2 * leaseNs)).toBe(true);
  expect(excuses.isExcused(1, id, 12 * leaseNs)).toBe(false);
  excuses.forget(1);
  expect(excuses.isExcused(1, id, 2 * leaseNs)).toBe(false);
}, 40_000);

it('who is stopped, sleeps or is gone is not', async () => {
  const leaseNs = 60e9;
  const excuses = new Excuses(leaseNs);
  const { child, id } = start(BUSY);
  excuses.heard(1, id, 0);
  await vi.waitFor(() => expect(excuses.isExcused(1, id, leaseNs)).toBe(true), 10_000);
  child.kill('SIGSTOP');
  await vi.waitFor(() => expect(excuses.isExcused(1, id, leaseNs)).toBe(false), 10_000);
  child.kill('SIGCONT');
  await vi.waitFor(() => expect(excuses.isExcused(1, id, leaseNs)).toBe(true), 10_000);
  child.kill('SIGKILL');
  await vi.waitFor(() => expect(excuses.isExcused(1, id, leaseNs)).toBe(false), 10_000);
  const sleeper = start('exec sleep 60');
  await vi.waitFor(() => {
    excuses.heard(2, sleeper.id, 0);
    expect(excuses.isExcused(2, sleeper.id, leaseNs)).toBe(false);
  }, 10_000);
}, 60_000);
