import { expect, it } from 'vitest';
import { memoryPool } from '../client/memory-client.js';
import { Reactor } from '../client/reactor.js';
import { HEADER_BYTES } from '../layout/index.js';
import { type Coroutine, Outcome, RequestKind } from '../ops/index.js';
import { Janitor } from './index.js';

it('keeps memory flat under churn', () => {
  const pool = memoryPool({
    regionBytes: 1 << 18,
    blockBytes: 1 << 12,
    regionsPerNode: 2,
    groupsPerSubtable: 32,
  });
  const values = new Map<string, number>();
  let left = 0;
  let serial = 0;
  const outcomes: Record<number, number> = {};
  const clients = [0, 1].map((c) => {
    const client = pool.join(3);
    const janitor = new Janitor(client.state);
    for (const op of [janitor.enter()]) {
      for (let s = op.next(); !s.done; s = op.next()) {
        client.fabric.post(s.value);
        while (client.fabric.poll([]) === 0);
      }
    }
    const kinds: RequestKind[] = [];
    const keys: string[] = [];
    const next = (co: Coroutine) => {
      if (left === 0) return null;
      left--;
      const i = co.cx.coroutine;
      const key = `k${c}.${i}.${Math.floor(Math.random() * 50)}`;
      const kind = values.has(key)
        ? [RequestKind.UPDATE, RequestKind.SEARCH, RequestKind.DELETE, RequestKind.UPDATE][
            Math.floor(Math.random() * 4)
          ]
        : RequestKind.INSERT;
      const value = Buffer.alloc(60 + (serial % 3) * 50);
      value.writeUInt32LE(++serial);
      const at = co.cx.object + HEADER_BYTES;
      co.cx.client.local.bytes.set(Buffer.from(key), at);
      co.cx.client.local.bytes.set(value, at + key.length);
      co.cx.keyBytes = key.length;
      co.cx.valueBytes = value.length;
      kinds[i] = kind;
      keys[i] = key;
      return co.loops[kind];
    };
    const ended = (co: Coroutine) => {
      const i = co.cx.coroutine;
      outcomes[co.cx.outcome] = (outcomes[co.cx.outcome] ?? 0) + 1;
      expect(co.cx.outcome).toBe(Outcome.OK);
      if (kinds[i] === RequestKind.DELETE) values.delete(keys[i]);
      else if (kinds[i] === RequestKind.SEARCH)
        expect(
          Buffer.from(co.cx.client.local.bytes.slice(co.cx.foundAt, co.cx.foundAt + 4)).readUInt32LE(),
        ).toBe(values.get(keys[i]));
      else
        values.set(
          keys[i],
          Buffer.from(
            co.cx.client.local.bytes.slice(co.cx.keyAt + keys[i].length, co.cx.keyAt + keys[i].length + 4),
          ).readUInt32LE(),
        );
    };
    const ledger = { add() {} } as never;
    const reactor = new Reactor(
      client.fabric,
      client.coroutines,
      { next, ended, ledger: () => ledger },
      { deadlineNs: 1e9, janitor },
    );
    return { client, reactor, janitor };
  });
  for (let round = 0; round < 10; round++) {
    left = 10_000;
    for (const { reactor } of clients) reactor.wake();
    while (left > 0 || clients.some((c) => c.reactor.active > 0))
      for (const { reactor } of clients) reactor.turn();
    console.log(
      round,
      clients.map(
        ({ client, janitor }) =>
          `${client.state.slab.blocks} blocks, ${janitor.reclaim.freed} freed, ${janitor.reclaim.reclaimed} reclaimed, awaiting ${janitor.reclaim.awaiting}`,
      ),
      clients[0].reactor.background.backgroundVerbs,
    );
  }
});
