/**
 * The objects that slots name: they lie in a cell of an owned block, are whole, their keys belong to their
 * slots, and no key is visible twice.
 *
 * Slots are looked at in groups, since each of the four steps is a round trip: what the block is, the object,
 * the key's buckets, and the objects in them that have the key's fingerprint.
 */
import {
  CANDIDATES,
  candidateSlot,
  candidateWord,
  type KeyPlace,
  keyPlace,
  locateKey,
  matches,
} from '../index/index.js';
import {
  COMBINED_BYTES,
  classOfLines,
  HEADER_BYTES,
  isKv,
  LINE_BYTES,
  ownerPointer,
  sameOwner,
  slotFingerprint,
  slotLines,
} from '../layout/index.js';
import { type Op, type Word, word } from '../verbs/index.js';
import { blockOf, cellEnd, type Owner, ownerOf, tableEntryOf } from './cells.js';
import { isWhole } from './objects.js';
import { READS_MAX } from './reader.js';
import type { Walk } from './walk.js';

/** Slots of a group: two buckets each are as many READs as a batch takes, and the largest objects fit it. */
const GROUP = READS_MAX / 2;

interface Named {
  readonly slot: number;
  readonly word: Word;
  /** Lines from the pointer to the end of its cell. */
  lines: number;
  /** What the latest step read, in registered memory. */
  at: number;
  /** The object's key, and where it belongs. */
  key: Uint8Array;
  readonly place: KeyPlace;
}

/** One group after the other. */
export class SlotObjects {
  readonly #walk: Walk;
  readonly #group: Named[] = [];

  constructor(walk: Walk) {
    this.#walk = walk;
  }

  /** Adds a slot that holds a KV or a tombstone. Four round trips when that fills a group. */
  *add(slot: number, w: Word): Op<void> {
    const { directory, geometry } = this.#walk;
    const place = keyPlace({ directory, groups: geometry.config.groupsPerSubtable });
    this.#group.push({ slot, word: word(w.hi, w.lo), lines: 0, at: 0, key: new Uint8Array(0), place });
    if (this.#group.length === GROUP) yield* this.flush();
  }

  /** Checks the slots that wait. */
  *flush(): Op<void> {
    const inCells = yield* this.#findCells(this.#group.splice(0));
    const whole = yield* this.#readObjects(inCells);
    yield* this.#findRivals(whole.filter(({ word: w }) => isKv(w)));
  }

  #fail(kind: 'no-cell' | 'object' | 'key-place' | 'key-twice', { slot }: Named, message: string): void {
    this.#walk.findings.add(kind, this.#walk.indexReplicas(slot).mn[0], `slot ${slot}`, message);
  }

  /** Those that name a place in a cell of a block that belongs to a client. */
  *#findCells(group: readonly Named[]): Op<Named[]> {
    const { geometry, reader, view, dataBytes } = this.#walk;
    const inPool = group.filter((named) => {
      const pointer = ownerPointer(named.word);
      const isIn = pointer < dataBytes;
      if (!isIn) this.#fail('no-cell', named, `it names ${pointer}, but pointers end at ${dataBytes}`);
      return isIn;
    });
    reader.begin();
    for (const named of inPool) {
      const { region, offset } = tableEntryOf(geometry, blockOf(geometry, ownerPointer(named.word)));
      named.at = reader.read(view.regionMn(region, 0), view.tableOffset(region, 0) + offset, 8);
    }
    yield* reader.run();
    return inPool.filter((named) => this.#isInCell(named));
  }

