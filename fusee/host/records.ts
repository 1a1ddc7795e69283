/** What a master keeps for its successor, as it changes; and effects, which wait until it is kept. */
import { thisHost, thisProcess } from '../fabric/shm-process.js';
import type { Effect, MasterRecord, Repair } from '../master/index.js';
import type { MasterState } from '../store/index.js';
import { type Word, word } from '../verbs/index.js';
import type { Fenced } from './fence.js';
import { namesOf, type Seat } from './take-over.js';

type Log = (line: string) => void;

/** The state of one master: what it has found, and what it has come to. */
export class Records {
  readonly #seat: Seat;
  /** By CID: whom to fence. One that has resigned is not among them. */
  readonly processes = new Map<number, Fenced>();
  /** What the change to the view in force has decided, by slot. */
  decided: ReadonlyMap<number, Word>;
  /** The node that has joined by that view, and whether everything counts as changed by it. */
  news: MasterState['news'];
  record: MasterRecord;
  /**
   * Which memories the nodes have, and where: by the view in force. A process that has taken a name, and
   * whose joining is not kept yet, is none of them.
   */
  #nodes: Pick<MasterState, 'pool' | 'places'>;

  constructor(seat: Seat) {
    this.#seat = seat;
    const { record, processes, decided } = seat.left ?? { record: undefined, processes: [], decided: [] };
    this.record = record ?? { view: { number: 1, dead: [] }, members: [] };
    this.news = seat.left?.news ?? { isWhole: false };
    for (const { cid, pid, startTime, host, key } of processes)
      this.processes.set(cid, {
        process: { pid, startTime, host },
        key: key === undefined ? undefined : BigInt(key),
      });
    this.#nodes = this.#look();
    this.decided = new Map(decided.map(({ slot, hi, lo }) => [slot, word(hi, lo)]));
  }

  /** Nothing that a successor would have to know. */
  get isEmpty(): boolean {
    const { view, next, members, lateCid } = this.record;
    return view.number === 1 && next === undefined && members.length === 0 && lateCid === undefined;
  }

  /**
   * A repair has ended (`Works.repair`).
   * @returns true: nothing was done, too much is to be copied first.
   */
  repaired({ joins, isWhole }: Repair, decided: ReadonlyMap<number, Word> | undefined | 'more'): boolean {
    const isToCopyMore = decided === 'more';
    if (isToCopyMore) this.decided = new Map();
    else if (decided !== undefined) {
      this.decided = decided;
      if (joins !== undefined) this.#nodes = this.#look();
    }
    this.news = isToCopyMore ? { isWhole: false } : { joins, isWhole };
    return isToCopyMore;
  }

  #look(): Pick<MasterState, 'pool' | 'places'> {
    const { access, fabric, watch, state } = this.#seat;
    return {
      pool: namesOf(access, { nodes: state.view.geometry.config.nodes, fabric }),
      ...(fabric.kind === 'shm' ? {} : { places: [...watch.places] }),
    };
  }

  /** As clients are told. */
  get told(): MasterState['decided'] {
    return [...this.decided].map(([slot, { hi, lo }]) => ({ slot, hi, lo }));
  }

  /** All of it, under this master's name. */
  get state(): MasterState {
    const { view, next, members, lateCid } = this.record;
    const viewOf = <V extends MasterRecord['view']>(of: V) => ({ ...of, dead: [...of.dead] });
    const { watch, key } = this.#seat;
    const own = { ...thisProcess(), host: thisHost() };
    return {
      ...this.#nodes,
      leader: key === undefined ? own : { ...own, key: String(key) },
      ...(watch.expelled.length === 0 ? {} : { expelled: [...watch.expelled] }),
      record: { view: viewOf(view), members: [...members], ...(next && { next: viewOf(next) }), lateCid },
      processes: members.flatMap(({ cid }) => {
        const client = this.processes.get(cid);
        if (client === undefined) return [];
        const { process, key } = client;
        return [{ cid, ...process, ...(key === undefined ? {} : { key: String(key) }) }];
      }),
      decided: this.told,
      news: this.news,
    };
  }
}

/**
 * Effects in their order. What comes behind a record waits until that is kept, and everything waits while the
 * term is not held: by then another master may act.
 */
export class EffectQueue {
  readonly #seat: Seat;
  readonly #records: Records;
  readonly #carryOut: (effect: Exclude<Effect, { do: 'store' }>) => void;
  readonly #log: Log;
  readonly #effects: Effect[] = [];
  #isStoring = false;
  isClosed = false;

  constructor(
    seat: Seat,
    records: Records,
    { carryOut, log }: { carryOut: (effect: Exclude<Effect, { do: 'store' }>) => void; log: Log },
  ) {
    this.#seat = seat;
    this.#records = records;
    this.#carryOut = carryOut;
    this.#log = log;
  }

  /** Puts effects behind those that wait, and carries out what may be. */
  push(effects: readonly Effect[]): void {
    this.#effects.push(...effects);
    while (this.#effects.length > 0 && !this.#isStoring && !this.isClosed && this.#seat.term.isHeld) {
      const effect = this.#effects.shift() as Effect;
      if (effect.do === 'store') this.#store(effect.record);
      else this.#carryOut(effect);
    }
  }

  #store(record: MasterRecord): void {
    this.#records.record = record;
    this.#log(`view ${record.view.number}, ${record.members.length} members`);
    const saving = this.#seat.term.save(this.#records.state);
    if (saving === undefined) return;
    this.#isStoring = true;
    saving.then(
      () => {
        this.#isStoring = false;
        this.push([]);
      },
      // The term is over, and says so itself.
      (error: unknown) => this.#log(`not stored: ${(error as Error).message}`),
    );
  }
}
