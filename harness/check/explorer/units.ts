/**
 * What the explorer schedules: verbs, and the parts of a verb that others can come between.
 *
 * - CAS: one unit.
 * - READ of buckets: one unit for each of the scenario's slots in it, in any order, since a READ over 8 bytes
 *   may mix old and new. The other words of the bucket never change.
 * - READ of an object: one unit. The objects that slots name do not change but for their log entry, which
 *   only recovery looks at, after the owner was fenced; and the used bit, which a cache hit looks at, is set
 * as
 *   long as a slot names them, since nothing is reclaimed here.
 * - WRITE: two units, torn once, ahead of its last aligned 8 bytes. One tear point is enough: of an object's
 *   bytes readers trust none before the pointer is published, which is after the WRITE; recovery trusts none
 *   unless the used bit, in the last byte, is set; and of a log commit none unless its CRC, in the last byte,
 *   fits (one that fits by chance says only what was decided before the commit was posted). Which of the
 *   bytes before are there when the last are not, makes no difference to anybody.
 *
 * Units of one client to one MN execute in posting order, verb by verb.
 */
import { LINE_BYTES } from '../../../fusee/layout/index.js';
import { Field, Opcode, type VerbBatch, word } from '../../../fusee/verbs/index.js';
import type { TinyPool } from '../scenario/pool.js';
import { MAX_CLIENTS } from '../scenario/scenario.js';
import type { Interner } from './interner.js';

/** What a unit does. The data kinds come last. */
export const UnitKind = { READ_SLOT: 0, CAS: 1, READ_LINE: 2, WRITE: 3 } as const;
export type UnitKind = (typeof UnitKind)[keyof typeof UnitKind];

/** One schedulable part of a batch. */
export interface Unit {
  readonly kind: UnitKind;
  /** Number of its verb in the batch. */
  readonly verb: number;
  readonly mn: number;
  /** READ_SLOT, CAS: slot x replicas + replica. READ_LINE, WRITE: cell x data replicas + replica. */
  readonly place: number;
  /** READ_LINE, WRITE: whose cell it is; {@link MAX_CLIENTS} for objects that are there from the start. */
  readonly owner: number;
  /** CAS: interned words. */
  readonly expect: number;
  readonly swap: number;
  /** Bytes of the verb that this unit covers. */
  readonly fromBytes: number;
  readonly toBytes: number;
  /** WRITE: where in its line the unit begins, and the interned bytes. */
  readonly lineOffset: number;
  readonly bytes: number;
}

const EMPTY_UNIT = {
  place: 0,
  owner: -1,
  expect: 0,
  swap: 0,
  fromBytes: 0,
  toBytes: 0,
  lineOffset: 0,
  bytes: 0,
};

/**
 * Splits a batch into units, in posting order. Words and bytes are interned, so that equal batches give equal
 * units.
 */
export function unitsOf(pool: TinyPool, batch: VerbBatch, interner: Interner): Unit[] {
  const units: Unit[] = [];
  for (let i = 0; i < batch.count; i++) {
    const opcode = batch.opcode(i);
    if (opcode === Opcode.RPC || opcode === Opcode.FAA) throw new Error(`no unit for opcode ${opcode}`);
    if (batch.remote(i) >= pool.view.geometry.dataBase) addData(units, pool, batch, i, interner);
    else addIndex(units, pool, batch, i, interner);
  }
  return units;
}

