/** Objects of every size, torn ones, and keys that look alike. */
import { describe, expect, it } from 'vitest';
import {
  HEADER_BYTES,
  LINE_BYTES,
  LogField,
  MAX_PAYLOAD_BYTES,
  ownerPointer,
  slotLines,
} from '../layout/index.js';
import { CorruptionError, type Word, word } from '../verbs/index.js';
import { type ByHand, keysAlike, poolByHand } from './by-hand.js';
import { Outcome } from './index.js';

const read = (client: ByHand, key: string): string | Outcome => {
  const outcome = client.search(key).finish();
  return outcome === Outcome.OK ? client.value : outcome;
};

describe.each([1, 3])('sizes (%i index replicas)', (indexReplicas) => {
  it('at every edge of a line and of a class come back byte by byte', () => {
    const { clients } = poolByHand({ indexReplicas, regionsPerNode: 4 });
    const [a, b] = clients;
    for (const total of [2, 34, 35, 98, 99, 2018, 2019, 2274, 2275, 16000, MAX_PAYLOAD_BYTES]) {
      for (const keyBytes of [1, 3, 8, Math.min(total - 1, 40)]) {
        if (keyBytes >= total) continue;
        const key = `${total}`.padEnd(keyBytes, `${keyBytes}`).slice(0, keyBytes);
        const value = Array.from({ length: total - keyBytes }, (_, i) =>
          String.fromCharCode((i * 7 + total) & 255),
        ).join('');
        expect(a.put(key, value).finish()).toBe(Outcome.OK);
        expect(read(a, key) === value).toBe(true);
        expect(read(b, key) === value).toBe(true);
      }
    }
  });

  it('of nothing are a value too: a key of 1 byte, a value of 0', () => {
    const { clients } = poolByHand({ indexReplicas });
    const [a, b] = clients;
    expect(a.insert('k', '').finish()).toBe(Outcome.OK);
    expect([read(b, 'k'), b.insert('k', 'x').finish()]).toEqual(['', Outcome.EXISTS]);
    expect([b.update('k', '').finish(), read(a, 'k')]).toEqual([Outcome.OK, '']);
    expect([b.delete('k').finish(), read(a, 'k')]).toEqual([Outcome.OK, Outcome.NOT_FOUND]);
  });

  it('of the longest key leave room for nothing else, and it can be deleted', () => {
    const { clients } = poolByHand({ indexReplicas });
    const [a, b] = clients;
    const key = 'k'.repeat(MAX_PAYLOAD_BYTES);
    expect([a.insert(key, '').finish(), read(b, key)]).toEqual([Outcome.OK, '']);
    const other = `${key.slice(1)}l`;
    expect([read(b, other), b.delete(key).finish(), read(a, key)]).toEqual([
      Outcome.NOT_FOUND,
      Outcome.OK,
      Outcome.NOT_FOUND,
    ]);
  });

  it('that shrink or grow replace each other, and nothing of the longer one shows', () => {
    const { clients } = poolByHand({ indexReplicas });
    const [a, b] = clients;
    a.insert('k', 'x'.repeat(5000)).finish();
    for (const n of [3, 4000, 0, 64, 1]) {
      expect([a.update('k', 'y'.repeat(n)).finish(), read(b, 'k')]).toEqual([Outcome.OK, 'y'.repeat(n)]);
    }
  });
});

