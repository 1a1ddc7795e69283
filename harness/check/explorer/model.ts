/**
 * A scenario as a transition system over small vectors of numbers, and what must hold in each of its states.
 *
 * What a state holds stands in `layout.ts`.
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
 *
 * With a master, one MN may die at any verb (FUSEE section 5.2). Its verbs FAIL from then on; a CAS, or what
 * stands in the log, may also have executed there unanswered, at any time before. Who meets a FAIL waits; who
 * meets none may go on, or have stopped: a client that has stopped is one whose batch is complete and that is
 * not resumed. When all are so, or fenced, the master decides (`arbitration.ts`) and everybody adopts the new
 * view, in one step: what a client does first in it are verbs again. Recoveries that were under way begin anew,
 * wherever they stood.
 */
import { formatWord, word } from '../../../fusee/verbs/index.js';
import { TinyPool } from '../scenario/pool.js';
import { MAX_CLIENTS, type Scenario } from '../scenario/scenario.js';
import { Cells } from './cells.js';
import { Configurations, IMPOSSIBLE } from './configurations.js';
import { Contents } from './contents.js';
import type { Emit, Event } from './event.js';
import { Interner } from './interner.js';
import { Arbitration } from './arbitration.js';
import { StateLayout } from './layout.js';
import type { Local, Node } from './local-state.js';
import { primaryOf } from './merging.js';
import { Strays } from './strays.js';
import { Unfolding } from './unfolding.js';
import { FAILED, isPrivate, PENDING, type Unit, UNANSWERED, UnitKind } from './units.js';

export interface ModelOptions {
  /** Executes data verbs at once. @default true */
  readonly reduces?: boolean;
  /**
   * Takes local states for one that agree in what is still used; else only a poll that found nothing new.
   * @default true
   */
  readonly merges?: boolean;
}

