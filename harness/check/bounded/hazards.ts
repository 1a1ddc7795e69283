/**
 * The hazards of reclaim and of the log walk, as small cases for the bounded explorer: each naive way must be
 * found to fail within the bounds, and ours must be clean in all of them.
 *
 * How memory is reused here: a list's next cell is chosen one object ahead. So the cell that `settle` takes back
 * is that of the second object behind it, and scripts write twice.
 */

import { BLOCK_HEADER_BYTES } from '../../../fusee/layout/index.js';
import { keysAlike } from '../../../fusee/ops/by-hand.js';
import { word } from '../../../fusee/verbs/index.js';
import type { Bounds } from './explore.js';
import * as naive from './naive.js';
import { BoundedPool } from './pool.js';
import { type Keeper, type ReclaimWorldOptions, reclaimWorld } from './reclaim-world.js';
import type { BoundedWorld } from './world.js';

/** One way to leave a rule out, and what the explorer says of it. */
export interface NaiveWay {
  readonly name: string;
  readonly makeWorld: () => BoundedWorld;
  readonly says: RegExp;
}

/** A scenario of a hazard. */
export interface BoundedHazard {
  readonly name: string;
  readonly bounds: Bounds;
  readonly ours: () => BoundedWorld;
  readonly naive: readonly NaiveWay[];
}

interface Case {
  readonly name: string;
  readonly script: string;
  /** Slots that the keys contend for. @default 1 */
  readonly slots?: 1 | 2;
  readonly options: ReclaimWorldOptions;
  readonly bounds: Bounds;
  readonly naive: readonly (readonly [name: string, changes: Partial<ReclaimWorldOptions>, says: RegExp])[];
}

const LINEARIZABLE = /not linearizable/;
const UNFINISHED = /differ at the end|would wait for ever/;

const GRACE_WAYS = [
  ['cells are handed out again at once', { naive: naive.withoutGrace }, LINEARIZABLE],
] as const;