describe('an object in memory', () => {
  it('is header, key, value, zeroes and a log entry that names its neighbours, on every data replica', () => {
    const { clients, nodes, view } = poolByHand({ dataReplicas: 3, subtables: 1, groupsPerSubtable: 2 });
    const [a] = clients;
    const pointers: number[] = [];
    const nexts: number[] = [];
    for (const key of ['one', 'two', 'six']) {
      a.insert(key, 'value').finish();
      pointers.push(a.cx.objectPointer);
      const images = [0, 1, 2].map((r) => {
        const bytes = new Uint8Array(64);
        nodes.read(view.dataMn(a.cx.cell, r), view.dataOffset(a.cx.cell, r), bytes, 0, 64);
        return Buffer.from(bytes);
      });
      expect(images[1].equals(images[0]) && images[2].equals(images[0])).toBe(true);
      const [image] = images;
      expect([image.readUInt16LE(0), image.readUInt16LE(2)]).toEqual([3, 5]);
      expect(image.subarray(HEADER_BYTES, HEADER_BYTES + 8).toString()).toBe(`${key}value`);
      expect(image.subarray(16, 42)).toEqual(Buffer.alloc(26));
      nexts.push(image.readUIntLE(64 + LogField.NEXT, 6));
      expect(image.readUIntLE(64 + LogField.PREV, 6)).toBe(pointers.at(-2) ?? 0);
      // The slot was EMPTY, and the log says so: complete, by its CRC.
      expect(image.readBigUInt64LE(64 + LogField.OLD_VALUE)).toBe(0n);
      expect(image[64 + LogField.OLD_VALUE_CRC]).not.toBe(0);
      expect(image[63]).toBe((1 << 1) | 1);
    }
    expect(nexts.slice(0, 2)).toEqual(pointers.slice(1));
    a.update('one', 'other').finish();
    const byte = new Uint8Array(1);
    nodes.read(view.dataMn(a.cx.cell, 1), view.dataOffset(a.cx.cell, 1) + 63, byte, 0, 1);
    expect(byte[0]).toBe((2 << 1) | 1);
  });

  it('is right-aligned in its cell: the slot names its first line, the cell ends with its last', () => {
    const { clients, geometry } = poolByHand({});
    const [a] = clients;
    // 33 lines go to a class of 36.
    a.insert('k', 'x'.repeat(33 * 64 - 31)).finish();
    expect([a.cx.lines, a.cx.objectPointer]).toEqual([33, a.cx.cell - 32 * LINE_BYTES]);
    const cellsStart = (a.cx.cell % geometry.config.blockBytes) - geometry.cellsOffset + LINE_BYTES;
    expect(cellsStart % (36 * LINE_BYTES)).toBe(0);
  });
});

describe.each([1, 3])('a torn object (%i index replicas)', (indexReplicas) => {
  /** A stored key, and how to break or mend one byte of its object. */
  function stored() {
    const pool = poolByHand({
      indexReplicas,
      dataReplicas: 1,
      subtables: 1,
      groupsPerSubtable: 2,
      clients: 3,
    });
    const [a, b] = pool.clients;
    const keys = keysAlike(pool.config, 2);
    for (const client of pool.clients) client.warm(8, 5);
    a.insert(keys[0], 'value').finish();
    const pointer = a.cx.objectPointer;
    const flip = (at: number, object = pointer): void => {
      const byte = new Uint8Array(1);
      const where = pool.view.dataOffset(object, 0) + at;
      pool.nodes.read(pool.view.dataMn(object, 0), where, byte, 0, 1);
      byte[0] ^= 0x80;
      pool.nodes.write(pool.view.dataMn(object, 0), where, byte, 0, 1);
    };
    return { ...pool, a, b, keys, flip };
  }

  it.each([
    ['lengths', 0],
    ['value length', 3],
    ['CRC', 4],
    ['key', 8],
    ['value', 20],
  ])('with wrong %s is read again until it is whole', (_, at) => {
    for (const kind of ['search', 'update', 'delete', 'insert'] as const) {
      const { b, keys, flip } = stored();
      flip(at);
      b[kind](keys[0], 'other').step(5);
      expect(b.batch).toBeDefined();
      flip(at);
      expect(b.finish()).toBe(kind === 'insert' ? Outcome.EXISTS : Outcome.OK);
      expect(b.cx.torn).toBeGreaterThanOrEqual(2);
    }
  });

  it.each(['search', 'update', 'delete', 'insert'] as const)(
    'that never heals ends %s in an error that names the place',
    (kind) => {
      const { b, keys, flip } = stored();
      flip(8);
      let error: unknown;
      try {
        b[kind](keys[0], 'other').finish();
      } catch (e) {
        error = e;
      }
      expect(error).toBeInstanceOf(CorruptionError);
      const { fingerprint, combined } = b.cx.place;
      expect((error as Error).message).toContain(
        `fingerprint ${fingerprint}, buckets at ${combined[0]} and ${combined[1]}`,
      );
    },
  );

  it('under a valid hit is looked for in the buckets again', () => {
    const { a, keys, flip } = stored();
    flip(20);
    a.search(keys[0]).step(3);
    flip(20);
    expect([a.finish(), a.value]).toEqual([Outcome.OK, 'value']);
  });

  it('that never heals and that only the duplicate check sees ends INSERT in the same error', () => {
    const { b, keys, flip, nodes, view } = stored();
    // The key's slot shows as EMPTY to b's first look, and as taken by the time of its check.
    b.search(keys[0]).finish();
    const { slot } = b.cx.client.cache;
    const kv = nodes.load(view.slotMn(slot, 0), view.slotOffset(slot), word());
    const setSlot = (w: Word): void => {
      for (let r = 0; r < indexReplicas; r++)
        nodes.store(view.slotMn(slot, r), view.slotOffset(slot), w.lo, w.hi);
    };
    flip(20);
    // Taken, and no match: b looks for another slot.
    setSlot(word(kv.hi, kv.lo ^ 1));
    b.insert(keys[1], 'mine').step();
    expect(b.cx.write.slot.offsetBytes[0]).not.toBe(view.slotOffset(slot));
    setSlot(kv);
    expect(() => b.finish()).toThrow(CorruptionError);
    expect(b.cx.torn).toBe(64);
  });

  it('is not noticed by its log entry: that is no part of the checksum', () => {
    const { b, keys, flip } = stored();
    for (let at = 64 - 22; at < 64; at++) flip(at);
    expect([b.search(keys[0]).finish(), b.value, b.cx.torn]).toEqual([Outcome.OK, 'value', 0]);
  });
});

