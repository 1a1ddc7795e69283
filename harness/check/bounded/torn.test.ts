/** H9 by hand: an object is written over an old one, whose trailer still says that all is well. */
import { describe, expect, it } from 'vitest';
import {
  HEADER_BYTES,
  LINE_BYTES,
  LogField,
  LogOperation,
  makeSlot,
  ownerPointer,
  readOldValue,
  stageOldValue,
} from '../../../fusee/layout/index.js';
import { type LocalMemory, type Op, VerbBatch, word } from '../../../fusee/verbs/index.js';
import { BoundedPool, type BoundedWorld, explore, OpActor } from './index.js';

const OLD_VALUE = makeSlot(word(), 4096, 1, 9);
const PAYLOAD_BYTES = 20;

/** Stages an object of one line at `at`: lengths, CRC, payload of one letter, and a log entry in use. */
function stageObject(local: LocalMemory, at: number, letter: number, isCommitted: boolean): void {
  local.bytes.fill(0, at, at + LINE_BYTES);
  local.bytes.fill(letter, at + HEADER_BYTES, at + HEADER_BYTES + PAYLOAD_BYTES);
  local.words[at >>> 2] = PAYLOAD_BYTES;
  local.words[(at >>> 2) + 1] = local.crc32c(at + HEADER_BYTES, PAYLOAD_BYTES, PAYLOAD_BYTES);
  if (isCommitted) stageOldValue(local.bytes, at + LINE_BYTES, OLD_VALUE);
  local.bytes[at + LINE_BYTES + LogField.OPERATION] = (LogOperation.UPDATE << 1) | 1;
}

const isWhole = (local: LocalMemory, at: number): boolean =>
  local.words[at >>> 2] === PAYLOAD_BYTES &&
  local.crc32c(at + HEADER_BYTES, PAYLOAD_BYTES, PAYLOAD_BYTES) === local.words[(at >>> 2) + 1];

interface Ways {
  /** The writer zeroes the old trailer, and waits for that, before it writes its object. */
  readonly zeroes: boolean;
  /** Recovery trusts an object only if its checksum holds. */
  readonly checks: boolean;
}

function worldOf(ways: Ways): () => BoundedWorld {
  const mn = 0;
  const pool = new BoundedPool({
    setUp: ({ nodes, view }) => nodes.store(mn, view.slotOffset(8), OLD_VALUE.lo, OLD_VALUE.hi),
  });
  const cell = pool.view.geometry.dataBase + pool.view.geometry.tableBytes + LINE_BYTES * 4;
  const slot = pool.view.slotOffset(8);
  const vNew = makeSlot(word(), 8192, 1, 9);
  const local = pool.memory(4096);
  const check = local.reserve(LINE_BYTES);

  function* write(b: VerbBatch, object: number, zero: number): Op<void> {
    if (ways.zeroes) {
      b.reset().write(mn, cell + LINE_BYTES - 10, zero, 10);
      yield b;
    }
    b.reset().write(mn, cell, object, LINE_BYTES);
    yield b;
    b.reset().cas(mn, slot, OLD_VALUE, vNew);
    yield b;
  }

  /** Old value complete, used bit set: so c2, and the slot may change. */
  function* recover(b: VerbBatch, at: number): Op<void> {
    b.reset().read(mn, cell, at, LINE_BYTES);
    yield b;
    const { bytes } = b.local;
    const isUsed = (bytes[at + LINE_BYTES + LogField.OPERATION] & 1) === 1;
    const vOld = word();
    if (!isUsed || !readOldValue(bytes, at + LINE_BYTES, vOld)) return;
    if (ways.checks && !isWhole(b.local, at)) return;
    b.reset().cas(mn, slot, vOld, vNew);
    yield b;
  }

  return () => {
    pool.begin();
    const memory = pool.memory(4096);
    const b = new VerbBatch(memory, 4);
    const object = memory.reserve(LINE_BYTES);
    stageObject(memory, object, 7, true);
    pool.nodes.write(mn, cell, memory.bytes, object, LINE_BYTES);
    stageObject(memory, object, 8, false);
    const writer = new OpActor({
      name: 'writer',
      mayCrash: true,
      op: write(b, object, memory.reserve(LINE_BYTES)),
    });
    return {
      nodes: pool.nodes,
      actors: [writer],
      describe: (at, offset) => pool.describe(at, offset),
      onCrash: () => new OpActor({ name: 'recovery', op: recover(b, object) }),
      wrongAtEnd: () => {
        const named = pool.nodes.load(mn, slot, word());
        if (ownerPointer(named) !== ownerPointer(vNew)) return undefined;
        pool.nodes.read(mn, cell, local.bytes, check, LINE_BYTES);
        return isWhole(local, check) ? undefined : 'the slot names a torn object';
      },
    };
  };
}

describe('H9: a torn WRITE over an old trailer', () => {
  const bounds = { preemptions: 0, crashes: 1, tears: true };

  it('is installed by a recovery that trusts the trailer', () => {
    const { failure } = explore(worldOf({ zeroes: false, checks: false }), bounds);
    expect(failure?.message).toBe('the slot names a torn object');
    expect(failure?.told.join('\n')).toMatch(
      /writer DIES\nwriter: WRITE the first \d+ bytes of MN 0 line 4 of block 0/,
    );
  });

  it.each([
    ['the trailer was zeroed before', { zeroes: true, checks: false }],
    ['recovery looks at the checksum', { zeroes: false, checks: true }],
  ])('does no harm when %s', (_, ways) => {
    expect(explore(worldOf(ways), bounds)).toMatchObject({ complete: true });
  });
});
