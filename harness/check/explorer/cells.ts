/**
 * The cells of one client as one number: interned vectors of interned lines.
 *
 * Of a line, slot readers see the object without its log entry: {@link payload}. What nobody will look at any
 * more is forgotten, so that states do not differ by it: {@link forget}.
 */
import { LINE_BYTES, LOG_ENTRY_BYTES } from '../../../fusee/layout/index.js';
import type { Interner } from './interner.js';

/** Interned vectors of lines, and what WRITEs make of them. */
export class Cells {
  readonly #interner: Interner;
  readonly #vectors: Int32Array[] = [];
  readonly #ids = new Map<string, number>();
  readonly #writes = new Map<string, number>();
  readonly #payloads: number[] = [];
  readonly #forgotten: Map<number, number>[] = [];
  /** Cells that nobody has written. */
  readonly initial: number;

  /** @param places cells x replicas. */
  constructor(interner: Interner, places: number) {
    this.#interner = interner;
    const blank = interner.bytes(new Uint8Array(LINE_BYTES), 0, LINE_BYTES);
    this.initial = this.#intern(new Int32Array(places).fill(blank));
  }

  /** The line at a place, as interned bytes. */
  line(cells: number, place: number): number {
    return this.#vectors[cells][place];
  }

  /** The line without its log entry, but for the used bit: a cache hit looks at that. */
  payload(line: number): number {
    const known = this.#payloads[line];
    if (known !== undefined) return known;
    const bytes = this.#interner.bytesAt(line).slice();
    const used = bytes[LINE_BYTES - 1] & 1;
    bytes.fill(0, LINE_BYTES - LOG_ENTRY_BYTES);
    bytes[LINE_BYTES - 1] = used;
    const id = this.#interner.bytes(bytes, 0, LINE_BYTES);
    this.#payloads[line] = id;
    return id;
  }

  /** The cells after bytes were written into the line at a place. */
  write(cells: number, place: number, lineOffset: number, bytes: number): number {
    const key = `${cells}|${place}|${lineOffset}|${bytes}`;
    const known = this.#writes.get(key);
    if (known !== undefined) return known;
    const line = this.#interner.bytesAt(this.line(cells, place)).slice();
    line.set(this.#interner.bytesAt(bytes), lineOffset);
    const vector = this.#vectors[cells].slice();
    vector[place] = this.#interner.bytes(line, 0, LINE_BYTES);
    const id = this.#intern(vector);
    this.#writes.set(key, id);
    return id;
  }

  /**
   * The cells without their log entries, but for those of the cells in the bit set `kept`; `replicas` places
   * each.
   */
  forget(cells: number, kept: number, replicas: number): number {
    this.#forgotten[cells] ??= new Map();
    const known = this.#forgotten[cells].get(kept);
    if (known !== undefined) return known;
    const vector = this.#vectors[cells].map((line, place) =>
      (kept >> Math.floor(place / replicas)) & 1 ? line : this.payload(line),
    );
    const id = this.#intern(vector);
    this.#forgotten[cells].set(kept, id);
    return id;
  }

  #intern(vector: Int32Array): number {
    const key = vector.join();
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    this.#ids.set(key, this.#vectors.length);
    return this.#vectors.push(vector) - 1;
  }
}