  #isInCell(named: Named): boolean {
    const { geometry, reader } = this.#walk;
    const { words } = reader.local;
    const pointer = ownerPointer(named.word);
    const block = blockOf(geometry, pointer);
    const owner = ownerOf(geometry, word(words[(named.at >>> 2) + 1], words[named.at >>> 2]));
    if (!owner) {
      this.#fail('no-cell', named, `it names object ${pointer} in block ${block}, which is no client's`);
      return false;
    }
    const end = cellEnd(geometry, owner.sizeClass, pointer - block);
    if (end < 0) {
      this.#fail('no-cell', named, `it names ${pointer}, which is in no cell of block ${block}`);
      return false;
    }
    named.lines = (end - (pointer - block)) / LINE_BYTES;
    return this.#isOfLines(named, owner);
  }

  #isOfLines(named: Named, { sizeClass }: Owner): boolean {
    const { word: w, lines } = named;
    const pointer = ownerPointer(w);
    if (classOfLines(lines) !== sizeClass) {
      this.#fail('object', named, `object ${pointer} of ${lines} lines is too short for class ${sizeClass}`);
      return false;
    }
    if (!isKv(w) || slotLines(w) === lines) return true;
    const message = `it gives object ${pointer} ${slotLines(w)} lines, but its cell ends after ${lines}`;
    this.#fail('object', named, message);
    return false;
  }

  /** Those whose objects are whole; their keys are looked at on the way. */
  *#readObjects(group: readonly Named[]): Op<Named[]> {
    const { reader } = this.#walk;
    reader.begin();
    for (const named of group) {
      const to = this.#walk.dataReplicas(ownerPointer(named.word));
      named.at = reader.read(to.mn[0], to.offsetBytes[0], named.lines * LINE_BYTES);
    }
    yield* reader.run();
    return group.filter((named) => {
      if (!isWhole(reader.local, named.at, named.lines)) {
        const message = `object ${ownerPointer(named.word)} is not whole: its lengths or its CRC are wrong`;
        this.#fail('object', named, message);
        return false;
      }
      this.#checkPlace(named);
      return true;
    });
  }

  #checkPlace(named: Named): void {
    const { local } = this.#walk.reader;
    const keyBytes = local.words[named.at >>> 2] & 0xffff;
    const from = named.at + HEADER_BYTES;
    const { place, slot } = named;
    named.key = local.bytes.slice(from, from + keyBytes);
    locateKey(place, local, from, keyBytes);
    let isCandidate = false;
    for (let q = 0; q < CANDIDATES; q++) if (candidateSlot(place, q) === slot) isCandidate = true;
    const fingerprint = slotFingerprint(named.word);
    if (!isCandidate) {
      this.#fail('key-place', named, `it names an object of ${show(named.key)}, whose buckets are elsewhere`);
    } else if (fingerprint !== place.fingerprint) {
      const message = `its fingerprint is ${fingerprint}, that of ${show(named.key)} is ${place.fingerprint}`;
      this.#fail('key-place', named, message);
    }
  }

  /** Looks for other slots that make the same key visible. */
  *#findRivals(group: readonly Named[]): Op<void> {
    const { reader } = this.#walk;
    reader.begin();
    for (const named of group) {
      const { combined } = named.place;
      // Whole lines, so the second lies behind the first: candidates are counted over both.
      named.at = this.#readBucket(combined[0]);
      this.#readBucket(combined[1]);
    }
    yield* reader.run();
    const rivals = group.flatMap((named) => this.#rivalsOf(named));
    for (let from = 0; from < rivals.length; from += GROUP)
      yield* this.#compare(rivals.slice(from, from + GROUP));
  }

  #readBucket(slot: number): number {
    const to = this.#walk.indexReplicas(slot);
    return this.#walk.reader.read(to.mn[0], to.offsetBytes[0], COMBINED_BYTES);
  }

  /** Slots before this one, so that a pair is looked at once, that may hold its key under another object. */
  #rivalsOf(named: Named): Rival[] {
    const { geometry, reader, dataBytes } = this.#walk;
    const rivals: Rival[] = [];
    const w = word();
    for (let q = 0; q < CANDIDATES; q++) {
      const slot = candidateSlot(named.place, q);
      candidateWord(reader.local.words, named.at, q, w);
      if (slot >= named.slot || !matches(w, named.place.fingerprint) || sameOwner(w, named.word)) continue;
      const pointer = ownerPointer(w);
      const last = pointer + slotLines(w) * LINE_BYTES - 1;
      // A slot that names nothing sensible is told of as such.
      if (last >= dataBytes || blockOf(geometry, pointer) !== blockOf(geometry, last)) continue;
      rivals.push({ named, slot, pointer, bytes: last + 1 - pointer });
    }
    return rivals;
  }

  *#compare(rivals: readonly Rival[]): Op<void> {
    const { reader } = this.#walk;
    const { words, bytes } = reader.local;
    reader.begin();
    const at = rivals.map((rival) => {
      const to = this.#walk.dataReplicas(rival.pointer);
      return reader.read(to.mn[0], to.offsetBytes[0], rival.bytes);
    });
    yield* reader.run();
    rivals.forEach(({ named, slot }, i) => {
      const { key } = named;
      const from = at[i] + HEADER_BYTES;
      const hasKey =
        (words[at[i] >>> 2] & 0xffff) === key.length && key.every((byte, k) => byte === bytes[from + k]);
      if (hasKey) this.#fail('key-twice', named, `${show(key)} is visible here, and in slot ${slot}`);
    });
  }
}

/** Another slot with a key's fingerprint, among the key's candidates. */
interface Rival {
  readonly named: Named;
  readonly slot: number;
  readonly pointer: number;
  readonly bytes: number;
}

/** A key in a message: no longer than a line bears. */
const show = (key: Uint8Array): string =>
  `key ${JSON.stringify(Buffer.from(key.subarray(0, 40)).toString('latin1'))}`;
