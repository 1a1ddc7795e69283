/** Memory nodes inside this process, in plain TypeScript: shared by memory fabric, simulators, explorers. */
import { UsageError, type Word } from '../verbs/index.js';

/** Answers one request to an MN's weak CPU; at most RPC_BYTES each way. Duplicates are the caller's care. */
export type RpcHandler = (request: Uint8Array) => Uint8Array;

const PAGE_BYTES = 4096;
const PAGE_SHIFT = 12;

class Page {
  readonly words = new Uint32Array(PAGE_BYTES >>> 2);
  readonly bytes = new Uint8Array(this.words.buffer);
}

class Node {
  readonly memoryBytes: number;
  readonly pages = new Map<number, Page>();
  isAlive = true;
  handler: RpcHandler | undefined;

  constructor(memoryBytes: number) {
    this.memoryBytes = memoryBytes;
  }
}

/**
 * The memories of several MNs, sparse: a page of 4 KiB comes into being with the first WRITE to it, an
 * untouched one reads as zero. Single-threaded and deterministic; several clients share one object.
 */
export class MemoryNodes {
  /** Bytes of each MN's memory, indexed by MN. */
  readonly memoryBytes: Float64Array;
  /** Changes of any memory so far: while it stands still, repeating a READ finds nothing new. */
  changes = 0;
  /** Virtual time; each executed batch takes one nanosecond unless somebody sets it. */
  nowNs = 0;
  readonly #nodes: Node[];

  /** @param memoryBytes of each MN, multiples of 8. */
  constructor(memoryBytes: readonly number[]) {
    for (const size of memoryBytes) {
      if (!(size > 0 && size % 8 === 0 && size < 2 ** 48)) {
        throw new UsageError(`an MN of ${size} bytes: sizes are multiples of 8 below 2^48`);
      }
    }
    this.memoryBytes = Float64Array.from(memoryBytes);
    this.#nodes = memoryBytes.map((size) => new Node(size));
    this.generations = new Uint32Array(memoryBytes.length);
  }

  /** MNs that have died. */
  deadCount = 0;

  get count(): number {
    return this.#nodes.length;
  }

  isAlive(mn: number): boolean {
    return this.#nodes[mn].isAlive;
  }

  /** The MN's process dies: verbs to it FAIL from now on, its memory is lost to everybody. */
  kill(mn: number): void {
    if (this.#nodes[mn].isAlive) this.deadCount++;
    this.#nodes[mn].isAlive = false;
    this.changes++;
  }

  /** Grows when another memory takes the MN's place: what was asked of the one before is nothing to it. */
  readonly generations: Uint32Array;

  /** The MN is another process, with empty memory, no service yet, and nothing known of it. */
  renew(mn: number): void {
    if (!this.#nodes[mn].isAlive) this.deadCount--;
    this.#nodes[mn] = new Node(this.memoryBytes[mn]);
    this.generations[mn]++;
    this.changes++;
  }

  /** Two MNs of one size take each other's place, with their memories and services. */
  swap(a: number, b: number): void {
    const nodes = this.#nodes;
    [nodes[a], nodes[b]] = [nodes[b], nodes[a]];
    this.generations[a]++;
    this.generations[b]++;
    this.changes++;
  }

  /** Gives the MN's weak CPU its service; an MN without one lets RPCs FAIL. */
  serve(mn: number, handler: RpcHandler): void {
    this.#nodes[mn].handler = handler;
  }

  /** The response to `request`, or undefined when the MN serves none. */
  call(mn: number, request: Uint8Array): Uint8Array | undefined {
    return this.#nodes[mn].handler?.(request);
  }

  /** The same memories once more, of nodes that all live and have no service yet. */
  copy(): MemoryNodes {
    const copy = new MemoryNodes([...this.memoryBytes]);
    for (const [mn, { pages }] of this.#nodes.entries())
      for (const [index, { bytes }] of pages) copy.#pageOf(mn, index).bytes.set(bytes);
    return copy;
  }

  /** Copies `lengthBytes` bytes of the MN at `offset` into `into` at `at`. */
  read(mn: number, offset: number, into: Uint8Array, at: number, lengthBytes: number): void {
    const pages = this.#nodes[mn].pages;
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) % PAGE_BYTES;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      const page = pages.get(pageIndex(offset + done));
      if (page === undefined) into.fill(0, at + done, at + done + step);
      else copy(page.bytes, from, into, at + done, step);
      done += step;
    }
  }

  /** Copies `lengthBytes` bytes of `source` at `at` to the MN at `offset`. */
  write(mn: number, offset: number, source: Uint8Array, at: number, lengthBytes: number): void {
    for (let done = 0; done < lengthBytes; ) {
      const from = (offset + done) % PAGE_BYTES;
      const step = Math.min(lengthBytes - done, PAGE_BYTES - from);
      copy(source, at + done, this.#page(mn, offset + done).bytes, from, step);
      done += step;
    }
    if (lengthBytes > 0) this.changes++;
  }

  /** The aligned word of the MN at `offset`. */
  load(mn: number, offset: number, into: Word): Word {
    const words = this.#nodes[mn].pages.get(pageIndex(offset))?.words;
    const at = (offset % PAGE_BYTES) >>> 2;
    into.lo = words === undefined ? 0 : words[at];
    into.hi = words === undefined ? 0 : words[at + 1];
    return into;
  }

  /** Sets the aligned word of the MN at `offset`. */
  store(mn: number, offset: number, lo: number, hi: number): void {
    const words = this.#page(mn, offset).words;
    const at = (offset % PAGE_BYTES) >>> 2;
    words[at] = lo;
    words[at + 1] = hi;
    this.changes++;
  }

  #page(mn: number, offset: number): Page {
    return this.#pageOf(mn, pageIndex(offset));
  }

  #pageOf(mn: number, index: number): Page {
    const { pages } = this.#nodes[mn];
    let page = pages.get(index);
    if (page === undefined) {
      page = new Page();
      pages.set(index, page);
    }
    return page;
  }
}

/** Offsets reach 2^48, shifts only 2^32. */
const pageIndex = (offset: number): number =>
  offset < 0x8000_0000 ? offset >>> PAGE_SHIFT : Math.floor(offset / PAGE_BYTES);

/** Short copies by a loop: `set` with a fresh view would allocate on every verb. */
function copy(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, lengthBytes: number): void {
  if (lengthBytes > 256) {
    to.set(from.subarray(fromAt, fromAt + lengthBytes), toAt);
    return;
  }
  for (let i = 0; i < lengthBytes; i++) to[toAt + i] = from[fromAt + i];
}
