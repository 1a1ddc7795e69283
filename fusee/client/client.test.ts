import { describe, expect, it } from 'vitest';
import { Janitor } from '../background/index.js';
import { RpcOperation, readRequest } from '../memory/index.js';
import { CorruptionError, UsageError } from '../verbs/index.js';
import { Client } from './client.js';
import { payloadLimit } from './limits.js';
import { memoryPool } from './memory-client.js';

type ClientOptions = NonNullable<ConstructorParameters<typeof Client>[1]>;

function setUp(
  coroutines = 4,
  config: Parameters<typeof memoryPool>[0] = {},
  { leave = async () => undefined, ...options }: ClientOptions & { leave?: () => Promise<void> } = {},
) {
  const pool = memoryPool(config);
  const { fabric, state } = pool.join(coroutines);
  const janitor = new Janitor(state);
  return {
    ...pool,
    fabric,
    client: new Client({ fabric, state, janitor, giveUpPlace: leave }, options),
  };
}

const text = (result: { outcome: string; value?: Uint8Array }): string =>
  result.value === undefined ? result.outcome : Buffer.from(result.value).toString();

describe('requests', () => {
  it('answer with values, not with exceptions, whatever the key is', async () => {
    const { client } = setUp();
    expect(await client.search('k')).toEqual({ outcome: 'NOT_FOUND' });
    expect(await client.update('k', 'v')).toEqual({ outcome: 'NOT_FOUND' });
    expect(await client.delete('k')).toEqual({ outcome: 'NOT_FOUND' });
    expect(await client.insert('k', 'one')).toEqual({ outcome: 'OK' });
    expect(await client.insert('k', 'two')).toEqual({ outcome: 'EXISTS' });
    expect(text(await client.search('k'))).toBe('one');
    expect(await client.update('k', 'three')).toEqual({ outcome: 'OK' });
    expect(text(await client.search('k'))).toBe('three');
    expect(await client.put('k', 'four')).toEqual({ outcome: 'OK' });
    expect(await client.put('l', 'five')).toEqual({ outcome: 'OK' });
    expect([text(await client.search('k')), text(await client.search('l'))]).toEqual(['four', 'five']);
    expect(await client.delete('k')).toEqual({ outcome: 'OK' });
    expect(await client.search('k')).toEqual({ outcome: 'NOT_FOUND' });
    await client.close();
  });

  it('beyond the coroutines queue, and all end', async () => {
    const { client } = setUp(3);
    const keys = Array.from({ length: 150 }, (_, i) => `key${i}`);
    const inserted = await Promise.all(keys.map((key) => client.insert(key, `value of ${key}`)));
    expect(new Set(inserted.map((r) => r.outcome))).toEqual(new Set(['OK']));
    const found = await Promise.all(keys.map((key) => client.search(key)));
    expect(found.map(text)).toEqual(keys.map((key) => `value of ${key}`));
    await client.close();
  });

  it('of one coroutine run in the order they were issued', async () => {
    const { client } = setUp(1);
    await client.insert('k', '0');
    const order: string[] = [];
    const requests = Array.from({ length: 50 }, async (_, i) => {
      const [, seen] = await Promise.all([client.update('k', `${i + 1}`), client.search('k')]);
      order.push(text(seen));
    });
    await Promise.all(requests);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => `${i + 1}`));
    await client.close();
  });

  it('take bytes and strings alike, and keep every byte', async () => {
    const { client } = setUp();
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    const key = new Uint8Array([0, 255, 10]);
    await client.insert(key, value);
    expect(await client.search(key)).toEqual({ outcome: 'OK', value });
    await client.insert('grüße', 'schöne');
    expect(text(await client.search(Buffer.from('grüße', 'utf8')))).toBe('schöne');
    await client.insert('empty', '');
    expect(await client.search('empty')).toEqual({ outcome: 'OK', value: new Uint8Array(0) });
    await client.close();
  });

  it.each([
    ['Uint8Array', (s: string) => new Uint8Array(Buffer.from(s))],
    ['Buffer', (s: string) => Buffer.from(s)],
    ['part of a larger one', (s: string) => Buffer.from(`xx${s}yy`).subarray(2, 2 + s.length)],
  ])('copy the bytes of a %s: the caller may change them at once', async (_, make) => {
    const { client } = setUp(1);
    const [key, value] = [make('mine'), make('first')];
    const pending = [client.insert('other', 'x'), client.insert(key, value)];
    key.fill(1);
    value.fill(2);
    await Promise.all(pending);
    expect(text(await client.search('mine'))).toBe('first');
    await client.close();
  });

  it('give out values of their own: later requests do not change them', async () => {
    const { client } = setUp(1);
    await client.insert('a', 'first');
    await client.insert('b', 'other');
    const first = await client.search('a');
    await client.search('b');
    expect(text(first)).toBe('first');
    await client.close();
  });
});

