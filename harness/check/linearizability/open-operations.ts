/**
 * The operations of one key that are open at a point of the sweep through its events, and what is still to
 * come. A value is settled when every SEARCH that returns it has been invoked: once those are linearized, all
 * that can be learned of it is that the key exists, so settled values are one state, `SETTLED`. An UPDATE of
 * a settled value, together with the open SEARCHes that return it, changes nothing that matters and can be
 * linearized between any two changes of an existing key. A value is dead when those SEARCHes have responded
 * too.
 */
import { ABSENT, type KeyOperations, Kind } from './key-operations.js';

/** The state of a key that exists with a value no one will read from now on. */
export const SETTLED = -2;

const NO_SLOT = -1;

/** Open operations in slots, the masks over the slots, and counts of what has not responded yet. */
export class OpenOperations {
  /** Words that hold a bit for each slot. */
  words = 1;
  openCount = 0;
  /** Slot of each open operation. */
  slotOf = new Int32Array(0);
  /** Operation in each slot. */
  operationIn = new Int32Array(0);
  /** Slots of operations that change the key, earliest response first, those that may be last. */
  writers = new Int32Array(0);
  writerCount = 0;
  /** Slots of SEARCH that returned a value. */
  reads = new Int32Array(0);
  readCount = 0;
  /** Those that saw the key absent. */
  absentMask = new Int32Array(1);
  /** Those that saw the key present. */
  presentMask = new Int32Array(1);
  /** Those that need not happen. */
  maybeMask = new Int32Array(1);
  /**
   * Writers that, with their readers, change nothing to a settled key nor just before a change of an existing
   * one.
   */
  hideMask = new Int32Array(1);
  /** Those of `hideMask` that also change nothing just before a PUT to an absent key. */
  putMask = new Int32Array(1);
  /** After `close`: the slots that became free. */
  freedMask = new Int32Array(1);
  #operations: KeyOperations | undefined;
  /**
   * By value: SEARCHes that have not been invoked, that have not responded, and writers that have not
   * responded.
   */
  #futureReads = new Int32Array(0);
  #remainingReads = new Int32Array(0);
  #remainingWrites = new Int32Array(0);
  #deletesAhead = 0;
  #free = new Int32Array(0);
  #freeCount = 0;

  /** Starts at the beginning of the operations of one key. */
  load(operations: KeyOperations): void {
    this.#operations = operations;
    this.#allocate(operations, mostOpen(operations));
    this.#remainingReads.fill(0, 0, operations.valueCount);
    this.#remainingWrites.fill(0, 0, operations.valueCount);
    this.#deletesAhead = 0;
    const { kind, value } = operations;
    for (let i = 0; i < operations.count; i++) {
      if (kind[i] === Kind.READ) this.#remainingReads[value[i]]++;
      else if (kind[i] === Kind.DELETE) this.#deletesAhead++;
      else if (kind[i] >= Kind.INSERT) this.#remainingWrites[value[i]]++;
    }
    this.#futureReads.set(this.#remainingReads.subarray(0, operations.valueCount));
  }

  /**
   * The state a value stands for once its open readers are linearized: `SETTLED`, or itself; `ABSENT` stays.
   */
  stateOf(value: number): number {
    return value >= 0 && this.#futureReads[value] === 0 ? SETTLED : value;
  }

  /** A number that equal effects on a key share: the value written, or `SETTLED` for all that are dead. */
  effectOf(value: number): number {
    return value >= 0 && this.#remainingReads[value] === 0 ? SETTLED : value;
  }

