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
 * With a master, one MN may die at any verb (FUSEE section 5.2). Verbs to it FAIL from then on; a CAS or a
 * data verb may also have executed there unanswered, at any time before. Who meets a FAIL waits; who meets
 * none may go on, or have stopped: a client that has stopped is one whose batch is complete and that is not
 * resumed. When all are so, or fenced, the master decides (`arbitration.ts`) and everybody adopts the new
 * view, in one step: what a client does first in it are verbs again. Recoveries that were under way begin
 * anew, wherever they stood.
 */

import { IMPOSSIBLE } from './configurations.js';
import type { Emit, Event } from './event.js';
import { States } from './states.js';
import { FAILED, PENDING, UnitKind } from './units.js';

/** The states of one scenario, and the steps between them. */
export class Model extends States {
  /** Emits the states in which exploration begins: data verbs of the first batches have executed. */
  start(emit: Emit): void {
    const state = new Int32Array(this.layout.width);
    this.pool.initialWords.forEach((w, slot) => {
      for (let r = 0; r < this.replicas; r++)
        state[slot * this.replicas + r] = this.interner.word(w.hi, w.lo);
    });
    for (let c = 0; c < this.clients; c++) {
      state[this.local(c)] = this.unfolding.initial[c];
      state[this.local(c) + 1] = this.cells.initial;
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
      const local = this.unfolding.locals[state[this.local(c)]];
      for (const unit of local.enabled) {
        this.#executeOne(state.slice(), c, unit, emit);
        if (this.mayLose(state, c, this.nodeOf(state, c).units[unit])) {
          const next = state.slice();
          this.execute(next, c, unit, false);
          emit(next, undefined, [{ type: 'lose', client: c, unit }]);
        }
      }
      if (this.mayCrash(state, c)) this.#crash(state.slice(), c, [], emit);
      if (this.layout.mayCut(state)) this.#cutLinks(state, c, emit);
    }
    for (let mn = 0; this.layout.mayKill(state) && mn < this.pool.config.nodes; mn++) {
      if (!this.isDead(state, mn) && (this.dying < 0 || mn === this.dying)) this.#kill(state, mn, emit);
    }
    if (this.mayArbitrate(state)) this.#arbitrate(state.slice(), emit);
    this.strays.forEach(state[this.layout.strays], (unit, left, i) => {
      const next = state.slice();
      next[this.layout.strays] = left;
      if (!this.isDead(state, unit.mn) && next[unit.place] === unit.expect) next[unit.place] = unit.swap;
      emit(next, undefined, [{ type: 'stray', index: i }]);
    });
  }

