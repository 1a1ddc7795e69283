/**
 * A scenario for real: the product's generators over the memory fabric's nodes, one unit of a verb at a time,
 * in the order that a schedule says. It shares nothing with the exploration model but how verbs are split
 * into units, so a schedule that fails here fails, whatever the model claims.
 */
import { executePart, executeVerb } from '../../fusee/fabric/execute-verb.js';
import type { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import { isKv, isTent, LINE_BYTES, ownerPointer } from '../../fusee/layout/index.js';
import type { Decisions } from '../../fusee/ops/index.js';
import {
  Field,
  formatWord,
  Opcode,
  Status,
  type VerbBatch,
  type Word,
  word,
} from '../../fusee/verbs/index.js';
import { type Actor, enabledUnits, failAnswers, hasFailed, isAnswered, pendingOn } from './actor.js';
import { Configurations, IMPOSSIBLE } from './explorer/configurations.js';
import { contentOf } from './explorer/contents.js';
import type { Event } from './explorer/event.js';
import { Interner } from './explorer/interner.js';
import { type Unit, UnitKind, unitsOf } from './explorer/units.js';
import { ClientRun } from './scenario/client-run.js';
import { MasterRun } from './scenario/master-run.js';
import { TinyPool } from './scenario/pool.js';
import { RecoveryRun } from './scenario/recovery-run.js';
import type { Scenario } from './scenario/scenario.js';

/** The clients and nodes of one scenario, and the order of requests so far. */
export class World {
  readonly scenario: Scenario;
  readonly pool: TinyPool;
  readonly nodes: MemoryNodes;
  readonly actors: Actor[];
  readonly interner: Interner;
  crashesLeft: number;
  cutsLeft: number;
  killsLeft: number;
  readonly #configurations: Configurations;
  #set: number;
  /** What the master decided, once it has. */
  #decided: Decisions | undefined;
  #strays: { batch: VerbBatch; unit: Unit }[] = [];

  /** @param shared parts that may be used again by the next world of the same scenario. */
  constructor(scenario: Scenario, shared: { pool: TinyPool; interner: Interner } = World.shared(scenario)) {
    this.scenario = scenario;
    this.pool = shared.pool;
    this.interner = shared.interner;
    this.nodes = this.pool.makeNodes();
    this.crashesLeft = scenario.crashes;
    this.cutsLeft = scenario.cuts;
    this.killsLeft = scenario.mnCrashes;
    this.#configurations = new Configurations(scenario);
    this.#set = this.#configurations.initial;
    this.actors = scenario.programs.map((_, client) => {
      const run = new ClientRun(this.pool, client);
      run.start();
      const actor = { run, isRecovery: false, units: [], executed: [], unanswered: [], isOpen: false };
      return this.#refresh({ ...actor, isCut: [], polledAt: -1, parkedAt: -1, awaitsView: false });
    });
  }

  static shared(scenario: Scenario): { pool: TinyPool; interner: Interner } {
    return { pool: new TinyPool(scenario), interner: new Interner() };
  }

  /** Everything that may happen next; resumes are forced, so while there is one nothing else is listed. */
  enabled(): Event[] {
    const events: Event[] = this.mayArbitrate() ? [{ type: 'arbitrate' }] : [];
    this.actors.forEach((actor, client) => {
      if (actor.awaitsView) events.push({ type: 'adopt', client, choice: 0 });
      if (actor.run.batch === null || actor.run.isCut || actor.awaitsView) return;
      if (isAnswered(actor)) {
        const choices = this.#mustWait(actor) ? 0 : this.#choices(actor);
        for (let choice = 0; choice < choices; choice++) events.push({ type: 'resume', client, choice });
      } else if (actor.parkedAt !== this.nodes.changes || this.#isBroken) {
        for (const unit of enabledUnits(actor)) events.push({ type: 'unit', client, unit });
      }
      if (this.crashesLeft > 0) events.push({ type: 'crash', client });
    });
    return events;
  }

  /** Lets one event happen; what was wrong with it, or with the state it led to. */
  apply(event: Event): string | undefined {
    switch (event.type) {
      case 'kill':
        this.nodes.kill(event.mn);
        this.killsLeft--;
        if (this.#hasLost) for (const actor of this.actors) failAnswers(actor, event.mn);
        return undefined;
      case 'arbitrate':
        this.#arbitrate();
        return this.#doubleCopies();
      case 'stray': {
        const [{ batch, unit }] = this.#strays.splice(event.index, 1);
        executeVerb(this.nodes, batch, unit.verb);
        return this.#doubleCopies();
      }
    }
    const actor = this.actors[event.client];
    switch (event.type) {
      case 'lose':
        this.#execute(actor, event.unit);
        actor.unanswered.push(event.unit);
        return this.#doubleCopies();
      case 'adopt':
        return this.#adopt(actor, event.client, event.choice);
      case 'unit':
        this.#execute(actor, event.unit);
        return this.#doubleCopies();
      case 'resume':
        return this.#resume(actor, event.client, event.choice);
      case 'crash':
        if (!actor.run.isUnavailable) this.crashesLeft--;
        this.#die(actor, event.client);
        return actor.run.error;
      case 'cut':
        for (const unit of pendingOn(actor, event.mn).slice(0, event.executed)) this.#execute(actor, unit);
        for (const unit of pendingOn(actor, event.mn)) actor.executed[unit] = true;
        actor.isCut[event.mn] = true;
        this.cutsLeft--;
        return this.#doubleCopies();
    }
  }

  /** An MN has died, and nobody repairs what that leaves: there is no master. */
  get anyDead(): boolean {
    return this.killsLeft < this.scenario.mnCrashes && !this.#hasLost;
  }

  /** An MN has died, and the master has not mended that yet. */
  get #isBroken(): boolean {
    return this.#decided === undefined && this.#hasLost;
  }

  get #hasLost(): boolean {
    return this.pool.dyingMn >= 0 && !this.nodes.isAlive(this.pool.dyingMn);
  }

  /** May this MN die, the scenario's budget apart? */
  mayDie(mn: number): boolean {
    return this.nodes.isAlive(mn) && (this.scenario.dying < 0 || mn === this.pool.dyingMn);
  }

  /** Verbs of dead clients that nobody fenced. */
  get strays(): number {
    return this.#strays.length;
  }

  /** An MN has died, and everybody waits for the master, or is fenced. */
  mayArbitrate(): boolean {
    const { variant } = this.scenario;
    return this.#isBroken && (variant?.stopsNobody === true || this.actors.every((a) => this.#hasStopped(a)));
  }

  /** Nothing is left to do. */
  get isOver(): boolean {
    return !this.#isBroken && this.actors.every((a) => a.run.batch === null || a.run.isCut);
  }

  /** What is wrong with the end: replicas that differ, contents that no order explains. */
  wrongAtEnd(): string | undefined {
    const isHealthy = this.actors.every(
      (a) => !a.run.isUnavailable && !a.run.isCut && (!a.isRecovery || this.scenario.recovers),
    );
    if (this.anyDead || this.actors.some((a) => a.run.isCut)) return undefined;
    const [primary, ...backups] = Array.from({ length: this.scenario.replicas }, (_, r) => r).filter(
      (r) => !this.#hasLost || r !== this.scenario.dying,
    );
    const first = word();
    const values = this.pool.keys.map(() => 0);
    for (let slot = 0; slot < this.scenario.slots.length; slot++) {
      this.slotWord(slot, primary, first);
      for (const r of isHealthy ? backups : []) {
        const other = this.slotWord(slot, r, word());
        if (other.lo !== first.lo || other.hi !== first.hi)
          return `the replicas of slot ${slot} differ at the end`;
      }
      if (isHealthy && isTent(first)) return `slot ${slot} is tentative at the end`;
      if (!isKv(first)) continue;
      const content = contentOf(this.pool, this.lineOf(first));
      if (content.key >= 0) values[content.key] = content.value;
    }
    if (this.#configurations.explains(this.#set, this.#open(), values)) return undefined;
    const contents = values.map((v, k) => `key ${k} = ${v}`).join(', ');
    return `no order of the requests explains the contents at the end: ${contents}`;
  }

  /** What a client has in hand, and what the slots hold: equal for equal runs. */
  print(client: number): string {
    const { run, executed } = this.actors[client];
    const { batch } = run;
    const verbs: string[] = [];
    for (let i = 0; batch !== null && i < batch.count; i++) {
      const fields = Array.from({ length: Field.STATUS + 1 }, (_, f) => batch.field(i, f));
      verbs.push(fields.join());
    }
    const slots = this.scenario.slots.map((_, slot) => {
      const replicas = Array.from({ length: this.scenario.replicas }, (_unused, r) => r);
      return replicas.map((r) => formatWord(this.slotWord(slot, r, word()))).join();
    });
    const done = executed.map(Number).join('');
    return [run.request, run.responses, done, verbs.join(';'), slots.join(' ')].join(' ');
  }

  /** The word of a scenario's slot on one replica. */
  slotWord(slot: number, replica: number, into: Word): Word {
    const offset = this.pool.slotOffsets[slot];
    const { view } = this.pool;
    return this.nodes.load(view.slotMn(offset, replica), view.slotOffset(offset), into);
  }

  /** The line that a slot's word names, on its primary replica. */
  lineOf(w: Word): Uint8Array {
    const bytes = new Uint8Array(LINE_BYTES);
    const pointer = ownerPointer(w);
    const view = this.#hasLost ? this.pool.viewAfter : this.pool.view;
    this.nodes.read(view.dataMn(pointer, 0), view.dataOffset(pointer, 0), bytes, 0, LINE_BYTES);
    return bytes;
  }

  #doubleCopies(): string | undefined {
    const seen = new Map<number, number>();
    const { pool } = this;
    const view = this.#decided === undefined ? pool.view : pool.viewAfter;
    const mn = view.slotMn(pool.slotOffsets[0], 0);
    if (!this.nodes.isAlive(mn)) return undefined;
    for (let slot = 0; slot < this.scenario.slots.length; slot++) {
      const w = this.nodes.load(mn, view.slotOffset(pool.slotOffsets[slot]), word());
      if (!isKv(w)) continue;
      const { key } = contentOf(this.pool, this.lineOf(w));
      const before = seen.get(key);
      if (key >= 0 && before !== undefined)
        return `key ${key} is visible twice, in slots ${before} and ${slot}`;
      seen.set(key, slot);
    }
    return undefined;
  }

  #execute(actor: Actor, index: number): void {
    const unit = actor.units[index];
    const batch = actor.run.batch as VerbBatch;
    if (batch.isPoll && !actor.executed.some(Boolean)) actor.polledAt = this.nodes.changes;
    actor.executed[index] = true;
    if (unit.kind <= UnitKind.CAS) actor.isOpen = true;
    if (actor.isCut[unit.mn]) {
      batch.setField(unit.verb, Field.STATUS, Status.FAIL);
      return;
    }
    if (unit.kind === UnitKind.CAS) {
      executeVerb(this.nodes, batch, unit.verb);
      this.#readBehind(batch, unit.verb);
    } else executePart(this.nodes, batch, unit.verb, { fromBytes: unit.fromBytes, toBytes: unit.toBytes });
  }

  /** READs of the CASed word in the same batch are no units of their own: they come right behind it. */
  #readBehind(batch: VerbBatch, cas: number): void {
    for (let i = cas + 1; i < batch.count; i++) {
      const fromBytes = batch.remote(cas) - batch.remote(i);
      if (batch.opcode(i) !== Opcode.READ || batch.mn(i) !== batch.mn(cas)) continue;
      if (fromBytes < 0 || fromBytes >= batch.field(i, Field.LENGTH)) continue;
      executePart(this.nodes, batch, i, { fromBytes, toBytes: fromBytes + 8 });
    }
  }

  #resume(actor: Actor, client: number, choice: number): string | undefined {
    const { run } = actor;
    const open = this.#open();
    this.#endBatch(actor);
    const decided = this.#adopting(actor);
    if (decided === undefined) run.resume(choice);
    else (run as ClientRun).adopt(this.pool.dyingMn, decided, choice);
    return this.#answer(actor, client, open);
  }

  #endBatch(actor: Actor): void {
    const batch = actor.run.batch as VerbBatch;
    for (let i = 0; i < batch.count; i++) {
      if (batch.status(i) === Status.FAIL || actor.isCut[batch.mn(i)])
        batch.setField(i, Field.STATUS, Status.FAIL);
      else batch.setField(i, Field.STATUS, Status.OK);
    }
  }

  #answer(actor: Actor, client: number, open: Int32Array): string | undefined {
    const { run } = actor;
    for (const result of run.responses) {
      open[client] = run.request - 1;
      this.#set = this.#configurations.respond(this.#set, open, client, result);
      actor.isOpen = false;
      if (this.#set === IMPOSSIBLE)
        return `no order of the requests explains that client ${client}'s request ${run.request} ended so`;
    }
    this.#refresh(actor);
    if (run.isUnavailable && !actor.isRecovery && this.scenario.recovers && !this.anyDead)
      this.#die(actor, client);
    return run.error;
  }

  #hasStopped(actor: Actor): boolean {
    return actor.run.batch === null || actor.isRecovery || isAnswered(actor);
  }

  /** Who meets a FAIL waits for the master. */
  #mustWait(actor: Actor): boolean {
    if (!this.#isBroken || actor.isRecovery || !hasFailed(actor)) return false;
    return actor.run.kind !== this.scenario.variant?.ignoresSilence;
  }

  /** By which decisions a client that has met a FAIL goes on, if it does: see `explorer/states.ts`. */
  #adopting(actor: Actor): Decisions | undefined {
    if (actor.isRecovery || this.scenario.dying < 0 || !hasFailed(actor)) return undefined;
    const { variant } = this.scenario;
    const isAfter = actor.run.cx.client.view.number > 1;
    const goesAlone = this.#decided === undefined && variant?.adoptsAlone === actor.run.kind;
    return isAfter || goesAlone ? new Map() : this.#decided;
  }

  #arbitrate(): void {
    const left = this.actors.filter((a) => a.run.batch !== null || a.run.isUnavailable);
    const steps = new MasterRun(this.pool, this.pool.dyingMn).decide({
      slots: left.flatMap((a) => a.run.openSlots),
      dead: left.filter((a) => a.isRecovery).map((a) => a.run.objects),
    });
    let next = steps.next();
    for (; !next.done; next = steps.next())
      for (let i = 0; i < next.value.count; i++) executeVerb(this.nodes, next.value, i);
    this.#decided = next.value;
    for (const actor of left) actor.awaitsView = this.#hasStopped(actor);
  }

  #adopt(actor: Actor, client: number, choice: number): string | undefined {
    actor.awaitsView = false;
    const open = this.#open();
    if (actor.isRecovery) {
      const { objects, request } = actor.run;
      actor.run = new RecoveryRun(this.pool, { client, objects, request, dead: this.pool.dyingMn });
      actor.run.start();
    } else {
      this.#endBatch(actor);
      (actor.run as ClientRun).adopt(this.pool.dyingMn, this.#decided ?? new Map(), choice);
    }
    return this.#answer(actor, client, open);
  }

  #die(actor: Actor, client: number): void {
    const { run } = actor;
    if (this.scenario.variant?.fencesNobody === true) {
      const batch = run.batch as VerbBatch;
      const flying = actor.units.filter((unit, u) => unit.kind === UnitKind.CAS && !actor.executed[u]);
      this.#strays.push(...flying.map((unit) => ({ batch, unit })));
    }
    const objects = this.scenario.recovers ? [...run.objects] : [];
    if (!actor.isRecovery && actor.executed.some(Boolean)) actor.isOpen = true;
    const dead = run.cx.client.view.number > 1 ? { dead: this.pool.dyingMn } : {};
    actor.run = new RecoveryRun(this.pool, { client, objects, request: run.request, ...dead });
    actor.isRecovery = true;
    actor.isCut.length = 0;
    actor.run.start();
    this.#refresh(actor);
  }

  #refresh(actor: Actor): Actor {
    const { batch, isCut } = actor.run;
    actor.units = batch === null || isCut ? [] : unitsOf(this.pool, batch, this.interner);
    actor.executed = actor.units.map(() => false);
    actor.parkedAt = batch?.isPoll === true ? actor.polledAt : -1;
    actor.unanswered = [];
    if (batch !== null && !isCut) this.#readConstants(batch);
    if (this.#hasLost) failAnswers(actor, this.pool.dyingMn);
    return actor;
  }

  /** What of a READ is no unit never changes, so it may be read at once. */
  #readConstants(batch: VerbBatch): void {
    for (let i = 0; i < batch.count; i++) {
      batch.setField(i, Field.STATUS, Status.PENDING);
      if (batch.opcode(i) !== Opcode.READ || batch.remote(i) >= this.pool.view.geometry.dataBase) continue;
      const lengthBytes = batch.field(i, Field.LENGTH);
      executePart(this.nodes, batch, i, { fromBytes: 0, toBytes: lengthBytes });
      batch.setField(i, Field.STATUS, Status.PENDING);
    }
  }

  #open(): Int32Array {
    return Int32Array.from({ length: 4 }, (_, c) => {
      const actor = this.actors[c];
      return actor?.isOpen === true ? actor.run.request : -1;
    });
  }

  #choices(actor: Actor): number {
    const isChoice = actor.run.isFresh && actor.run.kind === 1 && !this.scenario.isCached;
    return isChoice ? this.scenario.slots.length : 1;
  }
}
