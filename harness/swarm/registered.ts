/**
 * Registered memory of clients that are no more, for those of the next run: megabytes that need not be made
 * anew.
 */

class Buffers {
  readonly #free = new Map<number, ArrayBuffer[]>();
  readonly #used: ArrayBuffer[] = [];

  /** Zeroed memory, to be used until the next {@link release}. */
  take(lengthBytes: number): ArrayBuffer {
    const wholeBytes = Math.ceil(lengthBytes / 64) * 64;
    let buffer = this.#free.get(wholeBytes)?.pop();
    if (buffer === undefined) buffer = new ArrayBuffer(wholeBytes);
    else new Uint8Array(buffer).fill(0);
    this.#used.push(buffer);
    return buffer;
  }

  /** The run that used them is over. */
  release(): void {
    for (const buffer of this.#used) {
      const list = this.#free.get(buffer.byteLength) ?? [];
      list.push(buffer);
      this.#free.set(buffer.byteLength, list);
    }
    this.#used.length = 0;
  }
}

/** One run at a time uses them. */
export const buffers = new Buffers();