  #executeOne(next: Int32Array, client: number, unit: number, emit: Emit): void {
    const events: Event[] = [{ type: 'unit', client, unit }];
    const torn = this.execute(next, client, unit);
    if (torn !== undefined) emit(next, torn, events);
    else this.#settle(next, client, events, emit);
  }

  /**
   * One successor in which only this client moved: its next unit; undefined when it has none, or the step is
   * wrong.
   */
  stepAlone(state: Int32Array, client: number): Int32Array | undefined {
    const [unit] = this.unfolding.locals[state[this.local(client)]].enabled;
    if (unit === undefined) return undefined;
    const from = state.slice();
    this.layout.calm(from);
    this.execute(from, client, unit);
    let after: Int32Array | undefined;
    this.#settle(from, client, [], (next, violation) => {
      if (violation === undefined) after ??= next;
    });
    return after;
  }

  /** Goes on with a client until it waits for verbs on slots, in every way it can; emits what comes of it. */
  #settle(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    const at = this.local(client);
    if (this.dying >= 0 && this.isDead(state)) state[at] = this.unfolding.lose(state[at]);
    const local = this.unfolding.locals[state[at]];
    if (local.isComplete) {
      if (this.mayCrash(state, client)) this.#crash(state.slice(), client, events, emit);
      if (this.mayStop(state, local)) {
        emit(state.slice(), undefined, events);
        if (this.mustWait(local)) return;
      }
      const decided = this.adopting(state, local);
      if (decided >= 0) {
        this.#adopt(state, client, decided, events, emit);
        return;
      }
      const choices = this.unfolding.choices(state[at]);
      for (let choice = 0; choice < choices; choice++) {
        const next = choice + 1 === choices ? state : state.slice();
        this.#resume(next, client, choice, [...events, { type: 'resume', client, choice }], emit);
      }
    } else if (local.eager.length > 0) {
      if (this.mayCrash(state, client)) this.#crashAmid(state, client, local.eager, events, emit);
      const { units } = this.nodeOf(state, client);
      if (local.eager.some((unit) => this.mayLose(state, client, units[unit])))
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
      const isLost = loses && units[unit].mn === this.dying;
      sofar.push({ type: isLost ? 'lose' : 'unit', client, unit });
      const torn = this.execute(state, client, unit, !isLost);
      if (torn !== undefined) {
        emit(state, torn, sofar);
        return;
      }
    }
    this.#settle(state, client, sofar, emit);
  }

  #kill(state: Int32Array, mn: number, emit: Emit): void {
    const next = state.slice();
    this.layout.kill(next, mn);
    const events: Event[] = [{ type: 'kill', mn }];
    if (this.dying < 0) emit(next, undefined, events);
    else this.#forEachClient(next, events, emit, (...step) => this.#settle(...step));
  }

  #arbitrate(state: Int32Array, emit: Emit): void {
    const left = Array.from({ length: this.clients }, (_, c) => this.isLeft(state, c));
    const decided = this.decide(state);
    this.#forEachClient(state, [{ type: 'arbitrate' }], emit, (next, client, events, then) => {
      if (left[client] && this.hasStopped(next, client)) this.#adopt(next, client, decided, events, then);
      else then(next, undefined, events);
    });
  }

  #adopt(state: Int32Array, client: number, decided: number, events: readonly Event[], emit: Emit): void {
    const at = this.local(client);
    const before = state[at];
    if (this.unfolding.nodeOf(before).origin.dead !== undefined) {
      state[at] = this.unfolding.restart(before);
      this.#settle(state, client, [...events, { type: 'adopt', client, choice: 0 }], emit);
      return;
    }
    const choices = this.unfolding.adoptionChoices(before);
    for (let choice = 0; choice < choices; choice++) {
      const next = choice + 1 === choices ? state : state.slice();
      const open = this.fillOpen(next);
      next[at] = this.unfolding.adopt(before, decided, choice);
      this.#answer(next, client, open, [...events, { type: 'adopt', client, choice }], emit);
    }
  }

  #resume(state: Int32Array, client: number, choice: number, events: readonly Event[], emit: Emit): void {
    const at = this.local(client);
    const open = this.fillOpen(state);
    state[at] = this.unfolding.resume(state[at], choice);
    this.#answer(state, client, open, events, emit);
  }

  /** What a client's generator has come to: answers first. */
  #answer(state: Int32Array, client: number, open: Int32Array, events: readonly Event[], emit: Emit): void {
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
    if (node.isFresh) this.forget(state, client);
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
        this.execute(next, client, unit);
        sofar.push({ type: 'unit', client, unit });
      }
      this.#crash(next, client, sofar, emit);
    };
    tryPrefixes(0, []);
  }

  #crash(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    this.layout.crash(state);
    this.#die(state, client, [...events, { type: 'crash', client }], emit);
  }

  #die(state: Int32Array, client: number, events: readonly Event[], emit: Emit): void {
    if (this.scenario.variant?.fencesNobody === true) {
      const { node, results } = this.unfolding.locals[state[this.local(client)]];
      const flying = this.unfolding.nodes[node].units.filter(
        (unit, u) => unit.kind === UnitKind.CAS && results[u] === PENDING,
      );
      state[this.layout.strays] = this.strays.add(state[this.layout.strays], flying);
    }
    state[this.local(client)] = this.unfolding.crash(state[this.local(client)]);
    for (let c = 0; c < this.clients; c++) this.forget(state, c);
    // The recoverer has links of its own.
    this.layout.mendLinks(state, client);
    this.#settle(state, client, events, emit);
  }

  /**
   * A link of the client fails: a prefix of the verbs in flight on it may still execute, all of them FAIL.
   */
  #cutLinks(state: Int32Array, client: number, emit: Emit): void {
    const node = this.nodeOf(state, client);
    if (node.isDone || node.origin.dead !== undefined) return;
    const { results } = this.unfolding.locals[state[this.local(client)]];
    for (let mn = 0; mn < this.pool.config.nodes; mn++) {
      if (this.layout.isCut(state, client, mn) || (this.dying >= 0 && mn !== this.dying)) continue;
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
