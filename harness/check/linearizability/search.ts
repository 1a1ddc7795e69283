/**
 * Decides whether the operations of one key have a linearization: Lowe's just-in-time linearization, run
 * breadth first over the events in time order. The set of all configurations the key may be in is carried
 * from response to response; at each, the open operations are linearized only as far as the responding one
 * needs. Nothing is kept of what lies behind, so a point without open operations is a cut, and an operation
 * without a response stays open over every cut. What keeps the set small, none of it losing an answer:
 *
 * - an operation that only looks is linearized as soon as the state fits, for it changes nothing;
 * - values whose readers have all been invoked are one state, and an UPDATE to such a value is linearized,
 *   its readers behind it, just before the next change, where no one else sees it;
 * - of open operations with the same effect the one that must respond first goes first;
 * - a value is not overwritten while someone must still read it and no one can write it again;
 * - a configuration covered by another is dropped (`ConfigurationSet`).
 */
import { BITS, ConfigurationSet, STATE, TRACE } from './configurations.js';
import { ABSENT, type KeyOperations, Kind } from './key-operations.js';
import { hasBit, OpenOperations, SETTLED } from './open-operations.js';

/** Returned by `Search.run` when all operations were linearized. */
export const LINEARIZABLE = -1;
/** Returned by `Search.run` when the budget ended first. */
export const OUT_OF_BUDGET = -2;

/** What one search may spend, and whether it remembers how it got there. */
export interface SearchOptions {
  stateCountMax: number;
  timeMsMax: number;
  trace: boolean;
}

const CLOCK_EVERY = 1024;

/** A reusable search; its memory grows to the largest key and stays. */
export class Search {
  /** Configurations carried or tried in the last run; steps without overlap are not counted. */
  stateCount = 0;
  readonly #open = new OpenOperations();
  #operations: KeyOperations | undefined;
  #options: SearchOptions = { stateCountMax: 0, timeMsMax: 0, trace: false };
  #current = new ConfigurationSet();
  readonly #visited = new ConfigurationSet();
  #deadlineMs = 0;
  #clockAtCount = 0;
  #classStamps = new Int32Array(64);
  #classStamp = 0;
  readonly #traceParent: number[] = [];
  readonly #traceOperation: number[] = [];

