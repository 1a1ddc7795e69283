/** What the lines of a scenario's cells hold: which key, which value, and whether whole. */
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { HEADER_BYTES, LINE_BYTES } from '../../../fusee/layout/index.js';
import type { TinyPool } from '../scenario/pool.js';
import type { Interner } from './interner.js';

/** Key -1: no whole object of one of the scenario's keys. */
export interface Content {
  readonly key: number;
  readonly value: number;
}

const NOTHING: Content = { key: -1, value: 0 };

/** Remembers what each interned line holds. */
export class Contents {
  readonly #pool: TinyPool;
  readonly #interner: Interner;
  readonly #known: Content[] = [];
  /** Interned line of each key's first object. */
  readonly initialLines: readonly number[];

  constructor(pool: TinyPool, interner: Interner) {
    this.#pool = pool;
    this.#interner = interner;
    this.initialLines = pool.keys.map((_, key) => interner.bytes(pool.initialObject(key), 0, LINE_BYTES));
  }

  /** What an interned line holds. */
  of(line: number): Content {
    this.#known[line] ??= contentOf(this.#pool, this.#interner.bytesAt(line));
    return this.#known[line];
  }
}

/** What the bytes of a line hold. */
export function contentOf(pool: TinyPool, bytes: Uint8Array): Content {
  const buffer = new ArrayBuffer(LINE_BYTES);
  const line = new Uint8Array(buffer);
  line.set(bytes);
  const words = new Uint32Array(buffer);
  const keyBytes = words[0] & 0xffff;
  const payload = keyBytes + (words[0] >>> 16);
  if (payload === 0 || HEADER_BYTES + payload > LINE_BYTES) return NOTHING;
  if (crc32cOver(buffer)(HEADER_BYTES, payload, words[0]) !== words[1]) return NOTHING;
  const key = pool.keys.findIndex(
    (k) => k.bytes.length === keyBytes && k.bytes.every((byte, i) => line[HEADER_BYTES + i] === byte),
  );
  return { key, value: payload > keyBytes ? line[HEADER_BYTES + keyBytes] : 0 };
}
