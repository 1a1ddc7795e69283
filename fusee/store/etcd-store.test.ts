/** Against a real etcd, on its own. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { RealEtcd, stateOf, whyNoEtcd } from './by-hand.js';
import { EtcdStore } from './etcd-store.js';

const isCi = process.env['FUSEE_CI'] === '1';
const secret = Buffer.from('a secret of some bytes');

describe.skipIf(whyNoEtcd !== null && !isCi)(
  `masters by etcd${whyNoEtcd === null ? '' : ` (${whyNoEtcd})`}`,
  () => {
    let etcd: RealEtcd;
    beforeAll(async () => {
      if (whyNoEtcd !== null) throw new Error(whyNoEtcd);
      etcd = await RealEtcd.start();
    }, 30_000);
    afterAll(() => etcd?.end());

    let pools = 0;
    const newPool = (): string => `p${pools++}`;
    const store = (pool: string): EtcdStore => new EtcdStore(pool, { url: etcd.url, seconds: 1 });

    it('one leads, the others stand by, and find what it has kept when it resigns', async () => {
      const pool = newPool();
      const first = await store(pool).lead({ secret });
      expect([first.left, first.isHeld]).toEqual([undefined, true]);
      const onStandby = vi.fn();
      const next = store(pool).lead({ secret, onStandby });
      await vi.waitFor(() => expect(onStandby).toHaveBeenCalled(), 5000);
      await first.save(stateOf(2));
      await first.save(stateOf(3));
      // Far longer than its lease: it is renewed.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      expect([first.isHeld, onStandby.mock.calls.length]).toEqual([true, 1]);
      await first.resign({ ...stateOf(3), leader: { pid: 1, startTime: 1 } });
      const second = await next;
      expect(second.left).toEqual(stateOf(3));
      expect(second.number).toBeGreaterThan(first.number);
      await second.resign(null);
      const third = await store(pool).lead({ secret });
      expect(third.left).toBeUndefined();
      await third.resign(null);
    }, 30_000);

    it('one that etcd does not hear of is replaced, holds nothing by then, and writes in vain', async () => {
      const pool = newPool();
      const first = await store(pool).lead({ secret });
      await first.save(stateOf(1));
      const next = store(pool).lead({ secret });
      const lost = first.lost;
      // Its renewals do not get through, as those of one that is cut off; nobody else has any by then.
      const real = globalThis.fetch;
      const cut = vi.spyOn(globalThis, 'fetch').mockImplementation((url, how) => {
        if (!String(url).endsWith('/v3/lease/keepalive')) return real(url, how);
        return Promise.reject(new Error('cut off'));
      });
      try {
        const second = await next;
        expect([first.isHeld, second.isHeld, second.left]).toEqual([false, true, stateOf(1)]);
        await second.save(stateOf(7));
        await expect(first.save(stateOf(2))).rejects.toThrow('the term of this master is over');
        expect(await lost).toBe('another master has been elected');
        await first.resign(stateOf(2));
        await second.resign(stateOf(7));
      } finally {
        cut.mockRestore();
      }
      const third = await store(pool).lead({ secret });
      expect(third.left).toEqual(stateOf(7));
      await third.resign(null);
    }, 30_000);

    it('while etcd is away nothing may be done; when it is back, the term goes on or is over', async () => {
      const pool = newPool();
      const term = await store(pool).lead({ secret });
      const lost = vi.fn();
      void term.lost.then(lost);
      etcd.signal('SIGSTOP');
      try {
        await vi.waitFor(() => expect(term.isHeld).toBe(false), 5000);
        expect(lost).not.toHaveBeenCalled();
      } finally {
        etcd.signal('SIGCONT');
      }
      await vi.waitFor(() => expect(term.isHeld || lost.mock.calls.length > 0).toBe(true), 10_000);
      if (lost.mock.calls.length === 0) await term.resign(null);
    }, 30_000);

    it('one whose states etcd refuses for good leads no more, says why, and another may lead at once', async () => {
      const pool = newPool();
      const first = await store(pool).lead({ secret });
      await first.save(stateOf(1));
      const onStandby = vi.fn();
      const next = store(pool).lead({ secret, onStandby });
      next.catch(() => {});
      await vi.waitFor(() => expect(onStandby).toHaveBeenCalled(), 5000);
      await etcd.setFull(true);
      try {
        const refused = /etcd at [\d.:]+ refuses \/v3\/kv\/txn: .*database space exceeded; compact and/;
        await expect(first.save(stateOf(2))).rejects.toThrow(refused);
        expect([await first.lost, first.isHeld]).toEqual([expect.stringMatching(refused), false]);
        // What is left of its term is over too, and ends nothing of what follows.
        await first.resign(stateOf(2));
        await expect(next).rejects.toThrow(/refuses .*database space exceeded/);
      } finally {
        await etcd.setFull(false);
      }
      const third = await store(pool).lead({ secret });
      expect(third.left).toEqual(stateOf(1));
      await third.resign(null);
    }, 30_000);

    it('a state that somebody without the secret has written is refused, and nobody leads by it', async () => {
      const pool = newPool();
      await etcd.put(`fusee/${pool}/state`, `${'0'.repeat(64)} ${JSON.stringify(stateOf(1))}`);
      await expect(store(pool).lead({ secret })).rejects.toThrow(
        /key fusee\/p\d+\/state of etcd was not written under our secret; give all masters/,
      );
      await etcd.put(`fusee/${pool}/state`, 'nonsense');
      await expect(store(pool).lead({ secret })).rejects.toThrow(/was not written under our secret/);
      const other = newPool();
      const term = await store(other).lead({ secret });
      await term.save(stateOf(1));
      await term.resign(stateOf(1));
      await expect(store(other).lead({ secret: Buffer.from('another secret than that') })).rejects.toThrow(
        /not written under our secret/,
      );
    }, 30_000);

    it('one that waits gives up when it is told to', async () => {
      const pool = newPool();
      const term = await store(pool).lead({ secret });
      const abort = new AbortController();
      const waiting = store(pool).lead({ secret, signal: abort.signal, onStandby: () => abort.abort() });
      await expect(waiting).rejects.toThrow(/abort/i);
      await term.resign(null);
    }, 30_000);
  },
);

describe('refused at once:', () => {
  it('addresses that are none, and election times that etcd cannot keep', async () => {
    for (const url of [
      'etcd://',
      'http://h:1',
      'etcd://user:word@h:1',
      'etcd://h:1/path',
      'etcd://h:1,:2',
      'x',
    ]) {
      expect(() => new EtcdStore('p', { url, seconds: 2 })).toThrow(
        /write etcd:\/\/host:port\[,host:port\], without names, passwords or a path/,
      );
    }
    for (const seconds of [0, 0.5, 61, Number.NaN]) {
      expect(() => new EtcdStore('p', { url: 'etcd://h', seconds })).toThrow(
        /choose whole seconds from 1 to 60/,
      );
    }
  });

  it('an etcd that is not there', async () => {
    await expect(
      new EtcdStore('p', { url: 'etcd://127.0.0.1:1', seconds: 1 }).lead({ secret }),
    ).rejects.toThrow(/etcd at 127\.0\.0\.1:1 does not answer \/v3\/kv\/txn: /);
  });
});