  /**
   * Runs over all events. Returns `LINEARIZABLE`, `OUT_OF_BUDGET`, or the index of the operation at whose
   * response no configuration was left.
   */
  run(operations: KeyOperations, options: SearchOptions): number {
    this.#start(operations, options);
    const { count, responseCount, byResponse, invocationNs, responseNs, isMaybe } = operations;
    let invoked = 0;
    for (let r = 0; r < responseCount; r++) {
      const responding = byResponse[r];
      // Equal times are concurrent, so invocations come first.
      while (invoked < count && invocationNs[invoked] <= responseNs[responding]) {
        const alone = invoked + 1 >= count || invocationNs[invoked + 1] > responseNs[invoked];
        if (alone && !isMaybe[invoked] && this.#open.openCount === 0 && this.#current.count === 1) break;
        this.#open.open(invoked++);
      }
      if (invoked < count && invocationNs[invoked] <= responseNs[responding]) {
        if (!this.#stepAlone(invoked++)) return responding;
      } else {
        if (!this.#respond(responding)) return OUT_OF_BUDGET;
        if (this.#current.count === 0) return responding;
      }
    }
    return LINEARIZABLE;
  }

  /** After a traced run that ended `LINEARIZABLE`: the operations in the order in which they took effect. */
  linearization(): number[] {
    const order: number[] = [];
    for (let node = this.#current.data[TRACE]; node > 0; node = this.#traceParent[node]) {
      order.push(this.#traceOperation[node]);
    }
    return order.reverse();
  }

  #start(operations: KeyOperations, options: SearchOptions): void {
    this.#operations = operations;
    this.#options = options;
    this.#open.load(operations);
    this.stateCount = 0;
    this.#deadlineMs = performance.now() + options.timeMsMax;
    this.#clockAtCount = CLOCK_EVERY;
    this.#traceParent.length = 1;
    this.#traceOperation.length = 1;
    const classes = Kind.PUT * (operations.valueCount + 2) + operations.valueCount + 2;
    if (this.#classStamps.length < classes) {
      this.#classStamps = new Int32Array(classes * 2);
      this.#classStamp = 0;
    }
    this.#current.reset(this.#open.words);
    const at = this.#current.candidate();
    this.#current.data.fill(0, at, at + this.#current.stride);
    this.#current.data[at + STATE] = this.#open.stateOf(operations.initial);
    this.#current.commit(this.#open.maybeMask);
  }

  /** Linearizes an operation that nothing overlaps, in the only configuration there is. */
  #stepAlone(i: number): boolean {
    const { kind, value } = this.#operations!;
    const data = this.#current.data;
    const state = data[STATE];
    const fits =
      kind[i] === Kind.READ
        ? state === value[i]
        : kind[i] === Kind.PUT ||
          (state === ABSENT) === (kind[i] === Kind.SEE_ABSENT || kind[i] === Kind.INSERT);
    if (!fits) return false;
    this.#open.pass(i);
    data[STATE] = this.#open.stateOf(kind[i] >= Kind.INSERT ? value[i] : state);
    if (this.#options.trace) data[TRACE] = this.#note(data[TRACE], i);
    return true;
  }

  /** Carries the configurations over the response of operation `x`; false when the budget is used up. */
  #respond(x: number): boolean {
    const open = this.#open;
    const visited = this.#visited;
    open.refresh();
    visited.reset(open.words);
    if (!this.#spend(this.#current.count)) return false;
    for (let c = 0; c < this.#current.count; c++) {
      const to = this.#copy(this.#current, c, visited);
      this.#absorb(visited.data, to);
      visited.commit(open.maybeMask);
    }
    const slot = open.slotOf[x];
    for (let c = 0; c < visited.count; c++) {
      if (hasBit(visited.data, c * visited.stride + BITS, slot)) continue;
      if (!this.#spend(1)) return false;
      this.#expand(c, x);
    }
    open.close(x);
    this.#current.reset(open.words);
    for (let c = 0; c < visited.count; c++) {
      if (!hasBit(visited.data, c * visited.stride + BITS, slot)) continue;
      const to = this.#copy(visited, c, this.#current);
      const data = this.#current.data;
      for (let w = 0; w < open.words; w++) data[to + BITS + w] &= ~open.freedMask[w];
      this.#current.commit(open.maybeMask);
    }
    return true;
  }

  #spend(states: number): boolean {
    this.stateCount += states;
    if (this.stateCount > this.#options.stateCountMax) return false;
    if (this.stateCount < this.#clockAtCount) return true;
    this.#clockAtCount = this.stateCount + CLOCK_EVERY;
    return performance.now() <= this.#deadlineMs;
  }

  /** Adds what configuration `c` becomes by one more change of the key, on the way to linearizing `x`. */
  #expand(c: number, x: number): void {
    const open = this.#open;
    const { kind, value, valueCount } = this.#operations!;
    const from = c * this.#visited.stride;
    const state = this.#visited.data[from + STATE];
    const isLastChance = state >= 0 && open.isLastChance(state, this.#visited.data, from + BITS);
    const stamp = ++this.#classStamp;
    for (let at = 0; at < open.writerCount; at++) {
      const slot = open.writers[at];
      if (hasBit(this.#visited.data, from + BITS, slot)) continue;
      const i = open.operationIn[slot];
      const isEnabled = kind[i] === Kind.PUT || (state === ABSENT) === (kind[i] === Kind.INSERT);
      if (!isEnabled || (isLastChance && value[i] !== state)) continue;
      const isWanted = i === x || (kind[x] === Kind.READ && value[x] === value[i]);
      if (!isWanted && open.isIdle(i, state)) continue;
      // Writers come in the order in which they must respond, so the first of a class goes before its equals.
      const effect = kind[i] * (valueCount + 2) + open.effectOf(value[i]) + 2;
      if (this.#classStamps[effect] === stamp) continue;
      this.#classStamps[effect] = stamp;
      this.#apply(c, i);
    }
  }

  #apply(c: number, i: number): void {
    const open = this.#open;
    const { kind, value } = this.#operations!;
    const to = this.#copy(this.#visited, c, this.#visited);
    const data = this.#visited.data;
    if (data[to + STATE] !== ABSENT) this.#hide(data, to, open.hideMask);
    else if (kind[i] === Kind.PUT) this.#hide(data, to, open.putMask);
    this.#markSlot(data, to, open.slotOf[i]);
    data[to + STATE] = value[i];
    this.#absorb(data, to);
    this.#visited.commit(open.maybeMask);
  }

  /** Linearizes every open operation that leaves the state as it is. */
  #absorb(data: Int32Array, to: number): void {
    const open = this.#open;
    const state = data[to + STATE];
    if (state === ABSENT) {
      this.#mark(data, to, open.absentMask);
      return;
    }
    this.#mark(data, to, open.presentMask);
    if (state !== SETTLED) {
      this.#markReads(data, to, state);
      if (open.stateOf(state) !== SETTLED) return;
      data[to + STATE] = SETTLED;
    }
    this.#hide(data, to, open.hideMask);
  }

  /** Linearizes every open SEARCH that returns `read`. */
  #markReads(data: Int32Array, to: number, read: number): void {
    const open = this.#open;
    const { value } = this.#operations!;
    for (let at = 0; at < open.readCount; at++) {
      const slot = open.reads[at];
      if (value[open.operationIn[slot]] === read) this.#markSlot(data, to, slot);
    }
  }

  /** Linearizes the writers of `mask` that are not yet, each with its readers behind it. */
  #hide(data: Int32Array, to: number, mask: Int32Array): void {
    const open = this.#open;
    const { value } = this.#operations!;
    for (let w = 0; w < mask.length; w++) {
      for (let bits = mask[w] & ~data[to + BITS + w]; bits !== 0; bits &= bits - 1) {
        const slot = w * 32 + 31 - Math.clz32(bits & -bits);
        const written = value[open.operationIn[slot]];
        this.#markSlot(data, to, slot);
        if (open.isBeingRead(written)) this.#markReads(data, to, written);
      }
    }
  }

  #copy(source: ConfigurationSet, index: number, target: ConfigurationSet): number {
    const to = target.candidate();
    const from = index * source.stride;
    for (let w = 0; w < source.stride; w++) target.data[to + w] = source.data[from + w];
    return to;
  }

  #mark(data: Int32Array, to: number, mask: Int32Array): void {
    for (let w = 0; w < mask.length; w++) {
      const added = mask[w] & ~data[to + BITS + w];
      if (added === 0) continue;
      data[to + BITS + w] |= added;
      if (!this.#options.trace) continue;
      for (let bits = added; bits !== 0; bits &= bits - 1) {
        const slot = w * 32 + 31 - Math.clz32(bits & -bits);
        data[to + TRACE] = this.#note(data[to + TRACE], this.#open.operationIn[slot]);
      }
    }
  }

  #markSlot(data: Int32Array, to: number, slot: number): void {
    if (hasBit(data, to + BITS, slot)) return;
    data[to + BITS + (slot >>> 5)] |= 1 << (slot & 31);
    if (this.#options.trace) data[to + TRACE] = this.#note(data[to + TRACE], this.#open.operationIn[slot]);
  }

  #note(parent: number, operation: number): number {
    this.#traceParent.push(parent);
    this.#traceOperation.push(operation);
    return this.#traceParent.length - 1;
  }
}
