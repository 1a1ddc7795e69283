/**
 * Hazard H14: a subtable laid out as if overflow buckets took no room, so that neighbours overlap. What that
 * does to a store, and that no such layout can be made, or met in a pool that somebody else has made.
 */
import { describe, expect, it } from 'vitest';
import { SequentialClient } from '../../fusee/client/sequential.js';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import {
  BUCKET_BYTES,
  Geometry,
  GROUP_BYTES,
  type PoolConfig,
  readSuperblock,
  View,
  writeSuperblock,
} from '../../fusee/layout/index.js';
import { makeNodes, smallPool } from '../../fusee/node/in-process.js';
import { Outcome } from '../../fusee/ops/index.js';

const GROUPS = 2;
/** Two main buckets a group: the room that the naive layout gives a subtable, in bytes and in groups. */
const SHORT_BYTES = GROUPS * 2 * BUCKET_BYTES;
const SHORT_GROUPS = SHORT_BYTES / GROUP_BYTES;

const pool = smallPool({ nodes: 2, indexReplicas: 1, subtables: 2, groupsPerSubtable: GROUPS });

/** Round trips after which a request is said to go round for ever. */
const ROUND_TRIPS_MAX = 1000;

/** INSERTs keys and SEARCHes them, in an index of two subtables; the first harm done, if any. */
function harmOf(view: View, isShort: boolean): string | undefined {
  const cache = { bytes: 0, keyBytes: 32, threshold: 1 };
  const fabric = new MemoryFabric(makeNodes(pool));
  const client = new SequentialClient(fabric, { view, cid: 1, cache });
  const { cx } = client.coroutine;
  const { begin } = cx;
  const own = GROUPS * GROUP_BYTES;
  let roundTrips = 0;
  cx.begin = () => {
    begin.call(cx);
    roundTrips = 0;
    const { combined } = cx.place;
    for (let i = 0; isShort && i < 2; i++) if (combined[i] >= own) combined[i] -= own - SHORT_BYTES;
  };
  const { post } = fabric;
  fabric.post = (batch) => {
    if (++roundTrips > ROUND_TRIPS_MAX) throw new RangeError('a request goes round for ever');
    return post.call(fabric, batch);
  };
  for (let k = 0; k < 16; k++) {
    const key = `key${k}`;
    try {
      if (client.insert(key, `value of ${key}`) !== Outcome.OK) return `${key}: not inserted`;
    } catch (error) {
      return `${key}: ${(error as Error).message}`;
    }
    if (client.search(key) !== `value of ${key}`) return `${key}: inserted, and not found`;
  }
  return undefined;
}

describe('H14: a subtable that is too short', () => {
  it('loses keys: one bucket belongs to two subtables, and so to two primaries', () => {
    const short = new View(Object.assign(new Geometry(pool), { subtableBytes: SHORT_BYTES }));
    expect(harmOf(short, true)).toMatch(/inserted, and not found|goes round for ever/);
  });

  it('loses none in ours', () => {
    expect(harmOf(new View(new Geometry(pool)), false)).toBeUndefined();
  });

  it('is refused as a configuration, and in a pool that was formatted so', () => {
    const short = { ...pool, groupsPerSubtable: SHORT_GROUPS };
    expect(() => new Geometry(short)).toThrow(/groups per subtable is 1\.333/);
    const memory = new Uint8Array(4096);
    writeSuperblock(memory, short, 0);
    const { config } = readSuperblock(memory, 'MN 0');
    expect(config.groupsPerSubtable).toBe(SHORT_GROUPS);
    expect(() => new Geometry(config)).toThrow(/groups per subtable is 1\.333/);
  });

  it('is refused by the relation itself when the configuration looked right', () => {
    const refusals: string[] = [];
    for (let honest = 0; honest < 12; honest++) {
      let reads = 0;
      const config: PoolConfig = {
        ...pool,
        get groupsPerSubtable() {
          return reads++ < honest ? GROUPS : SHORT_GROUPS;
        },
      };
      try {
        // Whichever reading comes out short: what is made at all has room for its groups.
        expect(new Geometry(config).subtableBytes).toBe(GROUPS * GROUP_BYTES);
      } catch (error) {
        refusals.push((error as Error).message);
      }
    }
    expect(refusals.some((text) => text.includes('neighbouring subtables do not overlap'))).toBe(true);
    expect(refusals.filter((text) => !/groups per subtable|do not overlap/.test(text))).toEqual([]);
  });
});
