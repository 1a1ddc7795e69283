import { describe, expect, it, vi } from 'vitest';
import type { FromMaster } from '../control/messages.js';
import type { Peer } from '../control/server.js';
import { LAYOUT_VERSION } from '../layout/index.js';
import { Master } from '../master/index.js';
import { smallPool } from '../node/in-process.js';
import { type DeskHost, SpareDesk } from './spare-desk.js';

const CONFIG = smallPool();
const PROCESS = { pid: 7, startTime: 1 };
const SPARE = { type: 'spare', layout: LAYOUT_VERSION, config: CONFIG, ...PROCESS } as const;

/** A desk with the product's master behind it, whose nodes are dead that are named; and what peers hear. */
function deskOf(dead: readonly number[] = [], changes: Partial<DeskHost> & { offerMs?: number } = {}) {
  const master = new Master({ leaseNs: 100 }, { view: { number: 2, dead }, members: [] });
  const host: DeskHost = {
    config: CONFIG,
    fabricKind: 'shm',
    spares: master.spares,
    isDead: (mn) => master.view.dead.includes(mn),
    changed: () => {
      for (const effect of master.provide()) if (effect.do === 'assign') desk.assign(effect);
    },
    log: () => {},
    ...changes,
  };
  const desk: SpareDesk = new SpareDesk(host, changes);
  const join = (message: Parameters<SpareDesk['heard']>[1]): { peer: Peer; heard: FromMaster[] } => {
    const heard: FromMaster[] = [];
    const peer: Peer = { cid: 0, send: (told) => heard.push(told), drop: () => {} };
    expect(desk.heard(peer, message)).toBe(true);
    return { peer, heard };
  };
  return { desk, master, join };
}

describe('the desk of a master', () => {
  it('has spares wait, and tells the first of a place', () => {
    const { desk, master, join } = deskOf([1]);
    const first = join(SPARE);
    expect(first.heard).toEqual([{ type: 'waiting' }, { type: 'assign', mn: 1, isReplacing: false }]);
    expect(join(SPARE).heard).toEqual([{ type: 'waiting' }]);
    expect(master.spares.waiting).toBe(1);
    desk.close();
  });

  it('gives the place of one that is gone, or does not offer itself in time, to the next', async () => {
    const { desk, master, join } = deskOf([1], { offerMs: 300 });
    const [gone, hung, last] = [join(SPARE), join(SPARE), join(SPARE)];
    desk.gone(gone.peer);
    expect(hung.heard.at(-1)).toEqual({ type: 'assign', mn: 1, isReplacing: false });
    const isRefused = { type: 'refused', reason: 'it has not offered itself within 300 ms' };
    await vi.waitFor(() => expect(hung.heard.at(-1)).toEqual(isRefused), { timeout: 5000, interval: 5 });
    expect(last.heard.at(-1)).toMatchObject({ type: 'assign', mn: 1 });
    // Who has offered itself is of others' concern.
    const offer = { type: 'offer', mn: 1, isReplacing: false, isSpare: true, ...PROCESS } as const;
    expect(desk.heard(last.peer, offer)).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(last.heard.at(-1)).toMatchObject({ type: 'assign', mn: 1 });
    desk.entered(1);
    desk.gone(last.peer);
    expect(master.spares.isQuiet).toBe(true);
    desk.close();
  });

  it('refuses another layout or shape, and where no place can be filled', () => {
    const { join } = deskOf();
    const reasonOf = ({ heard: [answer] }: { heard: FromMaster[] }): string =>
      answer.type === 'refused' ? answer.reason : answer.type;
    expect(reasonOf(join({ ...SPARE, layout: 1 }))).toMatch(
      /^it has layout version 1, the pool \d+; use the/,
    );
    const other = { ...CONFIG, blockBytes: 1 << 15 };
    expect(reasonOf(join({ ...SPARE, config: other }))).toMatch(/^it was started with blockBytes 32768, the/);
    expect(reasonOf(deskOf([], { fabricKind: 'tcp' }).join(SPARE))).toMatch(
      /over tcp, where spares take no places yet/,
    );
  });

  it('has a node drained onto a spare, and says when that is so, or that it cannot be', () => {
    const { desk, join } = deskOf([2]);
    const drain = (mn: number) => join({ type: 'drain', mn });
    expect(drain(3).heard).toEqual([{ type: 'refused', reason: 'the pool has nodes 0 to 2' }]);
    expect(drain(2).heard).toMatchObject([{ reason: 'it is dead; a spare takes its place by itself' }]);
    expect(drain(0).heard).toMatchObject([{ reason: expect.stringMatching(/^no spare waits/) }]);
    const forDead = join(SPARE);
    const spare = join(SPARE);
    const asked = drain(0);
    expect(forDead.heard.at(-1)).toMatchObject({ mn: 2, isReplacing: false });
    expect(spare.heard.at(-1)).toEqual({ type: 'assign', mn: 0, isReplacing: true });
    expect(drain(0).heard).toMatchObject([{ reason: 'it is being drained already' }]);
    desk.entered(0);
    expect(asked.heard).toEqual([{ type: 'drained', mn: 0 }]);
    desk.close();
  });

  it('tells who waits for a drain that its spare is gone, when there is no other', () => {
    const { desk, join } = deskOf();
    const spare = join(SPARE);
    const asked = join({ type: 'drain', mn: 1 });
    desk.gone(spare.peer);
    expect(asked.heard).toMatchObject([
      { type: 'refused', reason: expect.stringMatching(/spare .* is gone/) },
    ]);
    // Nobody drains it any more.
    expect(join(SPARE).heard).toEqual([{ type: 'waiting' }]);
    desk.close();
  });
});
