/**
 * What a client has written to since it was asked to note it: pages of the nodes' memory. While a node's
 * place is filled, every fabric of a member has marks, so that the master knows what it has to copy once more
 * (`fill.ts`).
 *
 * A page is marked when a verb that may change it is *posted*, whatever comes of it.
 */
import { Opcode, type VerbBatch } from '../verbs/index.js';

/** Smallest page. */
const PAGE_LEAST = 4096;
/** Most pages of a node: a report stays below what one line of the control channel takes, for 64 nodes. */
const PAGES_MAX = 1 << 16;

/** Bytes of a page of nodes that have so much memory: what is told of them is bounded. */
export function pageBytesOf(nodeBytes: number): number {
  let bytes = PAGE_LEAST;
  while (Math.ceil(nodeBytes / bytes) > PAGES_MAX) bytes *= 2;
  return bytes;
}

/** A set of pages of a pool's nodes. */
export class Marks {
  readonly pageBytes: number;
  /** Per node one bit for each page; made when the first is marked. */
  readonly #pages: (Uint8Array | undefined)[];
  readonly #bytes: number;

  constructor({ nodes, nodeBytes }: { nodes: number; nodeBytes: number }) {
    this.pageBytes = pageBytesOf(nodeBytes);
    this.#pages = new Array<Uint8Array | undefined>(nodes).fill(undefined);
    this.#bytes = Math.ceil(Math.ceil(nodeBytes / this.pageBytes) / 8);
  }

  /** Marks what the batch may change. */
  add(batch: VerbBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const opcode = batch.opcode(i);
      if (opcode === Opcode.READ || opcode === Opcode.RPC) continue;
      this.addRange(batch.mn(i), batch.remote(i), opcode === Opcode.WRITE ? batch.lengthOf(i) : 8);
    }
  }

  /** Marks the pages of a range. */
  addRange(mn: number, offset: number, lengthBytes: number): void {
    const pages = this.#of(mn);
    const last = Math.floor((offset + lengthBytes - 1) / this.pageBytes);
    for (let page = Math.floor(offset / this.pageBytes); page <= last; page++)
      pages[page >>> 3] |= 1 << (page & 7);
  }

  /** Is any page of the range marked? */
  hasRange(mn: number, offset: number, lengthBytes: number): boolean {
    const pages = this.#pages[mn];
    if (pages === undefined) return false;
    const last = Math.floor((offset + lengthBytes - 1) / this.pageBytes);
    for (let page = Math.floor(offset / this.pageBytes); page <= last; page++)
      if ((pages[page >>> 3] & (1 << (page & 7))) !== 0) return true;
    return false;
  }

  /** Takes out all that is marked: by node, as text; the nodes behind the last one marked are left out. */
  take(): string[] {
    const told = this.#pages.map((pages) =>
      pages === undefined ? '' : Buffer.from(pages).toString('base64'),
    );
    this.#pages.fill(undefined);
    while (told.at(-1) === '') told.pop();
    return told;
  }

  /**
   * Adds what another one has told by {@link take}.
   * @returns false: it is no such thing; what could be read of it is added.
   */
  merge(told: readonly string[]): boolean {
    if (told.length > this.#pages.length) return false;
    for (const [mn, text] of told.entries()) {
      if (text === '') continue;
      const pages = Buffer.from(text, 'base64');
      if (pages.length !== this.#bytes) return false;
      const own = this.#of(mn);
      for (let i = 0; i < pages.length; i++) own[i] |= pages[i];
    }
    return true;
  }

  #of(mn: number): Uint8Array {
    const pages = this.#pages[mn] ?? new Uint8Array(this.#bytes);
    this.#pages[mn] = pages;
    return pages;
  }
}
