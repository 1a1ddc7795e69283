/**
 * Which lines of a stretch of the data the slots name: two bits a line, so that a walk over any pool holds a
 * few MiB. A pool of more lines than that is walked in stretches, and its index read once for each.
 */
import { LINE_BYTES } from '../layout/index.js';

/** What a slot names a line as. */
export const NamedAs = { NOTHING: 0, LIVE: 1, TOMBSTONE: 2 } as const;
export type NamedAs = (typeof NamedAs)[keyof typeof NamedAs];

/** Names of the objects that begin in one stretch. */
export class Names {
  readonly #bits: Uint8Array;
  #first = 0;
  #end = 0;

  constructor(bytes: number) {
    this.#bits = new Uint8Array(Math.ceil(bytes / LINE_BYTES / 4));
  }

  /** Forgets everything, and begins a stretch: pointers from `first` to below `end`. */
  begin(first: number, end: number): void {
    this.#first = first;
    this.#end = end;
    this.#bits.fill(0);
  }

  /** True when the stretch has this pointer. */
  covers(pointer: number): boolean {
    return pointer >= this.#first && pointer < this.#end;
  }

  /** Notes that a slot names the line; false when another one has named it. */
  mark(pointer: number, as: NamedAs): boolean {
    const line = (pointer - this.#first) / LINE_BYTES;
    const isFirst = this.at(pointer) === NamedAs.NOTHING;
    if (isFirst) this.#bits[line >>> 2] |= as << ((line & 3) * 2);
    return isFirst;
  }

  /** What the line is named as. */
  at(pointer: number): NamedAs {
    const line = (pointer - this.#first) / LINE_BYTES;
    return ((this.#bits[line >>> 2] >>> ((line & 3) * 2)) & 3) as NamedAs;
  }
}
