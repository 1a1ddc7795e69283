/**
 * A scenario as a transition system over small vectors of numbers, and what must hold in each of its states.
 *
 * State: the scenario's slots on every replica | per client its local state and its cells | the set of
 * explanations | what may still go wrong.
 *
 * The reduction, and why it is sound. A client's verbs on *data* (WRITE of its object, log commit, reset of a
 * used bit, READ of an object that a slot names) execute at once, in posting order, when their batch is
 * posted; only verbs on slots interleave. Such a verb is independent of every verb of every other client: a
 * cell is written by its owner only, others READ it only after a slot named it, its object is complete by
 * then and never changes, and the log entry behind it, which does change, readers ignore (the model hides it
 * from them). It is invisible, since no invariant speaks of it: a request counts as invoked with its first
 * verb on a slot, and so any schedule can be rearranged, without changing a result or a real-time order that
 * the checker uses, into one where data verbs run at once. The only action that depends on them is their own
 * client's crash, and that is explored beside them: for every prefix per MN of the data verbs posted, the
 * client may die there. (In the terms of stubborn sets: {next data verb, own crash} is one.) A batch that
 * mixes data WRITEs with CASes is not reduced. That a READ never meets an unfinished object is itself
 * checked.
 *
 * A client that dies is gone for all others from its last verb on, so a crash is the moment of its fencing:
 * verbs in flight that still execute after the process died are those that execute before it. What a crash
 * loses is the response: so a client may also die between the last verb of a batch and its resume.
 *
 * Resuming touches local state only and is no event. Responses happen with the last verb, invocations with
 * the first on a slot, which gives the strictest real-time order of all schedules with the same results.
 */
import { formatWord, word } from '../../../fusee/verbs/index.js';
import { TinyPool } from '../scenario/pool.js';
import { MAX_CLIENTS, type Scenario } from '../scenario/scenario.js';
import { Cells } from './cells.js';
import { Configurations, IMPOSSIBLE } from './configurations.js';
import { Contents } from './contents.js';
import type { Emit, Event } from './event.js';
import { Interner } from './interner.js';
import { type Node, Unfolding } from './unfolding.js';
import { FAILED, type Unit, UnitKind } from './units.js';

export interface ModelOptions {
  /** Executes data verbs at once. @default true */
  readonly reduces?: boolean;
  /**
   * Takes local states for one that agree in what is still used; else only a poll that found nothing new.
   * @default true
   */
  readonly merges?: boolean;
}

/**
 * The budget: client crashes left, cuts left, a bit for each cut link, a bit for each dead MN, MN crashes
 * left.
 */
const CUTS_SHIFT = 4;
const LINKS_SHIFT = 8;
const DEAD_SHIFT = 24;
const KILLS_SHIFT = 28;
const MNS_MAX = 4;

/** The states of one scenario, and the steps between them. */
export class Model {
  readonly scenario: Scenario;
  readonly pool: TinyPool;
  readonly interner = new Interner();
  readonly unfolding: Unfolding;
  readonly cells: Cells;
  readonly configurations: Configurations;
  readonly contents: Contents;
  /** Numbers in a state. */
  readonly width: number;
  readonly clients: number;
  readonly slots: number;
  readonly replicas: number;
  readonly #firstClient: number;
  readonly #set: number;
  readonly #budget: number;
  readonly #open = new Int32Array(MAX_CLIENTS);

  constructor(scenario: Scenario, options: ModelOptions = {}) {
    this.scenario = scenario;
    this.pool = new TinyPool(scenario);
    this.unfolding = new Unfolding(this.pool, this.interner, {
      reduces: options.reduces ?? true,
      merges: options.merges ?? true,
    });
    this.cells = new Cells(this.interner, this.pool.cellsPerBlock * scenario.dataReplicas);
    this.configurations = new Configurations(scenario);
    this.contents = new Contents(this.pool, this.interner);
    this.clients = scenario.programs.length;
    this.slots = scenario.slots.length;
    this.replicas = scenario.replicas;
    this.#firstClient = this.slots * this.replicas;
    this.#set = this.#firstClient + 2 * this.clients;
    this.#budget = this.#set + 1;
    this.width = this.#budget + 1;
  }

