/**
 * The memories of simulated MNs: {@link MemoryNodes}, with long pages found by their number, whole words
 * copied at once and verbs executed here without a detour, because a simulation spends a good part of its
 * time so. The conformance suite holds the two alike.
 */
import { Field, Opcode, Status, type VerbBatch, type Word } from '../../verbs/index.js';
import { executeVerb } from '../execute-verb.js';
import { MemoryNodes } from '../memory-nodes.js';

const PAGE_BYTES = 1 << 16;
/** Offsets are whole numbers up to 2^48; `&` takes their low 32 bits, which is all that this mask needs. */
const PAGE_MASK = PAGE_BYTES - 1;

class Page {
  readonly words = new Uint32Array(PAGE_BYTES >>> 2);
  readonly bytes = new Uint8Array(this.words.buffer);
}

/** Node memories for simulation; the head of this file says what is faster, and why. */
export class SimMemory extends MemoryNodes {
  /** Pages by MN and number; one that nobody has written is not there, and reads as zero. */
  readonly #pages: (Page | undefined)[][];

  /** @param memoryBytes of each MN, multiples of 8. */
  constructor(memoryBytes: readonly number[]) {
    super(memoryBytes);
    this.#pages = memoryBytes.map(() => []);
  }

  override renew(mn: number): void {
    super.renew(mn);
    this.#pages[mn] = [];
  }

  override swap(a: number, b: number): void {
    super.swap(a, b);
    [this.#pages[a], this.#pages[b]] = [this.#pages[b], this.#pages[a]];
  }

  override read(mn: number, offset: number, into: Uint8Array, at: number, lengthBytes: number): void {
    const pages = this.#pages[mn];
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) & PAGE_MASK;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      const bytes = pages[pageIndex(offset + done)]?.bytes;
      if (bytes === undefined) into.fill(0, at + done, at + done + step);
      else copyBytes(bytes, from, into, at + done, step);
      done += step;
    }
  }

  override write(mn: number, offset: number, source: Uint8Array, at: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) & PAGE_MASK;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      const { bytes } = this.#page(mn, offset + done);
      copyBytes(source, at + done, bytes, from, step);
      done += step;
    }
    if (lengthBytes > 0) this.changes++;
  }

  override load(mn: number, offset: number, into: Word): Word {
    const words = this.#pages[mn][pageIndex(offset)]?.words;
    const at = (offset & PAGE_MASK) >>> 2;
    into.lo = words === undefined ? 0 : words[at];
    into.hi = words === undefined ? 0 : words[at + 1];
    return into;
  }

  override store(mn: number, offset: number, lo: number, hi: number): void {
    const { words } = this.#page(mn, offset);
    const at = (offset & PAGE_MASK) >>> 2;
    words[at] = lo;
    words[at + 1] = hi;
    this.changes++;
  }

  /** Executes verb `i` of a batch at once, as `executeVerb` does; anything but an RPC. */
  execute(batch: VerbBatch, i: number): void {
    const mn = batch.mn(i);
    const remote = batch.remote(i);
    const from = remote & PAGE_MASK;
    const lengthBytes = batch.field(i, Field.LENGTH);
    if (from + lengthBytes > PAGE_BYTES || !this.isAlive(mn)) {
      executeVerb(this, batch, i);
      return;
    }
    const opcode = batch.opcode(i);
    if (opcode === Opcode.READ) this.#read(batch, i, this.#pages[mn][pageIndex(remote)], from);
    else {
      const page = this.#page(mn, remote);
      if (opcode === Opcode.WRITE) write(batch, i, page, from);
      if (opcode === Opcode.WRITE || executeAtomic(batch, i, page.words, from >>> 2)) this.changes++;
    }
    batch.setField(i, Field.STATUS, Status.OK);
  }

  #read(batch: VerbBatch, i: number, page: Page | undefined, from: number): void {
    const at = batch.field(i, Field.LOCAL);
    const lengthBytes = batch.field(i, Field.LENGTH);
    const { local } = batch;
    if (page === undefined) local.bytes.fill(0, at, at + lengthBytes);
    else if (((from | at | lengthBytes) & 3) === 0)
      copy(page.words, from >>> 2, local.words, at >>> 2, lengthBytes >>> 2);
    else copyBytes(page.bytes, from, local.bytes, at, lengthBytes);
  }

  #page(mn: number, offset: number): Page {
    const pages = this.#pages[mn];
    const index = pageIndex(offset);
    let page = pages[index];
    if (page === undefined) {
      page = new Page();
      pages[index] = page;
    }
    return page;
  }
}

/** Offsets reach 2^48, shifts only 2^32. */
const pageIndex = (offset: number): number =>
  offset < 0x8000_0000 ? offset >>> 16 : Math.floor(offset / PAGE_BYTES);

function write(batch: VerbBatch, i: number, page: Page, from: number): void {
  const at = batch.field(i, Field.LOCAL);
  const lengthBytes = batch.field(i, Field.LENGTH);
  const { local } = batch;
  if (((from | at | lengthBytes) & 3) === 0)
    copy(local.words, at >>> 2, page.words, from >>> 2, lengthBytes >>> 2);
  else copyBytes(local.bytes, at, page.bytes, from, lengthBytes);
}

/** CAS or FAA on the words at `at` and behind it; says whether it took effect. */
function executeAtomic(batch: VerbBatch, i: number, words: Uint32Array, at: number): boolean {
  const foundLo = words[at];
  const foundHi = words[at + 1];
  const lo = batch.field(i, Field.EXPECT_LO);
  const hi = batch.field(i, Field.EXPECT_HI);
  batch.setField(i, Field.FOUND_LO, foundLo);
  batch.setField(i, Field.FOUND_HI, foundHi);
  if (batch.opcode(i) === Opcode.FAA) {
    const sum = foundLo + lo;
    words[at] = sum;
    words[at + 1] = foundHi + hi + (sum > 0xffff_ffff ? 1 : 0);
    return true;
  }
  if (foundLo !== lo || foundHi !== hi) return false;
  words[at] = batch.field(i, Field.SWAP_LO);
  words[at + 1] = batch.field(i, Field.SWAP_HI);
  return true;
}

/** A function for each kind of array: one for both would look at the kind for every element. */
function copy(from: Uint32Array, fromAt: number, to: Uint32Array, toAt: number, count: number): void {
  for (let k = 0; k < count; k++) to[toAt + k] = from[fromAt + k];
}

function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, count: number): void {
  for (let k = 0; k < count; k++) to[toAt + k] = from[fromAt + k];
}