const CASES: readonly Case[] = [
  {
    name: 'H4: a SEARCH has read the slot, and its object is overwritten',
    script: 'S0 rest | U0 free collect settle U1 U1',
    slots: 2,
    options: { before: [[2, 'I0 I1']] },
    bounds: { preemptions: 2 },
    naive: GRACE_WAYS,
  },
  {
    name: "H4: an UPDATE has read its old value, which comes back as another key's",
    script: 'U0 rest | D0 free collect settle I1 U1',
    options: { before: [[2, 'I0']] },
    bounds: { preemptions: 2 },
    naive: GRACE_WAYS,
  },
  {
    name: 'H4: a word comes back for the same key while an UPDATE waits for it to go',
    script: 'U0 rest | U0 free collect settle U0 U0',
    options: { before: [[2, 'I0']] },
    bounds: { preemptions: 2 },
    naive: [['cells are handed out again at once', { naive: naive.withoutGrace }, UNFINISHED]],
  },
  {
    name: 'H4: periods end under a SEARCH',
    script: 'S0 / next next rest | U0 free collect settle U1 U1',
    slots: 2,
    options: { before: [[2, 'I0 I1']], coroutines: 2 },
    bounds: { preemptions: 1 },
    naive: [['a grace is one period', { naive: naive.withOnePeriod }, LINEARIZABLE]],
  },
  {
    name: "H4: a cached word is in its slot again, of another key's object in the same cell",
    script: 'next next U0 rest | D0 free collect settle I1 U1',
    options: {
      before: [
        [2, 'I0'],
        [1, 'S0'],
      ],
    },
    bounds: { preemptions: 2 },
    naive: [['a cached word is fresh for ever', { naive: naive.everyHintIsFresh }, LINEARIZABLE]],
  },
  {
    name: 'H4: a hit of SEARCH reads the object on one node, and later the slot on another',
    script: 'collect settle U0 U0 | next next S0 rest',
    slots: 2,
    options: {
      before: [
        [1, 'I0'],
        [2, 'S0'],
        [1, 'U0 free'],
      ],
    },
    bounds: { preemptions: 2 },
    naive: [
      ['a hit does not look at the used bit', { loops: naive.searchWithoutUsedBit }, LINEARIZABLE],
      ['trailers are zeroed behind the grace', { naive: naive.zeroesBehindGrace }, LINEARIZABLE],
    ],
  },
  {
    name: 'H4: a hit of UPDATE reads whose the object is, and later the slot on another node',
    script: 'collect settle I1 U1 | next next U0 rest',
    options: {
      before: [
        [1, 'I0'],
        [2, 'S0'],
        [1, 'D0 free'],
      ],
    },
    bounds: { preemptions: 2 },
    naive: [['trailers are zeroed behind the grace', { naive: naive.zeroesBehindGrace }, LINEARIZABLE]],
  },
  {
    name: 'H5: the first cells of a list have been taken back when its client dies',
    script: 'free collect U0 | U0',
    options: { before: [[1, 'I0 U0']], mayCrash: [1] },
    bounds: { preemptions: 1, crashes: 1 },
    naive: [['log heads stay', { naive: naive.leavesHeads }, UNFINISHED]],
  },
  {
    name: 'H5: a request that lost its round lies ahead of the one in flight',
    script: 'U0 U0 | U0 U0',
    options: { before: [[1, 'I0']], mayCrash: [1] },
    bounds: { preemptions: 1, crashes: 1 },
    naive: [['the walk ends at a clear used bit', { recovery: naive.walksToUnused }, UNFINISHED]],
  },
  {
    name: 'H5: two coroutines of a client that dies',
    script: 'U0 / U1 | U0',
    slots: 2,
    options: { before: [[1, 'I0 I1']], mayCrash: [1], coroutines: 2 },
    bounds: { preemptions: 1, crashes: 1 },
    naive: [['they share one list', { naive: naive.sharesOneList }, UNFINISHED]],
  },
  {
    name: 'H5: cells are in use again when their client dies, and so does whoever recovers it',
    script: 'U0 U1 | U0',
    slots: 2,
    options: { before: [[1, 'I0 I1 U0 U0 free collect settle U1']], mayCrash: [1] },
    bounds: { preemptions: 0, crashes: 2 },
    naive: [['log heads stay', { naive: naive.leavesHeads }, UNFINISHED]],
  },
  {
    name: 'H9: a WRITE over a reused cell is torn by the death of its client',
    script: 'U0 U0 | U0',
    options: { before: [[1, 'I0 U0 U0 free collect settle U0']], mayCrash: [1] },
    bounds: { preemptions: 1, crashes: 1, tears: true },
    naive: [
      ['old trailers stay', { naive: naive.keepsTrailers }, /has no end/],
      ['old trailers stay on backups', { naive: naive.zeroesOnPrimary }, /has no end/],
    ],
  },
  {
    name: 'H16: a free bit is set twice',
    script: 'collect settle U0 U0 | free rest',
    slots: 2,
    options: {
      before: [
        [1, 'I0 I1'],
        [2, 'U0'],
      ],
    },
    bounds: { preemptions: 2 },
    naive: [['a FAA is sent once more', { naive: naive.freesTwice }, LINEARIZABLE]],
  },
  {
    name: 'H16: a bit is set while the owner clears others',
    script: 'collect settle rest | free rest',
    slots: 2,
    options: {
      before: [
        [1, 'I0 I1'],
        [2, 'U0 free U1'],
      ],
      wrongAtEnd: lostFrees(2),
    },
    bounds: { preemptions: 2 },
    naive: [['bits are cleared by a WRITE', { naive: naive.clearsByWrite }, /has lost a free/]],
  },
  {
    name: 'H17: the last entry of an idle client, when its old value is in the slot again',
    script: 'free rest | U0 collect settle U0 U0',
    options: {
      before: [
        [2, 'I0'],
        [1, 'U0'],
      ],
      mayCrash: [1],
    },
    bounds: { preemptions: 1, crashes: 1 },
    naive: [
      [
        'log heads stay, and recovery goes by the old value',
        { naive: naive.leavesHeads, recovery: naive.goesByOldValue },
        LINEARIZABLE,
      ],
    ],
  },
];

/** Of the cells of client 1's first block so many were freed: each was taken back, or has its bit on all replicas. */
function lostFrees(freed: number) {
  return ([{ pool, reclaim }]: readonly Keeper[]): string | undefined => {
    const { view, nodes, config } = pool;
    const [{ pointer }] = pool.blocksOf(1);
    const w = word();
    for (let r = 0; r < config.dataReplicas; r++) {
      nodes.load(view.dataMn(pointer, r), view.dataOffset(pointer + BLOCK_HEADER_BYTES, r), w);
      let bits = 0;
      for (let left = w.lo; left !== 0; left &= left - 1) bits++;
      if (bits + reclaim.reclaimed !== freed) return `replica ${r} of the bitmap has lost a free`;
    }
    return undefined;
  };
}

/** Keys of one place and one fingerprint, for which so many slots are free. */
function poolOf(slots: number, coroutines: number): BoundedPool {
  return new BoundedPool({
    keys: keysAlike(new BoundedPool().config, 2),
    setUp: (pool) => {
      pool.leaveFree(slots);
      for (const cid of [1, 2]) pool.grant(cid, { coroutines });
    },
  });
}

/** The scenarios. */
export const BOUNDED_HAZARDS: readonly BoundedHazard[] = CASES.map(
  ({ name, script, slots = 1, options, bounds, naive: ways }) => {
    const pool = poolOf(slots, options.coroutines ?? 1);
    return {
      name,
      bounds,
      ours: reclaimWorld(pool, script, options),
      naive: ways.map(([way, changes, says]) => ({
        name: way,
        says,
        makeWorld: reclaimWorld(pool, script, { ...options, ...changes }),
      })),
    };
  },
);
