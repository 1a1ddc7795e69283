/** The states of a scenario: what they say, and what executing a unit, or the master, makes of one. */
import { formatWord, word } from '../../../fusee/verbs/index.js';
import { TinyPool } from '../scenario/pool.js';
import { MAX_CLIENTS, type Scenario } from '../scenario/scenario.js';
import { Arbitration } from './arbitration.js';
import { Cells } from './cells.js';
import { Configurations } from './configurations.js';
import { Contents } from './contents.js';
import { Interner } from './interner.js';
import { StateLayout } from './layout.js';
import type { Local, Node } from './local-state.js';
import { primaryOf } from './merging.js';
import { Strays } from './strays.js';
import { Unfolding } from './unfolding.js';
import { FAILED, isPrivate, UNANSWERED, type Unit, UnitKind } from './units.js';

export interface ModelOptions {
  /** Executes data verbs at once. @default true */
  readonly reduces?: boolean;
  /**
   * Takes local states for one that agree in what is still used; else only a poll that found nothing new.
   * @default true
   */
  readonly merges?: boolean;
}

/** The states of one scenario. */
export class States {
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
  protected readonly strays: Strays = new Strays();
  /** The MN that may die with a master there, or -1; and the slots' primary before and after. */
  protected readonly dying: number;
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
    this.dying = this.pool.dyingMn;
    this.#primaries = [0, primaryOf(this.pool, this.pool.viewAfter)];
  }

  /** The node at which a client stands. */
  nodeOf(state: Int32Array, client: number): Node {
    return this.unfolding.nodeOf(state[this.local(client)]);
  }

  /** True when the MN has died; without `mn`, when any has. */
  isDead(state: Int32Array, mn?: number): boolean {
    return this.layout.isDead(state, mn);
  }

  /** A master has mended what a dead MN left, or will. */
  get hasMaster(): boolean {
    return this.dying >= 0;
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
    return state[this.local(client)];
  }

  cellsOf(state: Int32Array, client: number): number {
    return state[this.local(client) + 1];
  }

  /** True when some explanation of the history leaves the keys with these values. */
  explains(state: Int32Array, values: readonly number[]): boolean {
    return this.configurations.explains(state[this.layout.set], this.fillOpen(state), values);
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

  protected local(client: number): number {
    return this.layout.local(client);
  }

  /** Per client its open request, -1 for none. */
  protected fillOpen(state: Int32Array): Int32Array {
    this.#open.fill(-1);
    for (let c = 0; c < this.clients; c++) {
      const local = this.unfolding.locals[state[this.local(c)]];
      const { dead, client } = this.unfolding.nodes[local.node].origin;
      if (dead === undefined ? local.isOpen : dead.isOpen)
        this.#open[client] = this.unfolding.nodes[local.node].request;
    }
    return this.#open;
  }

  /** Executes one unit in place; a message when it is a READ of an object that is not whole. */
  protected execute(state: Int32Array, client: number, index: number, isAnswered = true): string | undefined {
    const at = this.local(client);
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
      const owner = this.local(unit.owner) + 1;
      state[owner] = this.cells.write(state[owner], unit.place, unit.lineOffset, unit.bytes);
      this.forget(state, unit.owner);
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
    return this.cells.line(state[this.local(unit.owner) + 1], unit.place);
  }

  /** May the unit execute without an answer, since its MN is to die? A READ of a slot just FAILs then. */
  protected mayLose(state: Int32Array, client: number, unit: Unit): boolean {
    return (
      unit.mn === this.dying &&
      (unit.kind === UnitKind.CAS || isPrivate(unit)) &&
      this.layout.mayKill(state) &&
      this.nodeOf(state, client).origin.dead === undefined
    );
  }

  /** Its batch is answered, an MN has died: the client may have stopped, for the master. */
  protected mayStop(state: Int32Array, { node }: Local): boolean {
    const isClient = this.unfolding.nodes[node].origin.dead === undefined;
    return this.dying >= 0 && this.isBroken(state) && isClient;
  }

  /** Who meets a FAIL waits for the master. */
  protected mustWait({ node, results }: Local): boolean {
    return (
      results.includes(FAILED) && this.unfolding.nodes[node].kind !== this.scenario.variant?.ignoresSilence
    );
  }

  /**
   * A client that has met a FAIL goes on by the view that it knows, since what it had aimed at was the dead
   * node; the number of the decisions by which it does, or -1. Naive ways: one whose link is lost takes the
   * node for dead, all by itself; or the master has waited for nobody, and it learns of the view only now.
   */
  protected adopting(state: Int32Array, { node, results }: Local): number {
    const { origin, isAfter, kind } = this.unfolding.nodes[node];
    if (origin.dead !== undefined || !results.includes(FAILED)) return -1;
    const decided = state[this.layout.view] - 1;
    const { variant } = this.scenario;
    if (isAfter || (decided < 0 && variant?.adoptsAlone === kind))
      return this.unfolding.internDecisions(this.pool.slotOffsets.map(() => -1));
    return decided;
  }

  /** Everybody has stopped, ended, or is fenced. */
  protected mayArbitrate(state: Int32Array): boolean {
    if (this.dying < 0 || !this.isBroken(state)) return false;
    if (this.scenario.variant?.stopsNobody === true) return true;
    for (let c = 0; c < this.clients; c++) if (!this.hasStopped(state, c)) return false;
    return true;
  }

  /** Is there anything of the client that a master must look at, and that goes on behind it? */
  protected isLeft(state: Int32Array, client: number): boolean {
    const { isDone, isUnavailable } = this.nodeOf(state, client);
    return !isDone || isUnavailable;
  }

  /** The master decides what is open, and publishes the next view: in place. The number of its decisions. */
  protected decide(state: Int32Array): number {
    const nodes = Array.from({ length: this.clients }, (_, c) => this.nodeOf(state, c));
    const left = nodes.filter((_, c) => this.isLeft(state, c));
    const slots = this.slots * this.replicas;
    const words = new Int32Array(slots + this.clients);
    words.set(state.subarray(0, slots));
    for (let c = 0; c < this.clients; c++) words[slots + c] = state[this.local(c) + 1];
    const touched = {
      words,
      line: (unit: Unit): number =>
        unit.owner >= this.clients
          ? this.lineAt(state, unit)
          : this.cells.line(words[slots + unit.owner], unit.place),
      write: ({ owner, place, lineOffset, bytes }: Unit): void => {
        words[slots + owner] = this.cells.write(words[slots + owner], place, lineOffset, bytes);
      },
    };
    const decided = this.#arbitration.run(touched, {
      slots: left.flatMap((node) => node.openSlots).sort((a, b) => a - b),
      dead: left.flatMap((node) => (node.origin.dead === undefined ? [] : [node.objects])),
    });
    state.set(words.subarray(0, slots));
    for (let c = 0; c < this.clients; c++) state[this.local(c) + 1] = words[slots + c];
    const number = this.unfolding.internDecisions(decided);
    state[this.layout.view] = 1 + number;
    for (let c = 0; c < this.clients; c++) this.forget(state, c);
    return number;
  }

  protected hasStopped(state: Int32Array, client: number): boolean {
    const local = this.unfolding.locals[state[this.local(client)]];
    const { isDone, origin } = this.unfolding.nodes[local.node];
    return isDone || origin.dead !== undefined || local.isComplete;
  }

  protected mayCrash(state: Int32Array, client: number): boolean {
    const node = this.nodeOf(state, client);
    return this.layout.mayCrash(state) && !node.isDone && !node.isCut;
  }

  /** Drops from a client's cells the log entries that no recovery will look at. */
  protected forget(state: Int32Array, client: number): void {
    const at = this.local(client);
    const { origin, isDone, isUnavailable, isFresh, keptCells } = this.unfolding.nodeOf(state[at]);
    // A master may still look at all of them.
    if (this.dying >= 0 && (this.layout.mayKill(state) || this.isBroken(state))) return;
    const mayDie = this.layout.mayEnd(state, client);
    const { dataReplicas } = this.scenario;
    // A recovery that met silence begins again in the next view.
    if (origin.dead === undefined ? !mayDie : isDone && !isUnavailable)
      state[at + 1] = this.cells.forget(state[at + 1], 0, dataReplicas);
    else if (origin.dead === undefined && isFresh && this.#isUntouched(state[at]))
      state[at + 1] = this.cells.forget(state[at + 1], keptCells, dataReplicas);
  }

  #isUntouched(local: number): boolean {
    return this.unfolding.locals[local].results.every((r) => r < FAILED);
  }
}
