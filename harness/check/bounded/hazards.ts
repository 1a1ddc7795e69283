/**
 * The hazards of reclaim, the log walk, grants and splits, as small cases for the bounded explorer: each
 * naive way must be found to fail within the bounds, and ours must be clean in all of them.
 *
 * How memory is reused here: a list's next cell is chosen one object ahead. So the cell that `settle` takes
 * back is that of the second object behind it, and scripts write twice.
 */

import { BUCKET_BYTES, COMBINED_BYTES } from '../../../fusee/layout/index.js';
import { keysAlike } from '../../../fusee/ops/by-hand.js';
import { word } from '../../../fusee/verbs/index.js';
import { NAIVE_SPLITS } from '../naive/split.js';
import type { Bounds } from './explore.js';
import { lostFrees, namedAndFree } from './free-bits.js';
import { forgetfulPool, grantsWorld } from './grants-world.js';
import * as naive from './naive.js';
import { BoundedPool } from './pool.js';
import { type ReclaimWorldOptions, reclaimWorld } from './reclaim-world.js';
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
    name: 'H9: a reused cell has its old trailer until its next WRITE, torn by the death of its client',
    script: 'U0 | U0',
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
  {
    name: 'H24: recovery frees again what was freed, and its cell is in use',
    script: 'collect settle U1 U1 | free next next rest',
    slots: 2,
    options: {
      before: [
        [1, 'I0 I1'],
        [2, 'U0'],
      ],
      mayCrash: [2],
      wrongAtEnd: namedAndFree,
    },
    bounds: { preemptions: 1, crashes: 1 },
    naive: [['periods end under bits', { naive: naive.paysNoDebts }, /is named and free|not linearizable/]],
  },
];

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

const ofReclaim = ({ name, script, slots = 1, options, bounds, naive: ways }: Case): BoundedHazard =>
  hazardOf({ name, script, options, bounds, naive: ways }, poolOf(slots, options.coroutines ?? 1));

function hazardOf({ name, script, options, bounds, naive: ways }: Case, pool: BoundedPool): BoundedHazard {
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
}

const FORGET = { name: 'nodes forget what they have answered', says: /uses block/ };
const LOSE = { name: 'nobody looks for lost grants', says: /owns block \d+ and does not know it/ };

const GRANTS: readonly {
  readonly name: string;
  readonly script: string;
  readonly bounds: Bounds;
  readonly naive?: typeof FORGET;
}[] = [
  {
    name: 'FREE arrives when its block has an owner again',
    script: 'alloc free alloc | alloc',
    bounds: { preemptions: 1, lostRpcs: 1 },
    naive: FORGET,
  },
  {
    name: 'TRANSFER arrives when its giver has the block again',
    script: 'alloc give adopt | adopt',
    bounds: { preemptions: 1, lostRpcs: 1 },
    naive: FORGET,
  },
  {
    name: 'the answers to an ALLOC are lost',
    script: 'alloc',
    bounds: { preemptions: 1, lostRpcs: 3 },
    naive: LOSE,
  },
  {
    name: 'RPCs fail',
    script: 'alloc free alloc | alloc',
    bounds: { preemptions: 0, lostRpcs: 2 },
  },
  { name: 'RPCs fail', script: 'alloc give | adopt free', bounds: { preemptions: 0, lostRpcs: 2 } },
  { name: 'a node is silent', script: 'alloc free alloc', bounds: { preemptions: 0, lostRpcs: 3 } },
  { name: 'a node is silent', script: 'alloc give adopt', bounds: { preemptions: 0, lostRpcs: 3 } },
];

const ofGrants = ({ name, script, bounds, naive: way }: (typeof GRANTS)[number]): BoundedHazard => ({
  name: `H12: ${name}: ${script}`,
  bounds,
  ours: grantsWorld(new BoundedPool(), script),
  naive:
    way === undefined
      ? []
      : [
          {
            ...way,
            makeWorld: grantsWorld(way === FORGET ? forgetfulPool() : new BoundedPool(), script, {
              looks: way !== LOSE,
            }),
          },
        ],
});

/** H13: client 1 splits the only subtable, which key 0 leaves. Client 2 begins before its lock, or later. */
const SPLITS: readonly Case[] = [
  {
    name: 'H13: an UPDATE is in flight when its subtable is locked',
    script: 'split rest | U0 S0 / tend',
    options: { coroutines: 2, mayCrash: [] },
    bounds: { preemptions: 1 },
    naive: [
      'does not wait behind its lock',
      'copies before it locks',
      'waits for one period',
      'ends periods under requests',
    ].map((way) => [`the splitter ${way}`, { makeSplitter: NAIVE_SPLITS[way] }, /a split left/]),
  },
  {
    name: 'H13: an UPDATE begins behind the lock',
    script: 'split rest | next next U0 / tend',
    options: { coroutines: 2, mayCrash: [] },
    bounds: { preemptions: 1 },
    naive: [
      [
        'the splitter tells nobody of its lock',
        { makeSplitter: NAIVE_SPLITS['tells nobody of its lock'] },
        /a split left|not lin/,
      ],
    ],
  },
  {
    name: 'H13: a SEARCH begins ahead of the publication, and its READ is torn',
    script: 'split rest | next next S0 / tend',
    options: { coroutines: 2, mayCrash: [] },
    bounds: { preemptions: 1, tornReads: true },
    naive: [
      [
        'the splitter does not wait before it cleans',
        { makeSplitter: NAIVE_SPLITS['does not wait before it cleans'] },
        LINEARIZABLE,
      ],
    ],
  },
  {
    name: 'H13: the splitter dies at any verb',
    script: 'split rest | next next U0 / tend',
    options: { coroutines: 2, mayCrash: [1] },
    bounds: { preemptions: 0, crashes: 1 },
    naive: [['nobody takes its lock over', { naive: naive.liftsNoLocks }, /would wait for ever/]],
  },
];

/** Key 0 moves in a split of the only subtable, key 1 stays. */
function growingPool(): BoundedPool {
  const config = { subtablesMax: 2 };
  const alike = keysAlike(new BoundedPool().config, 12, false);
  const poolOfKeys = (...keys: string[]): BoundedPool =>
    new BoundedPool({
      config,
      keys,
      setUp: (pool) => {
        for (let key = 0; key < keys.length; key++) pool.insert(key, 200 + key);
        pool.grant(2);
      },
    });
  const moves = (key: string): boolean => (poolOfKeys(key).placeOf(0).placeHash & 1) === 1;
  const [moving, staying] = [true, false].map((doesMove) => alike.filter((key) => moves(key) === doesMove));
  // In its second bucket: who reads that has seen the header of the first.
  const isSecond = (key: string): boolean => {
    const pool = poolOfKeys(key);
    const { view, nodes } = pool;
    const second = pool.placeOf(0).combined[1];
    const held = word();
    for (let slot = second + 8; slot < second + COMBINED_BYTES; slot += 8) {
      nodes.load(view.slotMn(slot, 0), view.slotOffset(slot), held);
      if (slot % BUCKET_BYTES !== 0 && (held.hi | held.lo) !== 0) return true;
    }
    return false;
  };
  return poolOfKeys(moving.filter(isSecond)[0], staying[0]);
}

/** The scenarios, by hazard. */
export const BOUNDED_HAZARDS: readonly BoundedHazard[] = [
  ...CASES.map(ofReclaim),
  ...GRANTS.map(ofGrants),
  ...SPLITS.map((split) => hazardOf(split, growingPool())),
];
