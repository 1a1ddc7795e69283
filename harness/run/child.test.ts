import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { smallPool } from '../../fusee/node/in-process.js';
import { FabricError, UsageError } from '../../fusee/verbs/index.js';
import { Child, PlannedDeath } from './child.js';
import type { FromNode, ToNode } from './messages.js';

type NodeChild = Child<ToNode, FromNode>;

const children: NodeChild[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.end()));
  // What a killed one leaves.
  sweepRegions(POOL);
});

const POOL = `test-${process.pid}-child`;
const REGION = `/dev/shm/fusee-${POOL}-0`;
const config = smallPool({ nodes: 1, indexReplicas: 1, dataReplicas: 1, regionsPerNode: 1 });

function fork(): NodeChild {
  const child: NodeChild = new Child('memory node 0', './node-process');
  children.push(child);
  return child;
}

async function start(): Promise<NodeChild> {
  const child = fork();
  const ready = child.expect('ready');
  child.tell({ type: 'start', pool: POOL, mn: 0, config });
  await ready;
  return child;
}

/** A zombie counts as gone. */
const isRunning = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describe('a child', () => {
  it('answers, and ends when it is told, leaving nothing', async () => {
    const child = await start();
    expect(existsSync(REGION)).toBe(true);
    await child.end();
    expect([isRunning(child.pid), existsSync(REGION)]).toEqual([false, false]);
  });

  it('that reports an error rejects what is awaited with its class and its name in front', async () => {
    const child = fork();
    const ready = child.expect('ready');
    child.tell({ type: 'start', pool: POOL, mn: 0, config: { ...config, nodes: 0 } });
    await expect(ready).rejects.toBeInstanceOf(UsageError);
    await expect(ready).rejects.toThrow('memory node 0: nodes is 0; a pool has 1 to 64');
    expect(await child.failure).toBeInstanceOf(UsageError);
    // Whoever asks later hears it too.
    await expect(child.expect('ready')).rejects.toThrow('nodes is 0');
  });

  it('that is killed as planned has not failed; whoever awaits it hears that it has died', async () => {
    const child = await start();
    let failure: Error | null = null;
    void child.failure.then((error) => {
      failure = error;
    });
    const awaited = child.expect('ready');
    child.kill();
    await expect(awaited).rejects.toBeInstanceOf(PlannedDeath);
    await child.death;
    expect([child.isDead, failure, isRunning(child.pid)]).toEqual([true, null, false]);
    await expect(child.expect('ready')).rejects.toBeInstanceOf(PlannedDeath);
  });

  it('that is killed is noticed at once, also when nobody awaits it', async () => {
    const child = await start();
    process.kill(child.pid, 'SIGKILL');
    const failure = await child.failure;
    expect(failure).toBeInstanceOf(FabricError);
    expect(failure.message).toBe('memory node 0 ended unexpectedly (SIGKILL)');
  });

  it('that dies of an error of its own passes on what it said', async () => {
    const child = fork();
    child.tell('nonsense' as never);
    child.tell(null as never);
    const { message } = await child.failure;
    expect(message).toMatch(/^memory node 0/);
  });

  it('that falls silent is given up after the time told, and killed at the end', async () => {
    const child = await start();
    process.kill(child.pid, 'SIGSTOP');
    const awaited = child.expect('ready', { silentMs: 200 });
    await expect(awaited).rejects.toThrow(`memory node 0 (process ${child.pid}) was silent for 0.2 s`);
    await child.end();
    expect(isRunning(child.pid)).toBe(false);
  });

  it('leads a process group of its own: Ctrl-C on the terminal is not for it', async () => {
    const child = await start();
    const group = (pid: number | 'self'): string =>
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ')[2];
    expect(group(child.pid)).toBe(String(child.pid));
    expect(group('self')).not.toBe(group(child.pid));
  });

  it('takes messages after its end without complaint', async () => {
    const child = await start();
    await child.end();
    child.tell({ type: 'start', pool: POOL, mn: 0, config });
    await child.end();
  });
});
