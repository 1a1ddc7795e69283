/**
 * Which words in the candidate slots name objects of the INSERT's key?
 *
 * INSERT must tell its key's words from those that share the fingerprint. Words are unique, so what one names
 * is learnt once per attempt and remembered here. Almost every INSERT remembers nothing: these are rare
 * paths.
 */
import { CANDIDATES, candidateWord, nextMatch } from '../index/index.js';
import {
  isMoved,
  isTent,
  isTomb,
  LINE_BYTES,
  ownerPointer,
  slotFingerprint,
  slotLines,
} from '../layout/index.js';
import { copyWord, type Op, sameWord, type Word, word } from '../verbs/index.js';
import type { Context } from './context.js';
import { countTorn } from './locate.js';
import { checkObject, ObjectIs } from './object-check.js';

/** Words it remembers: more than a turn brings, which is all candidates of the primary and of a backup. */
const MEMORY = 128;

/** Remembers, for one attempt of one INSERT, which words name the key. */
export class DuplicateCheck {
  readonly #cx: Context;
  readonly #known: Word[] = Array.from({ length: MEMORY }, () => word());
  readonly #isKeys = new Uint8Array(MEMORY);
  #count = 0;
  /** The words whose objects the batch in flight reads. */
  readonly #asked: Word[] = Array.from({ length: CANDIDATES }, () => word());
  #askedCount = 0;
  readonly #word = word();
  readonly #other = word();

  constructor(cx: Context) {
    this.#cx = cx;
  }

  /**
   * A new attempt begins, right after a match of `cx.buckets` that did not find the key: what matches there
   * names other keys. Forgets everything else.
   */
  begin(): void {
    const { buckets, place, client } = this.#cx;
    const { words } = client.local;
    this.#count = 0;
    for (
      let q = nextMatch(words, buckets, 0, place.fingerprint);
      q >= 0;
      q = nextMatch(words, buckets, q + 1, place.fingerprint)
    ) {
      this.#remember(candidateWord(words, buckets, q, this.#word), false);
    }
  }

  /** Forgets everything. */
  forget(): void {
    this.#count = 0;
  }

  /** True for a word with the key's fingerprint that names an object with a value: a KV, or tentative. */
  #namesValue(w: Word): boolean {
    return slotLines(w) > 0 && !isMoved(w) && slotFingerprint(w) === this.#cx.place.fingerprint;
  }

  /** True when the word is known to name an object of the key. */
  isKeys(w: Word): boolean {
    for (let i = 0; i < this.#count; i++) if (sameWord(this.#known[i], w)) return this.#isKeys[i] !== 0;
    return false;
  }

  #isKnown(w: Word): boolean {
    for (let i = 0; i < this.#count; i++) if (sameWord(this.#known[i], w)) return true;
    return false;
  }

  /**
   * The candidates, other than `own`, where the backup's word differs from the primary's and may be of the
   * key: a KV not known to be another key's, or a tombstone with its fingerprint. Bit i set: candidate i.
   *
   * A tombstone counts: it may be a DELETE in flight whose key is still visible on the primary (control X4).
   */
  suspects(own: number): number {
    const cx = this.#cx;
    const { words } = cx.client.local;
    const w = this.#word;
    let set = 0;
    for (let q = 0; q < CANDIDATES; q++) {
      candidateWord(words, cx.backupBuckets, q, w);
      if (q === own || slotFingerprint(w) !== cx.place.fingerprint) continue;
      if (sameWord(w, candidateWord(words, cx.buckets, q, this.#other))) continue;
      if (isTomb(w) || (this.#namesValue(w) && (!this.#isKnown(w) || this.isKeys(w)))) set |= 1 << q;
    }
    return set;
  }

  /**
   * Candidates other than `own`, in buckets at `at`, known to name the key: visible or tentative as asked.
   */
  keys(at: number, own: number, kind: 'visible' | 'tentative'): number {
    const { words } = this.#cx.client.local;
    const w = this.#word;
    let set = 0;
    for (let q = 0; q < CANDIDATES; q++) {
      candidateWord(words, at, q, w);
      if (q === own || !this.#namesValue(w) || isTent(w) !== (kind === 'tentative')) continue;
      if (this.isKeys(w)) set |= 1 << q;
    }
    return set;
  }

  /** A turn of the check begins: what it comes to know stays known to its end. */
  startTurn(): void {
    if (this.#count > MEMORY - 2 * CANDIDATES) this.#count = 0;
  }

  /**
   * Appends READs of the objects that candidates of the buckets at `at` name and that are not known yet, as
   * many as the match area holds; {@link digest} looks at what they brought.
   * @returns how many.
   */
  appendUnknown(at: number, own: number): number {
    const cx = this.#cx;
    const { local, view } = cx.client;
    const w = this.#word;
    let used = 0;
    this.#askedCount = 0;
    for (let q = 0; q < CANDIDATES; q++) {
      candidateWord(local.words, at, q, w);
      if (q === own || !this.#namesValue(w) || this.#isKnown(w)) continue;
      const lengthBytes = slotLines(w) * LINE_BYTES;
      if (used + lengthBytes > cx.matchBytes) break;
      const pointer = ownerPointer(w);
      cx.batch.read(view.dataMn(pointer, 0), view.dataOffset(pointer, 0), cx.matchArea + used, lengthBytes);
      copyWord(this.#asked[this.#askedCount++], w);
      used += lengthBytes;
    }
    return this.#askedCount;
  }

  /**
   * Learns from the objects that {@link appendUnknown} asked for and that all came. A torn one stays unknown.
   * @throws CorruptionError when objects stay torn.
   */
  digest(): void {
    let from = this.#cx.matchArea;
    for (let i = 0; i < this.#askedCount; i++) {
      const w = this.#asked[i];
      const is = checkObject(this.#cx, from, slotLines(w));
      from += slotLines(w) * LINE_BYTES;
      if (is === ObjectIs.TORN) countTorn(this.#cx);
      else this.#remember(w, is === ObjectIs.THE_KEYS);
    }
  }

  /**
   * READs the objects that candidates of the buckets at `at` name and that are not known yet. One round trip,
   * or none; more only when they exceed the match area.
   * @returns false when a replica did not answer.
   */
  *resolve(at: number, own: number): Op<boolean> {
    const { batch } = this.#cx;
    for (;;) {
      batch.reset();
      if (this.appendUnknown(at, own) === 0) return true;
      yield batch;
      if (batch.anyFailed()) return false;
      this.digest();
    }
  }

  #remember(w: Word, isKeys: boolean): void {
    const i = this.#count++;
    copyWord(this.#known[i], w);
    this.#isKeys[i] = isKeys ? 1 : 0;
  }
}