function addIndex(units: Unit[], pool: TinyPool, batch: VerbBatch, i: number, interner: Interner): void {
  const mn = batch.mn(i);
  const at = batch.remote(i) - pool.view.geometry.indexBase;
  const isCas = batch.opcode(i) === Opcode.CAS;
  const lengthBytes = isCas ? 8 : batch.field(i, Field.LENGTH);
  const replicas = pool.config.indexReplicas;
  let found = 0;
  pool.slotOffsets.forEach((offset, slot) => {
    if (offset < at || offset + 8 > at + lengthBytes) return;
    found++;
    let replica = 0;
    while (pool.view.slotMn(offset, replica) !== mn) replica++;
    const place = slot * replicas + replica;
    const fromBytes = offset - at;
    const common = { ...EMPTY_UNIT, verb: i, mn, place, fromBytes, toBytes: fromBytes + 8 };
    // Behind a CAS to the very word a READ tells nothing that the CAS does not: the product does not look at
    // it.
    if (!isCas && units.some((u) => u.kind === UnitKind.CAS && u.place === place)) return;
    if (!isCas) units.push({ ...common, kind: UnitKind.READ_SLOT });
    else {
      const expect = interner.word(batch.field(i, Field.EXPECT_HI), batch.field(i, Field.EXPECT_LO));
      const swap = interner.word(batch.field(i, Field.SWAP_HI), batch.field(i, Field.SWAP_LO));
      units.push({ ...common, kind: UnitKind.CAS, expect, swap });
    }
  });
  if (isCas && found !== 1) throw new Error(`a CAS at index offset ${at}, where the scenario has no slot`);
}

function addData(units: Unit[], pool: TinyPool, batch: VerbBatch, i: number, interner: Interner): void {
  const mn = batch.mn(i);
  const remote = batch.remote(i);
  const lengthBytes = batch.field(i, Field.LENGTH);
  const { pointer, replica } = pool.pointerAt(mn, remote);
  const lineOffset = pointer % LINE_BYTES;
  const { client: owner, cell } = pool.cellAt(pointer - lineOffset);
  if (pointer < 0 || lineOffset + lengthBytes > LINE_BYTES || owner > MAX_CLIENTS)
    throw new Error(`a data verb at ${remote} of MN ${mn}, ${lengthBytes} bytes, leaves its line`);
  const place = cell * pool.config.dataReplicas + replica;
  const common = { ...EMPTY_UNIT, verb: i, mn, place, owner };
  if (batch.opcode(i) === Opcode.READ) {
    units.push({ ...common, kind: UnitKind.READ_LINE, toBytes: lengthBytes });
    return;
  }
  const tear = Math.max(0, ((lineOffset + lengthBytes - 1) & ~7) - lineOffset);
  const local = batch.field(i, Field.LOCAL);
  for (const [fromBytes, toBytes] of [
    [0, tear],
    [tear, lengthBytes],
  ]) {
    if (fromBytes === toBytes) continue;
    const bytes = interner.bytes(batch.local.bytes, local + fromBytes, toBytes - fromBytes);
    units.push({
      ...common,
      kind: UnitKind.WRITE,
      fromBytes,
      toBytes,
      lineOffset: lineOffset + fromBytes,
      bytes,
    });
  }
}

const scratch = word();

/** True for verbs that only their own client, or its recovery, can notice. */
export const isPrivate = (unit: Unit): boolean => unit.kind >= UnitKind.READ_LINE;

/**
 * Gives a batch the result of one unit, as the fabric would; a `result` of {@link FAILED}: the path brought
 * none.
 */
export function deliver(batch: VerbBatch, unit: Unit, result: number, interner: Interner): void {
  const { verb } = unit;
  if (result === FAILED) return;
  if (unit.kind === UnitKind.CAS) {
    interner.wordAt(result, scratch);
    batch.setField(verb, Field.FOUND_LO, scratch.lo);
    batch.setField(verb, Field.FOUND_HI, scratch.hi);
  } else if (unit.kind === UnitKind.READ_SLOT) {
    interner.wordAt(result, scratch);
    const at = (batch.field(verb, Field.LOCAL) + unit.fromBytes) >>> 2;
    batch.local.words[at] = scratch.lo;
    batch.local.words[at + 1] = scratch.hi;
  } else if (unit.kind === UnitKind.READ_LINE) {
    const bytes = interner.bytesAt(result);
    batch.local.bytes.set(bytes.subarray(0, unit.toBytes), batch.field(verb, Field.LOCAL));
  }
}

/** The result of a unit whose path failed. */
export const FAILED = -1;
/** A result that has not come yet. */
export const PENDING = -2;
/** The unit has executed on an MN that will die before it answers. */
export const UNANSWERED = -3;