describe.each([1, 3])(
  'keys that share a fingerprint and both buckets (%i index replicas)',
  (indexReplicas) => {
    it('live side by side, and each is found, changed and deleted alone', () => {
      const pool = poolByHand({ indexReplicas, subtables: 1, groupsPerSubtable: 2 });
      const [a, b] = pool.clients;
      const keys = keysAlike(pool.config, 5);
      keys.forEach((key, i) => {
        expect([a.insert(key, `${i}`).finish(), b.insert(key, 'x').finish()]).toEqual([
          Outcome.OK,
          Outcome.EXISTS,
        ]);
      });
      expect(keys.map((key) => read(b, key))).toEqual(['0', '1', '2', '3', '4']);
      expect(b.update(keys[2], 'two').finish()).toBe(Outcome.OK);
      expect(a.delete(keys[3]).finish()).toBe(Outcome.OK);
      for (const client of [a, b]) {
        expect(keys.map((key) => read(client, key))).toEqual(['0', '1', 'two', Outcome.NOT_FOUND, '4']);
      }
      expect(a.update(keys[3], 'x').finish()).toBe(Outcome.NOT_FOUND);
      expect([b.insert(keys[3], 'back').finish(), read(a, keys[3])]).toEqual([Outcome.OK, 'back']);
    });

    it('are read by a miss in one batch, at the places and lengths that their slots name', () => {
      const pool = poolByHand({ indexReplicas, subtables: 1, groupsPerSubtable: 2 });
      const [a, b] = pool.clients;
      const keys = keysAlike(pool.config, 4);
      const sizes = [5, 100, 1000, 3000];
      for (const [i, key] of keys.entries()) a.insert(key, 'x'.repeat(sizes[i])).finish();
      b.search(keys[3]).step();
      expect(b.batch?.count).toBe(4);
      expect([b.finish(), b.value.length, b.ledger.rtts]).toEqual([Outcome.OK, 3000, 2]);
      expect(slotLines(b.cx.matchedWord)).toBe(Math.ceil((3000 + 8 + 30) / 64));
      expect(ownerPointer(b.cx.matchedWord)).toBe(a.cx.objectPointer);
    });

    it('are told apart when one is the beginning of the other', () => {
      const pool = poolByHand({ indexReplicas, subtables: 1, groupsPerSubtable: 2 });
      const [a] = pool.clients;
      const at = (key: string): string => {
        a.search(key).finish();
        return `${a.cx.place.fingerprint} ${a.cx.place.combined.join(' ')}`;
      };
      let longer = '';
      for (let i = 0; longer === ''; i++) if (at(`key${i}`) === at('key')) longer = `key${i}`;
      expect(a.insert(longer, '').finish()).toBe(Outcome.OK);
      expect(a.search('key').finish()).toBe(Outcome.NOT_FOUND);
      expect([a.insert('key', longer.slice(3)).finish(), read(a, 'key')]).toEqual([
        Outcome.OK,
        longer.slice(3),
      ]);
      a.delete(longer).finish();
      expect([read(a, longer), read(a, 'key')]).toEqual([Outcome.NOT_FOUND, longer.slice(3)]);
    });

    it('that exceed the match area are read in turns, and none is left out', () => {
      const pool = poolByHand({ indexReplicas, subtables: 1, groupsPerSubtable: 2, regionsPerNode: 4 });
      const [a, b] = pool.clients;
      const keys = keysAlike(pool.config, 7);
      for (const key of keys) expect(a.insert(key, key[1].repeat(16000)).finish()).toBe(Outcome.OK);
      const turns = keys.map((key) => {
        expect(read(b, key) === key[1].repeat(16000)).toBe(true);
        return b.ledger.rtts;
      });
      expect(Math.min(...turns)).toBe(2);
      expect(Math.max(...turns)).toBe(3);
    });
  },
);
