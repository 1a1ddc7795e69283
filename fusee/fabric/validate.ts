/**
 * What every fabric checks before it posts a batch, so that a wrong verb is refused while nothing of its
 * batch has executed (contract, rules 3 and 4). A few nanoseconds a verb: numbers only, the text is made on
 * refusal.
 */
import {
  DESCRIPTOR_BYTES,
  Field,
  Header,
  type LocalMemory,
  Opcode,
  RPC_BYTES,
  UsageError,
  type VerbBatch,
} from '../verbs/index.js';

const NAMES = ['READ', 'WRITE', 'CAS', 'FAA', 'RPC'];

/** What a verb may name: the client's registered memory, and each MN's size in bytes. */
export interface Reach {
  readonly local: LocalMemory;
  /** Bytes of each MN's memory, indexed by MN. */
  readonly memoryBytes: Float64Array;
}

/**
 * Refuses a batch with a verb outside an MN's or the registered memory, an unaligned atomic or an oversized
 * RPC. Writes the verb count into the batch's header.
 * @throws UsageError naming the verb, its offset and the limit.
 */
export function validateBatch(batch: VerbBatch, reach: Reach): void {
  const local = reach.local;
  if (batch.local !== local) {
    throw new UsageError(
      'the batch lies in the registered memory of another client: make it from fabric.local',
    );
  }
  const words = local.words;
  const doubles = local.doubles;
  const memoryBytes = reach.memoryBytes;
  const localBytes = local.bytes.length;
  const header = batch.offset >>> 2;
  const count = batch.count;
  let d = header + (DESCRIPTOR_BYTES >>> 2);
  for (let i = 0; i < count; i++, d += 16) {
    const opcode = words[d + Field.OPCODE];
    const mn = words[d + Field.MN];
    const length = words[d + Field.LENGTH];
    const remote = doubles[(d + Field.REMOTE) >>> 1];
    // NaN fails the comparison with 0; a fraction would address no byte.
    const isOnNode = mn < memoryBytes.length && remote >= 0 && remote + length <= memoryBytes[mn];
    if (isOnNode && opcode <= Opcode.WRITE) {
      if (Math.floor(remote) === remote && words[d + Field.LOCAL] + length <= localBytes) continue;
    } else if (isOnNode && opcode <= Opcode.FAA) {
      if (Math.floor(remote * 0.125) === remote * 0.125 && length === 8) continue;
    } else if (mn < memoryBytes.length && opcode === Opcode.RPC) {
      if (isRpc(words, d, localBytes)) continue;
    }
    throw new UsageError(describeRefusal(batch, i, reach));
  }
  words[header + Header.COUNT] = count;
}

/** An RPC names no remote offset. */
function isRpc(words: Uint32Array, d: number, localBytes: number): boolean {
  const length = words[d + Field.LENGTH];
  return (
    length <= RPC_BYTES &&
    words[d + Field.LOCAL] + length <= localBytes &&
    words[d + Field.EXPECT_LO] + words[d + Field.EXPECT_HI] <= localBytes
  );
}

/** Says what is wrong with verb `i`: the value, the limit and the way out. */
function describeRefusal(batch: VerbBatch, i: number, reach: Reach): string {
  const opcode = batch.opcode(i);
  const mn = batch.mn(i);
  const length = batch.field(i, Field.LENGTH);
  const local = batch.field(i, Field.LOCAL);
  const localBytes = reach.local.bytes.length;
  const remote = batch.remote(i);
  const verb = `verb ${i} (${NAMES[opcode] ?? `opcode ${opcode}`})`;
  if (!(opcode in NAMES)) return `${verb} is no verb: fill batches by their methods`;
  if (mn >= reach.memoryBytes.length) {
    return `${verb} names MN ${mn}, this client reaches MN 0 to ${reach.memoryBytes.length - 1}`;
  }
  if (opcode === Opcode.RPC && length > RPC_BYTES) {
    return `${verb} carries ${length} bytes, a request has at most ${RPC_BYTES}: split it`;
  }
  if (opcode === Opcode.RPC && local + length <= localBytes) {
    const at = batch.field(i, Field.EXPECT_LO);
    const capacity = batch.field(i, Field.EXPECT_HI);
    return `${verb} wants its response at registered offset ${at} + ${capacity}, it has ${localBytes} bytes`;
  }
  if (opcode !== Opcode.RPC && !(remote >= 0 && remote + length <= reach.memoryBytes[mn])) {
    return `${verb} reaches MN ${mn} offset ${remote} + ${length}, the MN has ${reach.memoryBytes[mn]} bytes`;
  }
  if (opcode >= Opcode.CAS && opcode <= Opcode.FAA) {
    return `${verb} at MN ${mn} offset ${remote} + ${length}: an atomic takes 8 bytes at a multiple of 8`;
  }
  if (Math.floor(remote) !== remote)
    return `${verb} at MN ${mn} offset ${remote}: an offset is a whole number`;
  return `${verb} reaches local offset ${local} + ${length}, registered memory has ${localBytes} bytes`;
}
