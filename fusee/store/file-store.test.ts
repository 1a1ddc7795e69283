import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { controlPath } from '../control/channel.js';
import { makeControlFolder } from '../fabric/secret.js';
import { findProcess, type ProcessId, thisProcess } from '../fabric/shm-process.js';
import { stateOf } from './by-hand.js';
import { FileStore, forgetMasters } from './file-store.js';
import { inHands, type MasterState, parseState, toFence } from './state.js';

const candidate = { secret: Buffer.from('a secret of some bytes') };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusee-store-'));
  vi.stubEnv('XDG_RUNTIME_DIR', folder);
  makeControlFolder();
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const files = (): string[] => readdirSync(controlPath('.')).sort();

/** A process that can be ended, in the place of a master's. */
function stranger(): { id: ProcessId; end(): Promise<void> } {
  const child = spawn('sleep', ['60']);
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  return { id: findProcess(child.pid as number) as ProcessId, end };
}

/** What a master of another process would have written. */
function writeTerm(term: number, leader: ProcessId | undefined): void {
  writeFileSync(controlPath(`p.master-${term}`), JSON.stringify({ ...stateOf(3), leader }));
}

describe('the embedded store', () => {
  it('gives what the last master kept to the next one, whose term is above', async () => {
    const first = await new FileStore('p').lead(candidate);
    expect([first.number, first.left, first.isHeld]).toEqual([1, undefined, true]);
    await first.save(stateOf(2));
    await first.save(stateOf(3));
    await first.resign(stateOf(3));
    const second = await new FileStore('p').lead(candidate);
    expect([second.number, second.left]).toEqual([2, stateOf(3)]);
    expect(files()).toEqual(['p.master-2']);
    // It has died before it kept anything of its own: what it found is still there.
    await second.resign(second.left ?? null);
    expect((await new FileStore('p').lead(candidate)).left).toEqual(stateOf(3));
  });

  it('keeps whom a master that dies, or fails, while it takes over has not fenced', async () => {
    const [former, taker] = [stranger(), stranger()];
    writeTerm(4, former.id);
    await former.end();
    const second = await new FileStore('p').lead(candidate);
    expect(toFence(second.left as MasterState)).toEqual([former.id]);
    // It dies before it has kept anything.
    const path = controlPath('p.master-5');
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), leader: taker.id }));
    await taker.end();
    const third = await new FileStore('p').lead(candidate);
    expect(toFence(third.left as MasterState)).toEqual([taker.id, former.id]);
    await third.resign(inHands(third.left as MasterState));
    const fourth = await new FileStore('p').lead(candidate);
    expect(toFence(fourth.left as MasterState)).toEqual([taker.id, former.id]);
    // One that has taken over says nothing of them any more.
    await fourth.save({ ...stateOf(4), leader: thisProcess() });
    expect(toFence(parseState(readFileSync(controlPath('p.master-7'), 'utf8'), ''))).toEqual([thisProcess()]);
  });

  it('keeps nothing for a pool that has nothing left', async () => {
    const term = await new FileStore('p').lead(candidate);
    await term.save(stateOf(1));
    await term.resign(null);
    expect(files()).toEqual([]);
  });

  it('lets nobody lead while the master that does is alive, and names it', async () => {
    const master = stranger();
    writeTerm(4, master.id);
    await expect(new FileStore('p').lead(candidate)).rejects.toThrow(
      `pool 'p' has a master already (process ${master.id.pid}); end that one first, or let this one wait`,
    );
    forgetMasters('p');
    expect(files()).toEqual(['p.master-4']);
    await master.end();
    const next = await new FileStore('p').lead(candidate);
    expect([next.number, next.left]).toEqual([5, { ...stateOf(3), leader: master.id }]);
  });

  it('has one that stands by lead as soon as the other has died, and one of several', async () => {
    const master = stranger();
    writeTerm(4, master.id);
    const onStandby = vi.fn();
    const abort = new AbortController();
    const waiting = [0, 1, 2].map(() =>
      new FileStore('p', { waits: true }).lead({ ...candidate, onStandby, signal: abort.signal }),
    );
    await vi.waitFor(() => expect(onStandby).toHaveBeenCalledTimes(3));
    await master.end();
    const term = await Promise.race(waiting);
    expect(term.number).toBe(5);
    abort.abort();
    const settled = await Promise.allSettled(waiting);
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  });

  it('takes no state that is none, and says how to be rid of it', async () => {
    for (const text of [
      '{',
      '{"pool":[]}',
      JSON.stringify({ ...stateOf(1), processes: [{ cid: 1, pid: 0 }] }),
    ]) {
      writeFileSync(controlPath('p.master-1'), text);
      await expect(new FileStore('p').lead(candidate)).rejects.toThrow(
        /p\.master-1, which may be removed when no master runs, cannot be read/,
      );
    }
  });

  it('forgets a pool that is no more, and no other', async () => {
    writeTerm(1, undefined);
    writeFileSync(controlPath('p.master-1.4711'), 'half');
    writeFileSync(controlPath('p.master-x'), '');
    writeFileSync(controlPath('pp.master-1'), '');
    forgetMasters('p');
    expect(files()).toEqual(['p.master-x', 'pp.master-1']);
  });
});
