/** One verb against in-process memory nodes: the unit in which an explorer schedules, tears and crashes. */
import { Field, Opcode, Status, type VerbBatch, word } from '../verbs/index.js';
import type { MemoryNodes } from './memory-nodes.js';

const found = word();

/**
 * Executes verb `i` of the batch at once and sets its status: FAIL when its MN is dead, serves no RPC, or
 * answers more than the response has room for; else OK.
 */
export function executeVerb(nodes: MemoryNodes, batch: VerbBatch, i: number): void {
  const opcode = batch.opcode(i);
  if (opcode <= Opcode.WRITE) {
    executePart(nodes, batch, i, { fromBytes: 0, toBytes: batch.field(i, Field.LENGTH) });
  } else if (!nodes.isAlive(batch.mn(i))) {
    batch.setField(i, Field.STATUS, Status.FAIL);
  } else if (opcode === Opcode.RPC) {
    executeRpc(nodes, batch, i);
  } else {
    executeAtomic(nodes, batch, i);
  }
}

/**
 * Executes only bytes `fromBytes` to `toBytes` of a READ or WRITE, so that others may run between two parts
 * of it. The verb gets its status with the part that ends at its length; a WRITE cut short before is a torn
 * one.
 */
export function executePart(
  nodes: MemoryNodes,
  batch: VerbBatch,
  i: number,
  part: { fromBytes: number; toBytes: number },
): void {
  const mn = batch.mn(i);
  if (!nodes.isAlive(mn)) {
    batch.setField(i, Field.STATUS, Status.FAIL);
    return;
  }
  const local = batch.field(i, Field.LOCAL) + part.fromBytes;
  const remote = batch.remote(i) + part.fromBytes;
  const lengthBytes = part.toBytes - part.fromBytes;
  if (batch.opcode(i) === Opcode.WRITE) nodes.write(mn, remote, batch.local.bytes, local, lengthBytes);
  else nodes.read(mn, remote, batch.local.bytes, local, lengthBytes);
  if (part.toBytes === batch.field(i, Field.LENGTH)) batch.setField(i, Field.STATUS, Status.OK);
}

function executeAtomic(nodes: MemoryNodes, batch: VerbBatch, i: number): void {
  const mn = batch.mn(i);
  const remote = batch.remote(i);
  const lo = batch.field(i, Field.EXPECT_LO);
  const hi = batch.field(i, Field.EXPECT_HI);
  nodes.load(mn, remote, found);
  batch.setField(i, Field.FOUND_LO, found.lo);
  batch.setField(i, Field.FOUND_HI, found.hi);
  if (batch.opcode(i) === Opcode.FAA) {
    const sum = found.lo + lo;
    nodes.store(mn, remote, sum >>> 0, (found.hi + hi + (sum > 0xffff_ffff ? 1 : 0)) >>> 0);
  } else if (found.lo === lo && found.hi === hi) {
    nodes.store(mn, remote, batch.field(i, Field.SWAP_LO), batch.field(i, Field.SWAP_HI));
  }
  batch.setField(i, Field.STATUS, Status.OK);
}

function executeRpc(nodes: MemoryNodes, batch: VerbBatch, i: number): void {
  const at = batch.field(i, Field.LOCAL);
  const request = batch.local.bytes.slice(at, at + batch.field(i, Field.LENGTH));
  const response = nodes.call(batch.mn(i), request);
  batch.setField(i, Field.FOUND_LO, response?.length ?? 0);
  const fits = response !== undefined && response.length <= batch.field(i, Field.EXPECT_HI);
  if (fits) batch.local.bytes.set(response, batch.field(i, Field.EXPECT_LO));
  batch.setField(i, Field.STATUS, fits ? Status.OK : Status.FAIL);
}
