/** Logs as no death of a client leaves them: exact images of memory. */
import { describe, expect, it } from 'vitest';
import { LINE_BYTES, LogField } from '../layout/index.js';
import type { ByHand } from '../ops/by-hand.js';
import { Outcome } from '../ops/index.js';
import { CorruptionError, Opcode } from '../verbs/index.js';
import { run, SmallPool } from './by-hand.js';
import { recoverClient, walkLogs } from './index.js';

const DEAD = { cid: 1, index: 0 };

const isSwapping = ({ batch }: ByHand): boolean =>
  batch !== undefined && Array.from({ length: batch.count }, (_, i) => batch.opcode(i)).includes(Opcode.CAS);

/** Client 1 dies with two log lists: one at rest, and one whose request has its word on a backup. */
function twoLists() {
  const pool = new SmallPool();
  const other = pool.client(2);
  const victim = pool.byHand(DEAD.cid);
  for (const key of ['a', 'b', 'c']) expect(victim.insert(key, 'small').finish()).toBe(Outcome.OK);
  expect(other.c.insert('k', 'v'.repeat(100))).toBe(Outcome.OK);
  victim.update('k', 'w'.repeat(100));
  while (!isSwapping(victim)) victim.step();
  victim.execute();
  const recoverer = pool.outsider(20);
  const blocks = pool.blocksOf(DEAD.cid);
  const [list] = run(recoverer.fabric, walkLogs(recoverer.coroutine.cx, blocks)) ?? [];
  const [{ pointer: block }] = blocks;
  const head = block + pool.view.geometry.headsOffset;
  return { pool, other, recoverer, blocks, head, cells: list.cells };
}

type TwoLists = ReturnType<typeof twoLists>;

const IMAGES: readonly [
  image: string,
  at: (of: TwoLists) => number,
  pointer: (of: TwoLists) => number,
  says: RegExp,
][] = [
  ['its last cell names the first', nextOf(2), ({ cells }) => cells[0], /has no end/],
  ['a cell names itself', nextOf(1), ({ cells }) => cells[1], /has no end/],
  ['it ends ahead of its head', ({ head }) => head, ({ cells }) => cells[2] + 640, /not come to its head/],
  ['it begins outside of all memory', ({ head }) => head + 8, () => 2 ** 47, /not come to its head/],
  ['it begins in the last bytes of a node', ({ head }) => head + 8, lastByte, /not come to its head/],
  [
    'it begins between two cells',
    ({ head }) => head + 8,
    ({ cells }) => cells[0] + 1,
    /not come to its head/,
  ],
  ['it begins in a block of another class', ({ head }) => head + 8, secondBlock, /not come to its head/],
];

function nextOf(cell: number): (of: TwoLists) => number {
  return ({ cells }) => cells[cell] + LINE_BYTES + LogField.NEXT;
}

function lastByte({ pool }: TwoLists): number {
  const { regions, config } = pool.view.geometry;
  return regions * config.regionBytes - 1;
}

function secondBlock({ blocks, pool }: TwoLists): number {
  return blocks[1].pointer + pool.view.geometry.cellsOffset;
}

describe.each(IMAGES)('a log list that no death leaves: %s', (_, at, pointer, says) => {
  it('is told of; requests of the other lists are recovered, and the client keeps what it has', () => {
    const all = twoLists();
    const { pool, other, recoverer, blocks } = all;
    const { cx } = recoverer.coroutine;
    const whole = pool.putPointer(at(all), pointer(all));
    for (let time = 0; time < 2; time++) {
      const recovery = recoverClient(cx, DEAD);
      expect(() => run(recoverer.fabric, recovery)).toThrow(CorruptionError);
      expect(() => run(recoverer.fabric, recoverClient(cx, DEAD))).toThrow(says);
    }
    expect(other.c.search('k')).toBe('w'.repeat(100));
    // Nobody who writes to it waits for the dead.
    expect(other.c.update('k', 'x'.repeat(100))).toBe(Outcome.OK);
    expect(pool.blocksOf(DEAD.cid)).toEqual(blocks);
    expect(pool.walk().clients.map(({ cid }) => cid)).toContain(DEAD.cid);
    // With the list as it was everything comes back: nothing that is needed has been touched.
    pool.putPointer(at(all), whole);
    expect(run(recoverer.fabric, recoverClient(cx, DEAD))).toBe(true);
    run(other.c.fabric, other.janitor.blocks.leave());
    run(other.c.fabric, other.janitor.rest());
    expect(pool.walk().findings).toEqual([]);
  });
});