  /** Emits the states in which exploration begins: data verbs of the first batches have executed. */
  start(emit: Emit): void {
    const state = new Int32Array(this.width);
    this.pool.initialWords.forEach((w, slot) => {
      for (let r = 0; r < this.replicas; r++)
        state[slot * this.replicas + r] = this.interner.word(w.hi, w.lo);
    });
    for (let c = 0; c < this.clients; c++) {
      state[this.#local(c)] = this.unfolding.initial[c];
      state[this.#local(c) + 1] = this.cells.initial;
    }
    state[this.#set] = this.configurations.initial;
    state[this.#budget] =
      this.scenario.crashes | (this.scenario.cuts << CUTS_SHIFT) | (this.scenario.mnCrashes << KILLS_SHIFT);
    const startFrom = (client: number): Emit => {
      if (client === this.clients) return emit;
      return (next, violation, events) => {
        if (violation !== undefined) emit(next, violation, events);
        else this.#settle(next, client, events, startFrom(client + 1));
      };
    };
    startFrom(0)(state, undefined, []);
  }

  /** Emits every successor of a state. */
  expand(state: Int32Array, emit: Emit): void {
    for (let c = 0; c < this.clients; c++) {
      const local = this.unfolding.locals[state[this.#local(c)]];
      for (const unit of local.enabled) {
        const next = state.slice();
        const events: Event[] = [{ type: 'unit', client: c, unit }];
        const torn = this.#execute(next, c, unit);
        if (torn !== undefined) emit(next, torn, events);
        else this.#settle(next, c, events, emit);
      }
      if (this.#mayCrash(state, c)) this.#crash(state.slice(), c, [], emit);
      if ((state[this.#budget] >> CUTS_SHIFT) & 15) this.#cutLinks(state, c, emit);
    }
    for (let mn = 0; state[this.#budget] >> KILLS_SHIFT > 0 && mn < this.pool.config.nodes; mn++) {
      if (this.isDead(state, mn)) continue;
      const next = state.slice();
      next[this.#budget] = (next[this.#budget] - (1 << KILLS_SHIFT)) | (1 << (DEAD_SHIFT + mn));
      emit(next, undefined, [{ type: 'kill', mn }]);
    }
  }

  /**
   * One successor in which only this client moved: its next unit; undefined when it has none, or the step is
   * wrong.
   */
  stepAlone(state: Int32Array, client: number): Int32Array | undefined {
    const [unit] = this.unfolding.locals[state[this.#local(client)]].enabled;
    if (unit === undefined) return undefined;
    const from = state.slice();
    from[this.#budget] &= ~255;
    this.#execute(from, client, unit);
    let after: Int32Array | undefined;
    this.#settle(from, client, [], (next, violation) => {
      if (violation === undefined) after ??= next;
    });
    return after;
  }

  /** The node at which a client stands. */
  nodeOf(state: Int32Array, client: number): Node {
    return this.unfolding.nodeOf(state[this.#local(client)]);
  }

  /** True when the MN has died; without `mn`, when any has. */
  isDead(state: Int32Array, mn?: number): boolean {
    const dead = (state[this.#budget] >> DEAD_SHIFT) & ((1 << MNS_MAX) - 1);
    return mn === undefined ? dead !== 0 : ((dead >> mn) & 1) !== 0;
  }

  localOf(state: Int32Array, client: number): number {
    return state[this.#local(client)];
  }

  cellsOf(state: Int32Array, client: number): number {
    return state[this.#local(client) + 1];
  }

  /** True when some explanation of the history leaves the keys with these values. */
  explains(state: Int32Array, values: readonly number[]): boolean {
    return this.configurations.explains(state[this.#set], this.#fillOpen(state), values);
  }

  /**
   * What can be told of a state from outside: slots and explanations. Equal in models of the same scenario.
   */
  describe(state: Int32Array): string {
    const words = Array.from(state.subarray(0, this.#firstClient), (id) =>
      formatWord(this.interner.wordAt(id, word())),
    );
    return `${words.join(' ')} | ${this.configurations.describe(state[this.#set])}`;
  }

  #local(client: number): number {
    return this.#firstClient + 2 * client;
  }

  /** Per client its open request, -1 for none. */
  #fillOpen(state: Int32Array): Int32Array {
    this.#open.fill(-1);
    for (let c = 0; c < this.clients; c++) {
      const local = this.unfolding.locals[state[this.#local(c)]];
      const { dead, client } = this.unfolding.nodes[local.node].origin;
      if (dead === undefined ? local.isOpen : dead.isOpen)
        this.#open[client] = this.unfolding.nodes[local.node].request;
    }
    return this.#open;
  }

  /** Executes one unit in place; a message when it is a READ of an object that is not whole. */
  #execute(state: Int32Array, client: number, index: number): string | undefined {
    const at = this.#local(client);
    const node = this.unfolding.nodeOf(state[at]);
    const unit = node.units[index];
    if (this.#isCut(state, client, unit.mn)) {
      state[at] = this.unfolding.step(state[at], index, FAILED);
      return undefined;
    }
    let result = 0;
    let torn: string | undefined;
    if (unit.kind === UnitKind.READ_SLOT) result = state[unit.place];
    else if (unit.kind === UnitKind.CAS) {
      result = state[unit.place];
      if (result === unit.expect) state[unit.place] = unit.swap;
    } else if (unit.kind === UnitKind.WRITE) {
      const owner = this.#local(unit.owner) + 1;
      state[owner] = this.cells.write(state[owner], unit.place, unit.lineOffset, unit.bytes);
      this.#forget(state, unit.owner);
    } else {
      result = this.lineAt(state, unit);
      if (node.origin.dead === undefined) {
        result = this.cells.payload(result);
        if (this.contents.of(result).key < 0) torn = `client ${client} reads an object that is not whole`;
      }
    }
    state[at] = this.unfolding.step(state[at], index, result);
    return torn;
  }

  /** The interned line that a data unit names. */
  lineAt(state: Int32Array, unit: Pick<Unit, 'owner' | 'place'>): number {
    if (unit.owner >= this.clients)
      return this.contents.initialLines[Math.floor(unit.place / this.scenario.dataReplicas)];
    return this.cells.line(state[this.#local(unit.owner) + 1], unit.place);
  }

  /** Goes on with a client until it waits for verbs on slots, in every way it can; emits what comes of it. */
  #settle(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    const local = this.unfolding.locals[state[this.#local(client)]];
    if (local.isComplete) {
      if (this.#mayCrash(state, client)) this.#crash(state.slice(), client, events, emit);
      const choices = this.unfolding.choices(state[this.#local(client)]);
      for (let choice = 0; choice < choices; choice++) {
        const next = choice + 1 === choices ? state : state.slice();
        this.#resume(next, client, choice, [...events, { type: 'resume', client, choice }], emit);
      }
    } else if (local.eager.length > 0) {
      if (this.#mayCrash(state, client)) this.#crashAmid(state, client, local.eager, events, emit);
      const executed: Event[] = [];
      for (const unit of local.eager) {
        executed.push({ type: 'unit', client, unit });
        const torn = this.#execute(state, client, unit);
        if (torn !== undefined) {
          emit(state, torn, [...events, ...executed]);
          return;
        }
      }
      this.#settle(state, client, [...events, ...executed], emit);
    } else emit(state, undefined, events);
  }

  #resume(state: Int32Array, client: number, choice: number, events: readonly Event[], emit: Emit): void {
    const at = this.#local(client);
    const open = this.#fillOpen(state);
    state[at] = this.unfolding.resume(state[at], choice);
    const node = this.unfolding.nodeOf(state[at]);
    for (const result of node.responses) {
      // A request that was answered without touching a slot began and ended here.
      const request = node.request - 1;
      open[client] = request;
      const set = this.configurations.respond(state[this.#set], open, client, result);
      if (set === IMPOSSIBLE) {
        emit(
          state,
          `no order of the requests explains that client ${client}'s request ${request + 1} ended so`,
          events,
        );
        return;
      }
      state[this.#set] = set;
    }
    if (node.error !== undefined) {
      emit(state, node.error, events);
      return;
    }
    if (node.isFresh) this.#forget(state, client);
    if (
      node.isUnavailable &&
      node.origin.dead === undefined &&
      this.scenario.recovers &&
      !this.isDead(state)
    ) {
      this.#die(state, client, [...events, { type: 'crash', client }], emit);
    } else this.#settle(state, client, events, emit);
  }

  /** A client dies in the middle of its data verbs: every prefix per MN of them may have executed. */
  #crashAmid(
    state: Int32Array,
    client: number,
    eager: readonly number[],
    events: readonly Event[],
    emit: Emit,
  ): void {
    const { units } = this.nodeOf(state, client);
    const perMn = new Map<number, number[]>();
    for (const unit of eager) perMn.set(units[unit].mn, [...(perMn.get(units[unit].mn) ?? []), unit]);
    const queues = [...perMn.values()];
    const tryPrefixes = (queue: number, executed: readonly number[]): void => {
      if (queue < queues.length) {
        for (let n = 0; n <= queues[queue].length; n++)
          tryPrefixes(queue + 1, [...executed, ...queues[queue].slice(0, n)]);
        return;
      }
      // All of a batch that has nothing else: that death comes with the batch's end.
      if (executed.length === eager.length && executed.length === units.length) return;
      const next = state.slice();
      const sofar: Event[] = [...events];
      for (const unit of executed) {
        this.#execute(next, client, unit);
        sofar.push({ type: 'unit', client, unit });
      }
      this.#crash(next, client, sofar, emit);
    };
    tryPrefixes(0, []);
  }

  #mayCrash(state: Int32Array, client: number): boolean {
    const node = this.nodeOf(state, client);
    return (state[this.#budget] & ((1 << CUTS_SHIFT) - 1)) > 0 && !node.isDone && !node.isCut;
  }

  #crash(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    state[this.#budget]--;
    this.#die(state, client, [...events, { type: 'crash', client }], emit);
  }

  #die(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    state[this.#local(client)] = this.unfolding.crash(state[this.#local(client)]);
    for (let c = 0; c < this.clients; c++) this.#forget(state, c);
    // The recoverer has links of its own.
    state[this.#budget] &= ~(((1 << MNS_MAX) - 1) << (LINKS_SHIFT + client * MNS_MAX));
    this.#settle(state, client, events, emit);
  }

  /** Drops from a client's cells the log entries that no recovery will look at. */
  #forget(state: Int32Array, client: number): void {
    const at = this.#local(client);
    const { origin, isDone, isFresh, keptCells } = this.unfolding.nodeOf(state[at]);
    const links = (state[this.#budget] >> (LINKS_SHIFT + client * MNS_MAX)) & ((1 << MNS_MAX) - 1);
    const mayDie = (state[this.#budget] & ((1 << LINKS_SHIFT) - 1)) > 0 || links !== 0;
    const { dataReplicas } = this.scenario;
    if (origin.dead === undefined ? !mayDie : isDone)
      state[at + 1] = this.cells.forget(state[at + 1], 0, dataReplicas);
    else if (origin.dead === undefined && isFresh && this.#isUntouched(state[at]))
      state[at + 1] = this.cells.forget(state[at + 1], keptCells, dataReplicas);
  }

  #isUntouched(local: number): boolean {
    return this.unfolding.locals[local].results.every((r) => r < FAILED);
  }

  #isCut(state: Int32Array, client: number, mn: number): boolean {
    return (
      this.isDead(state, mn) || ((state[this.#budget] >> (LINKS_SHIFT + client * MNS_MAX + mn)) & 1) !== 0
    );
  }

  /**
   * A link of the client fails: a prefix of the verbs in flight on it may still execute, all of them FAIL.
   */
  #cutLinks(state: Int32Array, client: number, emit: Emit): void {
    const node = this.nodeOf(state, client);
    if (node.isDone || node.origin.dead !== undefined) return;
    const { results } = this.unfolding.locals[state[this.#local(client)]];
    for (let mn = 0; mn < this.pool.config.nodes; mn++) {
      if (this.#isCut(state, client, mn)) continue;
      const flying = node.units.flatMap((u, i) => (u.mn === mn && results[i] < FAILED ? [i] : []));
      for (let executed = 0; executed <= flying.length; executed++) {
        const next = state.slice();
        for (const index of flying.slice(0, executed)) {
          const unit = node.units[index];
          if (unit.kind === UnitKind.CAS && next[unit.place] === unit.expect) next[unit.place] = unit.swap;
        }
        next[this.#budget] -= 1 << CUTS_SHIFT;
        next[this.#budget] |= 1 << (LINKS_SHIFT + client * MNS_MAX + mn);
        this.#settle(next, client, [{ type: 'cut', client, mn, executed }], emit);
      }
    }
  }
}
