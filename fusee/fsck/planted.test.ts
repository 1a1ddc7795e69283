/** Ten inconsistencies, each planted into a pool that has been through churn with reclaim, and a split. */
import { beforeAll, describe, expect, it } from 'vitest';
import { directoryOffset, entryOf, LINE_BYTES, LogField, lockedEntryOf } from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';
import { type Word, word } from '../verbs/index.js';
import { blockOf } from './cells.js';
import type { FindingKind } from './report.js';
import { type Placed, SamplePool } from './sample-pool.js';

let pool: SamplePool;
let memory: Uint8Array[];

/** All nodes' bytes: a copy, or what a copy held. */
const bytesOf = (mn: number): Uint8Array => {
  const bytes = new Uint8Array(pool.view.geometry.nodeBytes);
  pool.nodes.read(mn, 0, bytes, 0, bytes.length);
  return bytes;
};

beforeAll(() => {
  pool = new SamplePool({ subtablesMax: 8, regionsPerNode: 2 }).churn().rest();
  memory = pool.check().nodes.map(({ node }) => bytesOf(node));
});

/** A cell that is free again: used before, its log entry zeroed. */
function reclaimedCell(): number {
  for (const { state } of pool.clients) {
    for (const block of state.slab.blocksOf(2)) {
      for (let c = 0; c < block.cells; c++) {
        const cell = block.pointerOf(c);
        if (
          pool.data(cell, LINE_BYTES).some((byte) => byte !== 0) &&
          pool.data(cell + LINE_BYTES - 1, 1)[0] === 0
        )
          return cell;
      }
    }
  }
  throw new Error('nothing was reclaimed');
}

/** Two keys that are visible. */
function someKey(nth = 0): Placed {
  let seen = 0;
  for (let k = 0; k < 40; k++) {
    try {
      const placed = pool.find(`k${k}`);
      if (placed.lines > 1 && seen++ === nth) return placed;
    } catch {
      // Deleted.
    }
  }
  throw new Error('too few keys are left');
}

const directory = (s: number, replica: number, lo: number, hi: number): void =>
  pool.nodes.store(pool.view.directoryMn(replica), directoryOffset(s), lo, hi);

/** Moves a key's word from the half that it belongs to, to the same place in the other one. */
function misplace(): string {
  const { subtableBytes } = pool.view.geometry;
  // Subtable 0 was split into 0 and 2: a place in one is the same place in the other.
  for (let offset = 8; offset < subtableBytes; offset += 8) {
    const w: Word = { ...pool.load(offset) };
    const other = 2 * subtableBytes + offset;
    const { hi, lo } = pool.load(other);
    if (offset % 64 === 0 || (w.hi | w.lo) === 0 || (w.lo & 0xff00) === 0 || (hi | lo) !== 0) continue;
    pool.store(offset, word());
    pool.store(other, w);
    return `slot ${other}`;
  }
  throw new Error('the split half is empty');
}

const PLANTED: [name: string, kind: FindingKind, plant: () => string][] = [
  [
    'a bit of a live object',
    'free-named',
    () => {
      const { pointer, cell } = someKey();
      pool.setFreeBit(pointer);
      return `cell ${cell}`;
    },
  ],
  [
    'two bits of one cell',
    'freed-twice',
    () => {
      const cell = reclaimedCell();
      pool.setFreeBit(cell);
      pool.setFreeBit(cell - LINE_BYTES);
      return `cell ${cell}`;
    },
  ],
  [
    'a log head that names no cell',
    'log-head',
    () => {
      const { head } = pool.logHead();
      pool.putHead(head, pool.unowned + 4096);
      return `log head 0 of block ${blockOf(pool.view.geometry, head)}`;
    },
  ],
  [
    'a log list that runs in a circle',
    'log-list',
    () => {
      const { head, cell } = pool.logHead();
      pool.putPointer(cell + LINE_BYTES + LogField.NEXT, cell);
      pool.change(cell + LINE_BYTES + LogField.OPERATION, () => 5);
      return `log head 0 of block ${blockOf(pool.view.geometry, head)}`;
    },
  ],
  [
    'the lock of a split that nobody goes on with',
    'directory',
    () => {
      for (const r of [0, 1]) directory(2, r, lockedEntryOf(2, false, 77), 1);
      return 'subtable 2';
    },
  ],
  [
    'a directory that differs on a replica',
    'directory',
    () => {
      directory(0, 1, entryOf(1), 0);
      return 'subtable 0';
    },
  ],
  ["a key's word in the other half of a split", 'key-place', misplace],
  [
    'a byte in a block of nobody',
    'not-zero',
    () => {
      const at = pool.unowned + 5000;
      pool.change(at, () => 1, [1]);
      return `offset ${pool.view.dataOffset(at, 1)}`;
    },
  ],
  [
    'a block left behind whose header differs',
    'block-header',
    () => {
      const block = blockOf(pool.view.geometry, someKey().pointer);
      for (const r of [0, 1]) pool.setOwner(block, ORPHAN, r);
      pool.change(block, () => 9, [1]);
      return `block ${block}`;
    },
  ],
  [
    'an object that is not the same on a backup',
    'data-replicas',
    () => {
      const { pointer, cell } = someKey(1);
      pool.change(pointer + 9, (byte) => byte ^ 1, [1]);
      return `cell ${cell}`;
    },
  ],
  [
    'one object under two slots',
    'named-twice',
    () => {
      const { slot, word: w } = someKey();
      const [free] = pool.freeSlots(keyOf(slot));
      pool.store(free, w);
      return `slot ${Math.max(slot, free)}`;
    },
  ],
  [
    'a slot whose backup differs',
    'slot-replicas',
    () => {
      const { slot, word: w } = someKey();
      pool.store(slot, { hi: w.hi, lo: w.lo ^ 0x100 }, [1]);
      return `slot ${slot}`;
    },
  ],
];

/** The key that a slot makes visible. */
function keyOf(slot: number): string {
  for (let k = 0; k < 40; k++) {
    try {
      if (pool.find(`k${k}`).slot === slot) return `k${k}`;
    } catch {
      // Deleted.
    }
  }
  throw new Error(`slot ${slot} holds no key`);
}

describe('into a pool that has been reclaimed and split', () => {
  it('nothing is planted: it is clean', () => {
    expect(pool.check()).toMatchObject({ findings: [], clients: [], index: { splits: 1 } });
  });

  it.each(PLANTED)('%s is planted, and found', (_, kind, plant) => {
    const where = plant();
    const { findings } = pool.check();
    for (const [mn, bytes] of memory.entries()) pool.nodes.write(mn, 0, bytes, 0, bytes.length);
    const found = findings.map((f) => `${f.kind} ${f.where.replace(/ of client.*/, '')}`);
    expect(found).toContain(`${kind} ${where}`);
    expect(pool.kinds()).toEqual([]);
  });

  it('at least ten of them, no two alike', () => {
    expect(new Set(PLANTED.map(([name]) => name)).size).toBeGreaterThanOrEqual(10);
  });
});
