/**
 * The memories of simulated MNs: {@link MemoryNodes}, with pages found by their number and whole words copied
 * at once, because a simulation spends a good part of its time here. The conformance suite holds the two
 * alike.
 */
import { Field, Opcode, Status, type VerbBatch, type Word } from '../../verbs/index.js';
import { executeVerb } from '../execute-verb.js';
import { MemoryNodes } from '../memory-nodes.js';

const PAGE_BYTES = 4096;
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

  override read(mn: number, offset: number, into: Uint8Array, at: number, lengthBytes: number): void {
    const pages = this.#pages[mn];
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) & PAGE_MASK;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      const bytes = pages[pageIndex(offset + done)]?.bytes;
      if (bytes === undefined) into.fill(0, at + done, at + done + step);
      else for (let i = 0; i < step; i++) into[at + done + i] = bytes[from + i];
      done += step;
    }
  }

  override write(mn: number, offset: number, source: Uint8Array, at: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) & PAGE_MASK;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      const { bytes } = this.#page(mn, offset + done);
      for (let i = 0; i < step; i++) bytes[from + i] = source[at + done + i];
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
    const opcode = batch.opcode(i);
    const remote = batch.remote(i);
    const from = (remote & PAGE_MASK) >>> 2;
    const lengthBytes = batch.field(i, Field.LENGTH);
    const at = batch.field(i, Field.LOCAL);
    const isWhole = (remote & 3) === 0 && ((at | lengthBytes) & 3) === 0;
    if (opcode > Opcode.WRITE || !isWhole || (from << 2) + lengthBytes > PAGE_BYTES || !this.isAlive(mn)) {
      executeVerb(this, batch, i);
      return;
    }
    const { words } = batch.local;
    const local = at >>> 2;
    const count = lengthBytes >>> 2;
    if (opcode === Opcode.WRITE) {
      const page = this.#page(mn, remote).words;
      for (let k = 0; k < count; k++) page[from + k] = words[local + k];
      this.changes++;
    } else {
      const page = this.#pages[mn][pageIndex(remote)]?.words;
      if (page === undefined) words.fill(0, local, local + count);
      else for (let k = 0; k < count; k++) words[local + k] = page[from + k];
    }
    batch.setField(i, Field.STATUS, Status.OK);
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
  offset < 0x8000_0000 ? offset >>> 12 : Math.floor(offset / PAGE_BYTES);