describe('limits', () => {
  it('refuse a key of 0 bytes, and too many bytes, with numbers; the largest object passes', async () => {
    const { client } = setUp();
    const limit = payloadLimit(client.geometry);
    await expect(client.search('')).rejects.toThrow('the key has 0 bytes; a key needs at least 1');
    const value = 'x'.repeat(limit - 1);
    expect(await client.insert('k', value)).toEqual({ outcome: 'OK' });
    expect(text(await client.search('k'))).toBe(value);
    const refused = client.update('k', `${value}x`);
    await expect(refused).rejects.toBeInstanceOf(UsageError);
    await expect(refused).rejects.toThrow(
      `make ${limit + 1} bytes, the largest object of this pool holds ${limit}`,
    );
    await expect(client.search('k'.repeat(limit + 1))).rejects.toBeInstanceOf(UsageError);
    expect(text(await client.search('k'))).toBe(value);
    await client.close();
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, 'number'],
    [{ length: 3 }, 'object'],
    [Symbol('k'), 'symbol'],
  ])('refuse %s, which is neither bytes nor string, as a key and as a value', async (what, named) => {
    const { client } = setUp();
    for (const [part, refused] of [
      ['key', client.search(what as never)],
      ['key', client.delete(what as never)],
      ['value', client.insert('k', what as never)],
    ] as const) {
      await expect(refused).rejects.toBeInstanceOf(UsageError);
      await expect(refused).rejects.toThrow(`the ${part} is ${named}; give a Uint8Array or a string`);
    }
    await client.close();
  });

  it('refuse strings that UTF-8 cannot tell apart: lone surrogates would all become one character', async () => {
    const { client } = setUp();
    await client.insert('\uFFFD', 'the replacement itself');
    for (const refused of [client.search('\uD800'), client.put('k', 'a\uDC00b'), client.delete('x\uDBFF')]) {
      await expect(refused).rejects.toBeInstanceOf(UsageError);
      await expect(refused).rejects.toThrow(
        /^the (key|value) has a lone surrogate, which UTF-8 cannot hold; give its bytes as a Uint8Array$/,
      );
    }
    expect(await client.insert('\uD83D\uDE00', 'a pair is a character')).toEqual({ outcome: 'OK' });
    await client.close();
  });
});

describe('the queue', () => {
  it('has a limit, which an error names with the way out; what waits is served, and then there is room', async () => {
    const { client } = setUp(2, {}, { queueLimit: 5 });
    await client.insert('k', 'v');
    const issued = Array.from({ length: 8 }, () => client.search('k'));
    const ended = await Promise.allSettled(issued);
    expect(ended.map((e) => e.status)).toEqual([
      ...new Array(5).fill('fulfilled'),
      ...new Array(3).fill('rejected'),
    ]);
    await expect(issued[5]).rejects.toBeInstanceOf(UsageError);
    await expect(issued[5]).rejects.toThrow(
      '5 requests wait, as many as queueLimit lets; await some before issuing more, or raise queueLimit',
    );
    expect(text(await client.search('k'))).toBe('v');
    await client.close();
  });

  it('counts only what waits: requests in flight have left it', async () => {
    const { client } = setUp(2, {}, { queueLimit: 3 });
    await client.insert('k', 'v');
    let served = 0;
    const keepBusy = async (): Promise<void> => {
      for (let i = 0; i < 200; i++, served++) await client.search('k');
    };
    await Promise.all([keepBusy(), keepBusy(), keepBusy()]);
    expect(served).toBe(600);
    await client.close();
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 24 + 1, '8'])('may not have the limit %s', (queueLimit) => {
    expect(() => setUp(1, {}, { queueLimit: queueLimit as number })).toThrow(UsageError);
    expect(() => setUp(1, {}, { queueLimit: queueLimit as number })).toThrow(
      `queueLimit is ${queueLimit}; choose a whole number from 1 to 16777216`,
    );
  });
});

describe('a closed client', () => {
  it('has finished what was issued before, and refuses the rest', async () => {
    const { client } = setUp(2);
    const issued = Array.from({ length: 20 }, (_, i) => client.insert(`k${i}`, 'v'));
    const closed = client.close();
    for (const late of [client.search('k0'), client.put('k0', 'w'), client.poolStats()]) {
      await expect(late).rejects.toBeInstanceOf(UsageError);
      await expect(late).rejects.toThrow('the client is closed; connect again');
    }
    await closed;
    expect([client.stats().requests.insert.count, client.geometry.config.nodes]).toEqual([20, 2]);
    expect((await Promise.all(issued)).every((r) => r.outcome === 'OK')).toBe(true);
    await client.close();
  });

  it('leaves the pool once, when all is finished and before the fabric goes', async () => {
    let left = 0;
    const leave = async (): Promise<void> => {
      left++;
      expect([made.client.stats().requests.insert.count, made.fabric.outstanding]).toEqual([20, 0]);
    };
    const made = setUp(2, {}, { leave });
    const { client } = made;
    const issued = Array.from({ length: 20 }, (_, i) => client.insert(`k${i}`, 'v'));
    await Promise.all([client.close(), client.close(), ...issued]);
    await client.close();
    expect(left).toBe(1);
  });
});

