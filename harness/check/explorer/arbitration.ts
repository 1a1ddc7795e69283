/**
 * One change of the view as one step of the exploration: the master's generator runs to its end over the
 * state, while everybody waits. What it comes to follows from slots, cells and reports, and is remembered by
 * them.
 */
import { Field, Opcode, Status, type VerbBatch } from '../../../fusee/verbs/index.js';
import { MASTER_BYTES, MasterRun, type Reports } from '../scenario/master-run.js';
import type { TinyPool } from '../scenario/pool.js';
import { MAX_CLIENTS } from '../scenario/scenario.js';
import type { Interner } from './interner.js';
import { deliver, isPrivate, type Unit, UnitKind, unitsOf } from './units.js';

/** What the master may touch of a state. */
export interface Touched {
  /** Replicas of all slots, then the cells of each client. */
  readonly words: Int32Array;
  line(unit: Unit): number;
  write(unit: Unit): void;
}

interface Result {
  readonly after: Int32Array;
  readonly decided: readonly number[];
}

/** The master of one model. */
export class Arbitration {
  readonly #pool: TinyPool;
  readonly #interner: Interner;
  readonly #buffer = new ArrayBuffer(MASTER_BYTES);
  readonly #results = new Map<string, Result>();

  constructor(pool: TinyPool, interner: Interner) {
    this.#pool = pool;
    this.#interner = interner;
  }

  /** Decides what is open, in place; the word of each slot that was, -1 for the others. */
  run(touched: Touched, reports: Reports): readonly number[] {
    const dead = reports.dead.map((objects) => objects.map(({ cell }) => cell));
    const key = `${touched.words}|${reports.slots}|${dead.join(';')}`;
    const known = this.#results.get(key);
    if (known !== undefined) {
      touched.words.set(known.after);
      return known.decided;
    }
    const steps = new MasterRun(this.#pool, this.#pool.dyingMn, this.#buffer).decide(reports);
    let next = steps.next();
    for (; !next.done; next = steps.next()) this.#execute(next.value, touched);
    const { value } = next;
    const decided = this.#pool.slotOffsets.map((offset) => {
      const w = value.get(offset);
      return w === undefined ? -1 : this.#interner.word(w.hi, w.lo);
    });
    this.#results.set(key, { after: touched.words.slice(), decided });
    return decided;
  }

  #execute(batch: VerbBatch, touched: Touched): void {
    for (let i = 0; i < batch.count; i++) batch.setField(i, Field.STATUS, Status.OK);
    for (const unit of unitsOf(this.#pool, batch, this.#interner)) {
      if (unit.mn === this.#pool.dyingMn) throw new Error('the master asks a node that is dead');
      if (unit.kind === UnitKind.WRITE) {
        if (unit.owner === MAX_CLIENTS) throw new Error('the master commits an object of the start again');
        touched.write(unit);
        continue;
      }
      const result = isPrivate(unit) ? touched.line(unit) : touched.words[unit.place];
      if (batch.opcode(unit.verb) === Opcode.CAS && result === unit.expect)
        touched.words[unit.place] = unit.swap;
      deliver(batch, unit, result, this.#interner);
    }
  }
}