/** The states of one scenario, and the steps between them. */
export class Model {
  readonly scenario: Scenario;
  readonly pool: TinyPool;
  readonly interner = new Interner();
  readonly unfolding: Unfolding;
  readonly cells: Cells;
  readonly configurations: Configurations;
  readonly contents: Contents;
  readonly layout: StateLayout;
  readonly clients: number;
  readonly slots: number;
  readonly replicas: number;
  readonly #arbitration: Arbitration;
  readonly #strays: Strays = new Strays();
  /** The MN that may die with a master there, or -1; and the slots' primary before and after. */
  readonly #dying: number;
  readonly #primaries: readonly [number, number];
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
    this.layout = new StateLayout(scenario);
    this.#arbitration = new Arbitration(this.pool, this.interner);
    this.#dying = this.pool.dyingMn;
    this.#primaries = [0, primaryOf(this.pool, this.pool.viewWithout(this.#dying))];
  }

  /** Emits the states in which exploration begins: data verbs of the first batches have executed. */
  start(emit: Emit): void {
    const state = new Int32Array(this.layout.width);
    this.pool.initialWords.forEach((w, slot) => {
      for (let r = 0; r < this.replicas; r++)
        state[slot * this.replicas + r] = this.interner.word(w.hi, w.lo);
    });
    for (let c = 0; c < this.clients; c++) {
      state[this.#local(c)] = this.unfolding.initial[c];
      state[this.#local(c) + 1] = this.cells.initial;
    }
    state[this.layout.set] = this.configurations.initial;
    this.layout.begin(state, this.scenario);
    this.#forEachClient(state, [], emit, (next, client, events, then) =>
      this.#settle(next, client, events, then),
    );
  }

  /** Takes a step with each client in turn, in every way that it can be taken. */
  #forEachClient(
    state: Int32Array,
    events: readonly Event[],
    emit: Emit,
    step: (state: Int32Array, client: number, events: readonly Event[], emit: Emit) => void,
  ): void {
    const from = (client: number): Emit => {
      if (client === this.clients) return emit;
      return (next, violation, sofar) => {
        if (violation !== undefined) emit(next, violation, sofar);
        else step(next, client, sofar, from(client + 1));
      };
    };
    from(0)(state, undefined, events);
  }

  /** Emits every successor of a state. */
  expand(state: Int32Array, emit: Emit): void {
    for (let c = 0; c < this.clients; c++) {
      const local = this.unfolding.locals[state[this.#local(c)]];
      for (const unit of local.enabled) {
        this.#executeOne(state.slice(), c, unit, emit);
        if (this.#mayLose(state, c, this.nodeOf(state, c).units[unit])) {
          const next = state.slice();
          this.#execute(next, c, unit, false);
          emit(next, undefined, [{ type: 'lose', client: c, unit }]);
        }
      }
      if (this.#mayCrash(state, c)) this.#crash(state.slice(), c, [], emit);
      if (this.layout.mayCut(state)) this.#cutLinks(state, c, emit);
    }
    for (let mn = 0; this.layout.mayKill(state) && mn < this.pool.config.nodes; mn++) {
      if (!this.isDead(state, mn) && (this.#dying < 0 || mn === this.#dying)) this.#kill(state, mn, emit);
    }
    if (this.#mayArbitrate(state)) this.#arbitrate(state.slice(), emit);
    this.#strays.forEach(state[this.layout.strays], (unit, left, i) => {
      const next = state.slice();
      next[this.layout.strays] = left;
      if (!this.isDead(state, unit.mn) && next[unit.place] === unit.expect) next[unit.place] = unit.swap;
      emit(next, undefined, [{ type: 'stray', index: i }]);
    });
  }

  #executeOne(next: Int32Array, client: number, unit: number, emit: Emit): void {
    const events: Event[] = [{ type: 'unit', client, unit }];
    const torn = this.#execute(next, client, unit);
    if (torn !== undefined) emit(next, torn, events);
    else this.#settle(next, client, events, emit);
  }

  /**
   * One successor in which only this client moved: its next unit; undefined when it has none, or the step is
   * wrong.
   */
  stepAlone(state: Int32Array, client: number): Int32Array | undefined {
    const [unit] = this.unfolding.locals[state[this.#local(client)]].enabled;
    if (unit === undefined) return undefined;
    const from = state.slice();
    this.layout.calm(from);
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
    return this.layout.isDead(state, mn);
  }

  /** A master has mended what a dead MN left, or will. */
  get hasMaster(): boolean {
    return this.#dying >= 0;
  }

  /** An MN has died, and no master has mended that yet. */
  isBroken(state: Int32Array): boolean {
    return this.isDead(state) && state[this.layout.view] === 0;
  }

  /** The replica of the slots that readers go by; -1 when it is dead. */
  primaryOf(state: Int32Array): number {
    const replica = this.#primaries[state[this.layout.view] === 0 ? 0 : 1];
    return this.isDead(state, this.pool.view.slotMn(this.pool.slotOffsets[0], replica)) ? -1 : replica;
  }

  localOf(state: Int32Array, client: number): number {
    return state[this.#local(client)];
  }

  cellsOf(state: Int32Array, client: number): number {
    return state[this.#local(client) + 1];
  }

  /** True when some explanation of the history leaves the keys with these values. */
  explains(state: Int32Array, values: readonly number[]): boolean {
    return this.configurations.explains(state[this.layout.set], this.#fillOpen(state), values);
  }

  /**
   * What can be told of a state from outside: slots and explanations. Equal in models of the same scenario.
   */
  describe(state: Int32Array): string {
    const words = Array.from(state.subarray(0, this.layout.local(0)), (id) =>
      formatWord(this.interner.wordAt(id, word())),
    );
    return `${words.join(' ')} | ${this.configurations.describe(state[this.layout.set])}`;
  }

  #local(client: number): number {
    return this.layout.local(client);
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
  #execute(state: Int32Array, client: number, index: number, isAnswered = true): string | undefined {
    const at = this.#local(client);
    const node = this.unfolding.nodeOf(state[at]);
    const unit = node.units[index];
    if (this.layout.isCut(state, client, unit.mn)) {
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
    state[at] = this.unfolding.step(state[at], index, isAnswered ? result : UNANSWERED);
    return torn;
  }

  /** The interned line that a data unit names. */
  lineAt(state: Int32Array, unit: Pick<Unit, 'owner' | 'place'>): number {
    const { dataReplicas } = this.scenario;
    if (unit.owner >= this.clients) return this.contents.initialLines[Math.floor(unit.place / dataReplicas)];
    return this.cells.line(state[this.#local(unit.owner) + 1], unit.place);
  }

  /** Goes on with a client until it waits for verbs on slots, in every way it can; emits what comes of it. */
  #settle(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    const at = this.#local(client);
    if (this.#dying >= 0 && this.isDead(state)) state[at] = this.unfolding.lose(state[at]);
    const local = this.unfolding.locals[state[at]];
    if (local.isComplete) {
      if (this.#mayCrash(state, client)) this.#crash(state.slice(), client, events, emit);
      if (this.#mayStop(state, local)) {
        emit(state.slice(), undefined, events);
        if (this.#mustWait(local)) return;
      }
      if (this.#goesAlone(state, local)) {
        const known = state[this.layout.view] - 1;
        const decided = known < 0 ? this.unfolding.internDecisions(this.pool.slotOffsets.map(() => -1)) : known;
        this.#adopt(state, client, decided, events, emit);
        return;
      }
      const choices = this.unfolding.choices(state[at]);
      for (let choice = 0; choice < choices; choice++) {
        const next = choice + 1 === choices ? state : state.slice();
        this.#resume(next, client, choice, [...events, { type: 'resume', client, choice }], emit);
      }
    } else if (local.eager.length > 0) {
      if (this.#mayCrash(state, client)) this.#crashAmid(state, client, local.eager, events, emit);
      const { units } = this.nodeOf(state, client);
      if (local.eager.some((unit) => this.#mayLose(state, client, units[unit])))
        this.#executeEager(state.slice(), client, local.eager, { events, emit, loses: true });
      this.#executeEager(state, client, local.eager, { events, emit, loses: false });
    } else emit(state, undefined, events);
  }

  #executeEager(
    state: Int32Array,
    client: number,
    eager: readonly number[],
    { events, emit, loses }: { events: readonly Event[]; emit: Emit; loses: boolean },
  ): void {
    const { units } = this.nodeOf(state, client);
    const sofar = [...events];
    for (const unit of eager) {
      const isLost = loses && units[unit].mn === this.#dying;
      sofar.push({ type: isLost ? 'lose' : 'unit', client, unit });
      const torn = this.#execute(state, client, unit, !isLost);
      if (torn !== undefined) {
        emit(state, torn, sofar);
        return;
      }
    }
    this.#settle(state, client, sofar, emit);
  }

  /** May the unit execute without an answer, since its MN is to die? READs leave nothing: they just FAIL then. */
  #mayLose(state: Int32Array, client: number, unit: Unit): boolean {
    return (
      unit.mn === this.#dying &&
      (unit.kind === UnitKind.CAS || isPrivate(unit)) &&
      this.layout.mayKill(state) &&
      this.nodeOf(state, client).origin.dead === undefined
    );
  }

  /** Its batch is answered, an MN has died: the client may have stopped, for the master. */
  #mayStop(state: Int32Array, { node }: Local): boolean {
    const isClient = this.unfolding.nodes[node].origin.dead === undefined;
    return this.#dying >= 0 && this.isBroken(state) && isClient;
  }

  /** Who meets a FAIL waits for the master. */
  #mustWait({ node, results }: Local): boolean {
    return results.includes(FAILED) && this.unfolding.nodes[node].kind !== this.scenario.variant?.ignoresSilence;
  }

  /**
   * Naive ways: a client whose link is lost takes the node for dead, all by itself; or the master has waited for
   * nobody, and the client learns of the view when it meets a FAIL.
   */
  #goesAlone(state: Int32Array, { node, results }: Local): boolean {
    const { variant } = this.scenario;
    if (variant?.adoptsAlone !== true && variant?.stopsNobody !== true) return false;
    const { origin, isAfter } = this.unfolding.nodes[node];
    if (isAfter || origin.dead !== undefined || this.isBroken(state)) return false;
    return results.includes(FAILED);
  }

  #kill(state: Int32Array, mn: number, emit: Emit): void {
    const next = state.slice();
    this.layout.kill(next, mn);
    const events: Event[] = [{ type: 'kill', mn }];
    if (this.#dying < 0) emit(next, undefined, events);
    else this.#forEachClient(next, events, emit, (...step) => this.#settle(...step));
  }

  /** Everybody has stopped, ended, or is fenced. */
  #mayArbitrate(state: Int32Array): boolean {
    if (this.#dying < 0 || !this.isBroken(state)) return false;
    if (this.scenario.variant?.stopsNobody === true) return true;
    for (let c = 0; c < this.clients; c++) if (!this.#hasStopped(state, c)) return false;
    return true;
  }

  #hasStopped(state: Int32Array, client: number): boolean {
    const local = this.unfolding.locals[state[this.#local(client)]];
    const { isDone, origin } = this.unfolding.nodes[local.node];
    return isDone || origin.dead !== undefined || local.isComplete;
  }

  #arbitrate(state: Int32Array, emit: Emit): void {
    const nodes = Array.from({ length: this.clients }, (_, c) => this.nodeOf(state, c));
    const isLeft = (node: Node): boolean => !node.isDone || node.isUnavailable;
    const slots = this.slots * this.replicas;
    const words = new Int32Array(slots + this.clients);
    words.set(state.subarray(0, slots));
    for (let c = 0; c < this.clients; c++) words[slots + c] = state[this.#local(c) + 1];
    const touched = {
      words,
      line: ({ owner, place }: Unit): number =>
        owner >= this.clients ? this.lineAt(state, { owner, place }) : this.cells.line(words[slots + owner], place),
      write: ({ owner, place, lineOffset, bytes }: Unit): void => {
        words[slots + owner] = this.cells.write(words[slots + owner], place, lineOffset, bytes);
      },
    };
    const decided = this.unfolding.internDecisions(
      this.#arbitration.run(touched, {
        slots: [...new Set(nodes.flatMap((node) => (isLeft(node) ? node.openSlots : [])))].sort((a, b) => a - b),
        dead: nodes.flatMap((node) => (node.origin.dead && isLeft(node) ? [node.objects] : [])),
      }),
    );
    state.set(words.subarray(0, slots));
    for (let c = 0; c < this.clients; c++) state[this.#local(c) + 1] = words[slots + c];
    state[this.layout.view] = 1 + decided;
    for (let c = 0; c < this.clients; c++) this.#forget(state, c);
    this.#forEachClient(state, [{ type: 'arbitrate' }], emit, (next, client, events, then) => {
      const isAtWork = !this.#hasStopped(next, client);
      if (isAtWork || !isLeft(nodes[client])) then(next, undefined, events);
      else this.#adopt(next, client, decided, events, then);
    });
  }

  #adopt(state: Int32Array, client: number, decided: number, events: readonly Event[], emit: Emit): void {
    const at = this.#local(client);
    const before = state[at];
    if (this.unfolding.nodeOf(before).origin.dead !== undefined) {
      state[at] = this.unfolding.restart(before);
      this.#settle(state, client, [...events, { type: 'adopt', client, choice: 0 }], emit);
      return;
    }
    const choices = this.unfolding.adoptionChoices(before);
    for (let choice = 0; choice < choices; choice++) {
      const next = choice + 1 === choices ? state : state.slice();
      const open = this.#fillOpen(next);
      next[at] = this.unfolding.adopt(before, decided, choice);
      this.#answer(next, client, open, [...events, { type: 'adopt', client, choice }], emit);
    }
  }

  #resume(state: Int32Array, client: number, choice: number, events: readonly Event[], emit: Emit): void {
    const at = this.#local(client);
    const open = this.#fillOpen(state);
    state[at] = this.unfolding.resume(state[at], choice);
    this.#answer(state, client, open, events, emit);
  }

  /** What a client's generator has come to: answers first. */
  #answer(
    state: Int32Array,
    client: number,
    open: Int32Array,
    events: readonly Event[],
    emit: Emit,
  ): void {
    const node = this.nodeOf(state, client);
    for (const result of node.responses) {
      // A request that was answered without touching a slot began and ended here.
      const request = node.request - 1;
      open[client] = request;
      const set = this.configurations.respond(state[this.layout.set], open, client, result);
      if (set === IMPOSSIBLE) {
        emit(
          state,
          `no order of the requests explains that client ${client}'s request ${request + 1} ended so`,
          events,
        );
        return;
      }
      state[this.layout.set] = set;
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
    return this.layout.mayCrash(state) && !node.isDone && !node.isCut;
  }

  #crash(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    this.layout.crash(state);
    this.#die(state, client, [...events, { type: 'crash', client }], emit);
  }

  #die(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    if (this.scenario.variant?.fencesNobody === true) {
      const { node, results } = this.unfolding.locals[state[this.#local(client)]];
      const flying = this.unfolding.nodes[node].units.filter(
        (unit, u) => unit.kind === UnitKind.CAS && results[u] === PENDING,
      );
      state[this.layout.strays] = this.#strays.add(state[this.layout.strays], flying);
    }
    state[this.#local(client)] = this.unfolding.crash(state[this.#local(client)]);
    for (let c = 0; c < this.clients; c++) this.#forget(state, c);
    // The recoverer has links of its own.
    this.layout.mendLinks(state, client);
    this.#settle(state, client, events, emit);
  }

  /** Drops from a client's cells the log entries that no recovery will look at. */
  #forget(state: Int32Array, client: number): void {
    const at = this.#local(client);
    const { origin, isDone, isFresh, keptCells } = this.unfolding.nodeOf(state[at]);
    // A master may still look at all of them.
    if (this.#dying >= 0 && (this.layout.mayKill(state) || this.isBroken(state))) return;
    const mayDie = this.layout.mayEnd(state, client);
    const { dataReplicas } = this.scenario;
    if (origin.dead === undefined ? !mayDie : isDone)
      state[at + 1] = this.cells.forget(state[at + 1], 0, dataReplicas);
    else if (origin.dead === undefined && isFresh && this.#isUntouched(state[at]))
      state[at + 1] = this.cells.forget(state[at + 1], keptCells, dataReplicas);
  }

  #isUntouched(local: number): boolean {
    return this.unfolding.locals[local].results.every((r) => r < FAILED);
  }

  /**
   * A link of the client fails: a prefix of the verbs in flight on it may still execute, all of them FAIL.
   */
  #cutLinks(state: Int32Array, client: number, emit: Emit): void {
    const node = this.nodeOf(state, client);
    if (node.isDone || node.origin.dead !== undefined) return;
    const { results } = this.unfolding.locals[state[this.#local(client)]];
    for (let mn = 0; mn < this.pool.config.nodes; mn++) {
      if (this.layout.isCut(state, client, mn) || (this.#dying >= 0 && mn !== this.#dying)) continue;
      const flying = node.units.flatMap((u, i) => (u.mn === mn && results[i] < FAILED ? [i] : []));
      for (let executed = 0; executed <= flying.length; executed++) {
        const next = state.slice();
        for (const index of flying.slice(0, executed)) {
          const unit = node.units[index];
          if (unit.kind === UnitKind.CAS && next[unit.place] === unit.expect) next[unit.place] = unit.swap;
        }
        this.layout.cut(next, client, mn);
        this.#settle(next, client, [{ type: 'cut', client, mn, executed }], emit);
      }
    }
  }
}