describe('a client whose pool is corrupt', () => {
  it('rejects what runs, what waits and what comes later, and can be closed', async () => {
    let left = 0;
    const { client, fabric } = setUp(2, {}, { leave: async () => void left++ });
    await client.insert('k', 'v');
    const poll = fabric.poll.bind(fabric);
    fabric.poll = (done) => {
      poll(done);
      throw new CorruptionError('bytes are wrong');
    };
    const issued = Array.from({ length: 5 }, () => client.search('k'));
    const results = await Promise.allSettled(issued);
    expect(results.map((r) => r.status)).toEqual(new Array(5).fill('rejected'));
    await expect(client.search('k')).rejects.toBeInstanceOf(CorruptionError);
    await expect(client.poolStats()).rejects.toBeInstanceOf(CorruptionError);
    await client.close();
    // Its requests may be half done: it keeps its place until recovery has seen to them.
    expect(left).toBe(0);
  });
});

describe('statistics', () => {
  it('count requests and their exact costs, per kind', async () => {
    const { client } = setUp(1);
    await client.insert('k', 'v');
    await client.search('k');
    await client.search('k');
    await client.search('none');
    const { requests, cache, blocks } = client.stats();
    expect(requests.search).toMatchObject({ count: 3, rtts: 1 + 1 + 1 });
    expect(requests.insert.count).toBe(1);
    expect([requests.update.count, requests.delete.count, requests.put.count]).toEqual([0, 0, 0]);
    expect([cache.hits, blocks]).toEqual([2, 1]);
    await client.close();
  });

  it('of the pool come while requests run, without losing one, and several at once', async () => {
    const { client, config } = setUp(2);
    const before = Array.from({ length: 60 }, (_, i) => client.insert(`k${i}`, 'v'));
    const asked = [client.poolStats(), client.poolStats(), client.poolStats()];
    const after = Array.from({ length: 60 }, (_, i) => client.put(`k${i}`, 'w'));
    const stats = await Promise.all(asked);
    for (const { blocksUsed, config: told } of stats) {
      expect(blocksUsed.length).toBe(2);
      expect(told).toEqual(config);
    }
    const all = await Promise.all([...before, ...after]);
    expect(new Set(all.map((r) => r.outcome))).toEqual(new Set(['OK']));
    const { blocksUsed } = await client.poolStats();
    expect(blocksUsed.reduce((a, b) => a + b)).toBe(client.stats().blocks);
    await client.close();
  });

  it('of the pool are asked for one after the other: calls share a frame', async () => {
    const { client, fabric } = setUp(1);
    const [post, poll] = [fabric.post.bind(fabric), fabric.poll.bind(fabric)];
    let overlaps = 0;
    let delay = 0;
    fabric.post = (batch) => {
      if (fabric.outstanding > 0) overlaps++;
      delay = 3;
      return post(batch);
    };
    fabric.poll = (done) => (delay-- > 0 ? 0 : poll(done));
    const stats = await Promise.all([client.poolStats(), client.poolStats(), client.poolStats()]);
    expect(stats.map((s) => s.blocksUsed)).toEqual(new Array(3).fill([0, 0]));
    expect(overlaps).toBe(0);
    await client.close();
  });

  it('of the pool are not starved by requests that never stop coming', async () => {
    const { client } = setUp(2);
    await client.insert('k', 'v');
    let isDone = false;
    let searches = 0;
    const keepBusy = async (): Promise<void> => {
      for (; !isDone && searches < 100_000; searches++) await client.search('k');
    };
    const busy = [keepBusy(), keepBusy(), keepBusy()];
    await client.poolStats();
    isDone = true;
    await Promise.all(busy);
    expect(searches).toBeLessThan(100_000);
    await client.close();
  });

  it('of a pool with a dead node say which node is silent', async () => {
    const { client, nodes } = setUp(1);
    nodes.kill(1);
    await expect(client.poolStats()).rejects.toThrow('node 1 did not answer within 3 tries');
    await client.close();
  });
});

describe('a call to a node', () => {
  it('is repeated under the same id when no answer comes, so that it takes effect once', async () => {
    const { client, nodes } = setUp(1);
    const call = nodes.call.bind(nodes);
    const ids: number[] = [];
    nodes.call = (mn, request) => {
      const { operation, requestId } = readRequest(request, 0);
      if (mn !== 0 || operation !== RpcOperation.STATS) return call(mn, request);
      ids.push(requestId);
      return ids.length < 3 ? undefined : call(mn, request);
    };
    await client.poolStats();
    expect(ids.length).toBe(3);
    expect(new Set(ids).size).toBe(1);
    await client.close();
  });

  it('ignores an answer to another request', async () => {
    const { client, nodes } = setUp(1);
    const call = nodes.call.bind(nodes);
    nodes.call = (mn, request) => {
      const answer = call(mn, request);
      answer?.fill(77);
      return answer;
    };
    await expect(client.poolStats()).rejects.toThrow('node 0 did not answer');
    await client.close();
  });
});
