/** All states met so far, each once: vectors of equal length, in pages, found by an open hash table. */
const PAGE_STATES = 1 << 14;

/** A set of states that numbers them in the order they came. */
export class StateStore {
  readonly width: number;
  count = 0;
  readonly #pages: Int32Array[] = [];
  #table = new Int32Array(1 << 16);
  #mask = this.#table.length - 1;

  constructor(width: number) {
    this.width = width;
  }

  /** The index of a state; it was new when that equals the {@link count} before. */
  add(state: Int32Array): number {
    const { width } = this;
    let at = hashOf(state) & this.#mask;
    for (; this.#table[at] !== 0; at = (at + 1) & this.#mask) {
      const known = this.#table[at] - 1;
      const page = this.#pages[known >>> 14];
      const first = (known & (PAGE_STATES - 1)) * width;
      let i = 0;
      while (i < width && page[first + i] === state[i]) i++;
      if (i === width) return known;
    }
    if ((this.count & (PAGE_STATES - 1)) === 0) this.#pages.push(new Int32Array(PAGE_STATES * width));
    this.#pages[this.count >>> 14].set(state, (this.count & (PAGE_STATES - 1)) * width);
    this.#table[at] = ++this.count;
    if (this.count * 2 > this.#table.length) this.#grow();
    return this.count - 1;
  }

  /** The state of an index; a view, valid for good. */
  at(index: number): Int32Array {
    const first = (index & (PAGE_STATES - 1)) * this.width;
    return this.#pages[index >>> 14].subarray(first, first + this.width);
  }

  #grow(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    this.#mask = this.#table.length - 1;
    for (let i = 0; i < this.count; i++) {
      let at = hashOf(this.at(i)) & this.#mask;
      while (this.#table[at] !== 0) at = (at + 1) & this.#mask;
      this.#table[at] = i + 1;
    }
  }
}

function hashOf(state: Int32Array): number {
  let h = 0x9e3779b9;
  for (let i = 0; i < state.length; i++) {
    h = Math.imul(h ^ state[i], 0x85ebca6b);
    h ^= h >>> 15;
  }
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