  /** Takes in operation `i`, which has just been invoked. */
  open(i: number): void {
    const { kind, isMaybe, value, responseNs } = this.#operations!;
    if (isMaybe[i] && kind[i] === Kind.UPDATE && this.#remainingReads[value[i]] === 0) return;
    const slot = this.#free[--this.#freeCount];
    this.slotOf[i] = slot;
    this.operationIn[slot] = i;
    this.openCount++;
    if (isMaybe[i]) setBit(this.maybeMask, slot);
    if (kind[i] === Kind.SEE_ABSENT) setBit(this.absentMask, slot);
    else if (kind[i] === Kind.SEE_PRESENT) setBit(this.presentMask, slot);
    else if (kind[i] === Kind.READ) {
      this.reads[this.readCount++] = slot;
      this.#futureReads[value[i]]--;
    } else {
      let at = this.writerCount++;
      for (; at > 0 && responseNs[this.operationIn[this.writers[at - 1]]] > responseNs[i]; at--) {
        this.writers[at] = this.writers[at - 1];
      }
      this.writers[at] = slot;
    }
  }

  /** Lets go of operation `i`, which has responded; `freedMask` tells which bits mean nothing from now on. */
  close(i: number): void {
    this.freedMask.fill(0);
    this.#release(this.slotOf[i]);
    this.#count(i);
  }

  /** Stands for `open` and `close` of an operation that overlaps no other. */
  pass(i: number): void {
    const { kind, value } = this.#operations!;
    if (kind[i] === Kind.READ) this.#futureReads[value[i]]--;
    this.#count(i);
  }

  #count(i: number): void {
    const { kind, value } = this.#operations!;
    if (kind[i] === Kind.DELETE) this.#deletesAhead--;
    else if (kind[i] >= Kind.INSERT) this.#remainingWrites[value[i]]--;
    else if (kind[i] === Kind.READ && --this.#remainingReads[value[i]] === 0) this.#bury(value[i]);
  }

  /**
   * Brings `hideMask` and `putMask` up to date; to be called after all operations up to a response were
   * opened.
   */
  refresh(): void {
    const { kind, isMaybe, value } = this.#operations!;
    this.hideMask.fill(0);
    this.putMask.fill(0);
    for (let at = 0; at < this.writerCount; at++) {
      const slot = this.writers[at];
      const i = this.operationIn[slot];
      // A PUT can make an absent key exist, which may be needed later, unless the key is never absent again.
      const isHideable = kind[i] === Kind.UPDATE || (kind[i] === Kind.PUT && this.#deletesAhead === 0);
      if (!isHideable || this.#futureReads[value[i]] > 0) continue;
      if (isMaybe[i] && this.#remainingReads[value[i]] === 0) continue;
      setBit(this.hideMask, slot);
      if (kind[i] === Kind.PUT) setBit(this.putMask, slot);
    }
  }

  /** Whether operation `i`, with its readers, changes nothing that matters to a key in `state`. */
  isIdle(i: number, state: number): boolean {
    const { kind, value } = this.#operations!;
    if (state === ABSENT || this.stateOf(value[i]) !== SETTLED) return false;
    return kind[i] === Kind.UPDATE || (kind[i] === Kind.PUT && this.#deletesAhead === 0);
  }

  /** Whether any open SEARCH returns `value`. */
  isBeingRead(value: number): boolean {
    return this.#remainingReads[value] > this.#futureReads[value];
  }

  /**
   * Whether no one can write `value`, which is not settled, again: all writers that are left of it are
   * linearized in the configuration whose bits begin at `data[bits]`.
   */
  isLastChance(value: number, data: Int32Array, bits: number): boolean {
    const operations = this.#operations!;
    let writesLeft = this.#remainingWrites[value];
    for (let at = 0; at < this.writerCount && writesLeft > 0; at++) {
      const slot = this.writers[at];
      if (operations.value[this.operationIn[slot]] === value && hasBit(data, bits, slot)) writesLeft--;
    }
    return writesLeft === 0;
  }

  /** A value has died: an UPDATE of it that need not happen is of no more use to anyone. */
  #bury(value: number): void {
    const operations = this.#operations!;
    for (let at = this.writerCount - 1; at >= 0; at--) {
      const i = this.operationIn[this.writers[at]];
      if (!operations.isMaybe[i]) return;
      if (operations.kind[i] === Kind.UPDATE && operations.value[i] === value)
        this.#release(this.writers[at]);
    }
  }

  #release(slot: number): void {
    this.openCount--;
    this.#free[this.#freeCount++] = slot;
    setBit(this.freedMask, slot);
    clearBit(this.absentMask, slot);
    clearBit(this.presentMask, slot);
    clearBit(this.maybeMask, slot);
    const writerAt = this.writers.subarray(0, this.writerCount).indexOf(slot);
    if (writerAt >= 0) this.writers.copyWithin(writerAt, writerAt + 1, this.writerCount--);
    const readAt = this.reads.subarray(0, this.readCount).indexOf(slot);
    if (readAt >= 0) this.reads.copyWithin(readAt, readAt + 1, this.readCount--);
  }

  #allocate(operations: KeyOperations, slots: number): void {
    const words = Math.max(1, Math.ceil(slots / 32));
    if (words !== this.words || this.#free.length < slots) {
      this.words = words;
      for (const name of ['operationIn', 'writers', 'reads'] as const)
        this[name] = new Int32Array(words * 32);
      this.#free = new Int32Array(words * 32);
      for (const name of MASKS) this[name] = new Int32Array(words);
    } else {
      for (const name of MASKS) this[name].fill(0);
    }
    if (this.slotOf.length < operations.count) this.slotOf = new Int32Array(operations.count * 2);
    if (this.#remainingReads.length < operations.valueCount) {
      this.#futureReads = new Int32Array(operations.valueCount * 2);
      this.#remainingReads = new Int32Array(operations.valueCount * 2);
      this.#remainingWrites = new Int32Array(operations.valueCount * 2);
    }
    this.slotOf.fill(NO_SLOT, 0, operations.count);
    this.openCount = 0;
    this.writerCount = 0;
    this.readCount = 0;
    this.#freeCount = slots;
    for (let s = 0; s < slots; s++) this.#free[s] = slots - 1 - s;
  }
}

const MASKS = ['absentMask', 'presentMask', 'maybeMask', 'hideMask', 'putMask', 'freedMask'] as const;

/** The most operations that are ever open at once. */
function mostOpen(operations: KeyOperations): number {
  const { invocationNs, responseNs, byResponse, responseCount, count } = operations;
  let most = 0;
  let responded = 0;
  for (let i = 0; i < count; i++) {
    while (responded < responseCount && responseNs[byResponse[responded]] < invocationNs[i]) responded++;
    most = Math.max(most, i + 1 - responded);
  }
  return most;
}

/** Whether the bit of `slot` is set in the words from `data[bits]`. */
export function hasBit(data: Int32Array, bits: number, slot: number): boolean {
  return (data[bits + (slot >>> 5)] & (1 << (slot & 31))) !== 0;
}

function setBit(mask: Int32Array, slot: number): void {
  mask[slot >>> 5] |= 1 << (slot & 31);
}

function clearBit(mask: Int32Array, slot: number): void {
  mask[slot >>> 5] &= ~(1 << (slot & 31));
}
