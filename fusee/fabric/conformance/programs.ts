/** What clients in processes of their own do while the suite looks on; each polls without a pause. */
import { VerbBatch, word } from '../../verbs/index.js';
import type { Fabric } from '../contract.js';
import { Request } from './service.js';

/** No program outlives the test that forgot it. */
const LIMIT_MS = 60_000;

const ONE = word(0, 1);

/** One batch, posted and polled until it is back, many times. */
class Client {
  readonly fabric: Fabric;
  readonly batch: VerbBatch;
  readonly buffer: number;
  readonly #done: VerbBatch[] = [];

  constructor(fabric: Fabric) {
    this.fabric = fabric;
    this.batch = new VerbBatch(fabric.local, 32);
    this.buffer = fabric.local.reserve(4096);
  }

  roundTrip(): void {
    this.fabric.post(this.batch);
    while (this.fabric.poll(this.#done) === 0);
  }

  /** Waits until `parties` clients have come to the word at `offset`: processes start at different times. */
  meet(offset: number, parties: number): void {
    this.batch.reset().faa(0, offset, ONE);
    this.roundTrip();
    const end = performance.now() + LIMIT_MS;
    do {
      if (performance.now() > end) throw new Error(`fewer than ${parties} clients came to offset ${offset}`);
      this.batch.reset().read8(0, offset);
      this.roundTrip();
    } while (this.batch.foundLo(0) < parties);
  }
}

/** With `parties` others, adds 1 to a word `rounds` times by FAA. They meet at the word 64 bytes behind. */
function addMany(fabric: Fabric, [offset, rounds, parties]: readonly number[]): number[] {
  const client = new Client(fabric);
  client.meet(offset + 64, parties);
  for (let i = 0; i < rounds; i++) {
    client.batch.reset().faa(0, offset, ONE);
    client.roundTrip();
  }
  return [];
}

/** As {@link addMany}, by CAS. Returns how many CASs lost. */
function swapMany(fabric: Fabric, [offset, rounds, parties]: readonly number[]): number[] {
  const client = new Client(fabric);
  client.meet(offset + 64, parties);
  const seen = word();
  const next = word();
  let lost = 0;
  for (let won = 0; won < rounds; ) {
    next.lo = seen.lo + 1;
    client.batch.reset().cas(0, offset, seen, next);
    client.roundTrip();
    if (client.batch.foundIs(0, seen)) {
      won++;
      seen.lo = next.lo;
    } else {
      lost++;
      client.batch.found(0, seen);
    }
  }
  return [lost];
}

/** WRITEs one byte `rounds` times and READs it back; nobody else writes it. Returns how often it differed. */
function hammerByte(fabric: Fabric, [offset, rounds]: readonly number[]): number[] {
  const client = new Client(fabric);
  const bytes = fabric.local.bytes;
  let wrong = 0;
  for (let i = 0; i < rounds; i++) {
    bytes[client.buffer] = i;
    client.batch.reset();
    client.batch.write(0, offset, client.buffer, 1);
    for (let r = 0; r < 4; r++) client.batch.read(0, offset, client.buffer + 64 + r, 1);
    client.roundTrip();
    for (let r = 0; r < 4; r++) if (bytes[client.buffer + 64 + r] !== (i & 255)) wrong++;
  }
  return [wrong];
}

/** WRITEs words of the round and its complement to a range, until the word at `stopAt` is set. */
function writeRounds(fabric: Fabric, [offset, lengthBytes, stopAt]: readonly number[]): number[] {
  const client = new Client(fabric);
  const words = fabric.local.words;
  const first = client.buffer >>> 2;
  const end = performance.now() + LIMIT_MS;
  for (let round = 1; performance.now() < end; round++) {
    for (let i = 0; i < lengthBytes >>> 2; i += 2) {
      words[first + i] = round;
      words[first + i + 1] = ~round;
    }
    client.batch.reset().write(0, offset, client.buffer, lengthBytes);
    const stop = client.batch.read8(0, stopAt);
    client.roundTrip();
    if (client.batch.foundLo(stop) !== 0) return [round];
  }
  return [];
}

/**
 * One side of the store-load litmus test: WRITE one's own flag, READ the other's. Both sides meet before each
 * round at a counter. Flags of round r stand 64 bytes apart from `offset`; returns what this side saw, per
 * round.
 */
function storeLoad(fabric: Fabric, [offset, side, rounds]: readonly number[]): number[] {
  const client = new Client(fabric);
  const second = new VerbBatch(fabric.local, 4);
  const done: VerbBatch[] = [];
  const saw: number[] = [];
  fabric.local.words[client.buffer >>> 2] = 1;
  for (let r = 0; r < rounds; r++) {
    const at = offset + r * 192;
    client.meet(at, 2);
    client.batch.reset().write(0, at + 64 + side * 64, client.buffer, 8);
    const isOneBatch = r % 2 === 0;
    const reader = isOneBatch ? client.batch : second.reset();
    const read = reader.read8(0, at + 128 - side * 64);
    fabric.post(client.batch);
    if (!isOneBatch) fabric.post(second);
    for (let back = 0; back < (isOneBatch ? 1 : 2); ) back += fabric.poll(done);
    saw.push(reader.foundLo(read));
  }
  return saw;
}

/**
 * Once the word at `gateAt` is set, adds 1 to the one at `offset` and calls the MN to count, until somebody
 * ends the process.
 */
function workForever(fabric: Fabric, [offset, gateAt]: readonly number[]): number[] {
  const client = new Client(fabric);
  client.meet(gateAt, 2);
  fabric.local.bytes[client.buffer] = Request.COUNT;
  const call = new VerbBatch(fabric.local, 1);
  const done: VerbBatch[] = [];
  let isCalling = false;
  const end = performance.now() + LIMIT_MS;
  while (performance.now() < end) {
    if (!isCalling) {
      call
        .reset()
        .rpc(0, { local: client.buffer, lengthBytes: 1 }, { local: client.buffer + 64, capacityBytes: 64 });
      fabric.post(call);
      isCalling = true;
    }
    client.batch.reset().faa(0, offset, ONE);
    fabric.post(client.batch);
    for (let isBack = false; !isBack; ) {
      const count = fabric.poll(done);
      for (let i = 0; i < count; i++) {
        if (done[i] === call) isCalling = false;
        else isBack = true;
      }
    }
  }
  return [];
}

/** The programs by name, for the process that runs one. */
export const programs = { addMany, swapMany, hammerByte, writeRounds, storeLoad, workForever };
/** Names a program. */
export type ProgramName = keyof typeof programs;
