/**
 * A set of configurations. A configuration is where a search may stand: the state of the key, and which of
 * the open operations it has already linearized, one bit per slot. Of two that differ only in which
 * operations that need not happen have been used up, the one that used fewer can do all that the other can;
 * the set keeps no configuration that an earlier one covers in this way.
 */

/** Words before the bits of a configuration: the state, then the node of its trace. */
export const STATE = 0;
/** Where the trace node of a configuration stands, from its start. */
export const TRACE = 1;
/** Where the bits of a configuration begin, from its start. */
export const BITS = 2;

const TABLE_LENGTH_MIN = 64;

/** A growing set of configurations, each `stride` int32 words in `data`; emptied in constant time. */
export class ConfigurationSet {
  count = 0;
  words = 1;
  stride = BITS + 1;
  data = new Int32Array(64);
  #table = new Int32Array(TABLE_LENGTH_MIN);
  #stamps = new Int32Array(TABLE_LENGTH_MIN);
  #generation = 0;

  /** Empties the set; each configuration will have 32 × `words` bits. */
  reset(words: number): void {
    this.count = 0;
    this.words = words;
    this.stride = BITS + words;
    this.#generation++;
    if (this.#generation === 0x7fff_ffff) {
      this.#stamps.fill(0);
      this.#generation = 1;
    }
  }

  /**
   * Makes room for one more and returns where in `data` to write it; `data` may be another array afterwards.
   * `commit` decides whether it stays.
   */
  candidate(): number {
    const offset = this.count * this.stride;
    if (offset + this.stride > this.data.length) {
      const data = new Int32Array(Math.max(this.data.length * 2, offset + this.stride));
      data.set(this.data);
      this.data = data;
    }
    return offset;
  }

  /**
   * Keeps the candidate unless the set has it or covers it, and says whether it was kept. `maybeMask` has the
   * bits of the operations that need not happen and must not change between two resets.
   */
  commit(maybeMask: Int32Array): boolean {
    const offset = this.count * this.stride;
    let at = this.#hash(offset, maybeMask) & (this.#table.length - 1);
    while (this.#stamps[at] === this.#generation) {
      if (this.#covers(this.#table[at] * this.stride, offset, maybeMask)) return false;
      at = (at + 1) & (this.#table.length - 1);
    }
    this.#table[at] = this.count;
    this.#stamps[at] = this.#generation;
    this.count++;
    if (this.count * 2 > this.#table.length) this.#rehash(maybeMask);
    return true;
  }

  #hash(offset: number, maybeMask: Int32Array): number {
    const { data, words } = this;
    let hash = Math.imul(data[offset + STATE] + 3, 0x9e37_79b1);
    for (let w = 0; w < words; w++) {
      hash = Math.imul(hash ^ (data[offset + BITS + w] & ~maybeMask[w]), 0x85eb_ca6b);
      hash ^= hash >>> 15;
    }
    return hash ^ (hash >>> 13);
  }

  #covers(kept: number, offset: number, maybeMask: Int32Array): boolean {
    const { data, words } = this;
    if (data[kept + STATE] !== data[offset + STATE]) return false;
    for (let w = 0; w < words; w++) {
      const used = data[kept + BITS + w];
      const bits = data[offset + BITS + w];
      const mask = maybeMask[w];
      if (((used ^ bits) & ~mask) !== 0 || (used & ~bits & mask) !== 0) return false;
    }
    return true;
  }

  #rehash(maybeMask: Int32Array): void {
    const length = this.#table.length * 2;
    this.#table = new Int32Array(length);
    this.#stamps = new Int32Array(length);
    this.#generation = 1;
    for (let i = 0; i < this.count; i++) {
      let at = this.#hash(i * this.stride, maybeMask) & (length - 1);
      while (this.#stamps[at] === 1) at = (at + 1) & (length - 1);
      this.#table[at] = i;
      this.#stamps[at] = 1;
    }
  }
}
