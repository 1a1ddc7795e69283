/**
 * The transition model of a scenario's clients, unfolded from their generators as exploration asks for it.
 *
 * A generator is deterministic: what it does next follows from what its batches brought so far. So a client's
 * local state is the path of results that led to it, and a *node* is the state at one pending batch. A node
 * is made by running the generator: on from its parent when that run is at hand, else once more from the
 * start along the path. From then on it is a table, and a step of exploration runs no generator at all.
 *
 * Paths that differ only in what nobody will look at again are one node: see `merging.ts`.
 * The explorer's tests run real clients in lockstep with this model, and any difference fails.
 */
import type { MemoryNodes } from '../../../fusee/fabric/memory-nodes.js';
import { isFree, isKv, slotFingerprint } from '../../../fusee/layout/index.js';
import { RequestKind } from '../../../fusee/ops/index.js';
import { Field, Opcode, Status, type VerbBatch, type Word, word } from '../../../fusee/verbs/index.js';
import { ClientRun, type Run } from '../scenario/client-run.js';
import type { TinyPool } from '../scenario/pool.js';
import { RecoveryRun } from '../scenario/recovery-run.js';
import type { Interner } from './interner.js';
import { describeOrigin, enabledUnits, type Local, type Node, type Origin } from './local-state.js';
import { liveState, wholeState } from './merging.js';
import { deliver, FAILED, isPrivate, PENDING, UNANSWERED, type Unit, UnitKind, unitsOf } from './units.js';

const LIVE_RUNS = 64;
/** More than the choices of any local state. */
const CHOICES = 64;

/** The local states of every client of one scenario, made as they are asked for. */
export class Unfolding {
  readonly pool: TinyPool;
  readonly interner: Interner;
  readonly nodes: Node[] = [];
  readonly locals: Local[] = [];
  /** Local state of each client at the start. */
  readonly initial: readonly number[];
  /** Bit v set: some node reached verdict v. */
  verdicts = 0;
  /** Runs from the start, for the record. */
  replays = 0;
  readonly #image: MemoryNodes;
  /** Where paths stay apart: what each poll's run held. */
  readonly #polls = new Map<number, string>();
  readonly #merged = new Map<string, number>();
  readonly #partials = new Map<string, number>();
  readonly #decisions: (readonly number[])[] = [];
  readonly #decisionIds = new Map<string, number>();
  readonly #recoveries = new Map<string, number>();
  readonly #live = new Map<number, Run>();
  readonly #buffers: ArrayBuffer[] = [];
  readonly #reduces: boolean;
  readonly #merges: boolean;
  readonly #word = word();

  constructor(pool: TinyPool, interner: Interner, options: { reduces: boolean; merges: boolean }) {
    this.pool = pool;
    this.interner = interner;
    this.#reduces = options.reduces;
    this.#merges = options.merges;
    this.#image = pool.makeNodes();
    this.initial = pool.scenario.programs.map((_, client) =>
      this.#root({ client, dead: undefined, isAfter: false }),
    );
  }

  nodeOf(local: number): Node {
    return this.nodes[this.locals[local].node];
  }

  /** The local state after unit `unit` brought `result`. */
  step(local: number, unit: number, result: number): number {
    const at = this.locals[local];
    at.steps[unit] ??= [];
    const row = at.steps[unit];
    const known = row[result - UNANSWERED];
    if (known !== undefined) return known;
    const results = at.results.slice();
    results[unit] = result;
    const next = this.#intern(at.node, results);
    row[result - UNANSWERED] = next;
    return next;
  }

  /**
   * In how many ways a completed local state may go on: free slots that an INSERT may choose from, else 1.
   */
  choices(local: number): number {
    const at = this.locals[local];
    if (at.choices === 0) at.choices = this.#countChoices(at);
    return at.choices;
  }

  /** The local state after a completed batch was handed back to the generator. */
  resume(local: number, choice: number): number {
    const at = this.locals[local];
    at.children[choice] ??= this.#resume(local, choice);
    return at.children[choice];
  }

  /** The local state when the MN that may die has died: whatever it has not answered FAILs. */
  lose(local: number): number {
    const at = this.locals[local];
    if (at.lost === PENDING) {
      const { units } = this.nodes[at.node];
      const { dyingMn } = this.pool;
      const results = at.results.map((r, u) => (units[u].mn === dyingMn && r < FAILED ? FAILED : r));
      at.lost = this.#intern(at.node, results);
    }
    return at.lost;
  }

  /** The number of what a master decided: a word for each of the scenario's slots, -1 where it did not. */
  internDecisions(words: readonly number[]): number {
    const key = words.join();
    const known = this.#decisionIds.get(key);
    if (known !== undefined) return known;
    this.#decisionIds.set(key, this.#decisions.length);
    return this.#decisions.push(words) - 1;
  }

  /** In how many ways a stopped client may go on in another view. */
  adoptionChoices(local: number): number {
    const { node, results } = this.locals[local];
    return this.nodes[node].isInterrupted || results.includes(FAILED) ? 1 : this.choices(local);
  }

  /** The local state after a stopped client has gone on in the view that follows the death of an MN. */
  adopt(local: number, decided: number, choice: number): number {
    const { adoptions } = this.locals[local];
    const key = decided * CHOICES + choice;
    const known = adoptions.get(key);
    if (known !== undefined) return known;
    const after = this.#resume(local, choice, decided);
    adoptions.set(key, after);
    return after;
  }

  /** A recovery from its beginning, in the view that follows the death of an MN. */
  restart(local: number): number {
    const { client, dead } = this.nodeOf(local).origin;
    if (dead === undefined) throw new Error(`client ${client} is not dead`);
    return this.#recover({ client, dead, isAfter: true });
  }

  /** The recovery of a client that died in this local state; -1 when there is nothing to recover. */
  crash(local: number): number {
    const at = this.locals[local];
    if (at.crash === PENDING) at.crash = this.#crash(at);
    return at.crash;
  }

  #crash(at: Local): number {
    const node = this.nodes[at.node];
    const { client, dead } = node.origin;
    const begun = at.results.some((r) => r !== PENDING) || node.isInvoked;
    const now = dead ?? {
      request: node.request,
      objects: this.pool.scenario.recovers ? node.objects : [],
      isOpen: begun,
    };
    return this.#recover({ client, dead: now, isAfter: node.isAfter });
  }

  #recover(origin: Origin): number {
    const key = describeOrigin(origin);
    const known = this.#recoveries.get(key);
    if (known !== undefined) return known;
    const root = this.#root(origin);
    this.#recoveries.set(key, root);
    return root;
  }

  #root(origin: Origin): number {
    const run = this.#makeRun(origin);
    run.start();
    return this.#enter(run, origin, { local: -1, choice: 0, decided: -1 });
  }

  #makeRun({ client, dead, isAfter }: Origin): Run {
    this.replays++;
    const buffer = this.#buffers.pop();
    return dead === undefined
      ? new ClientRun(this.pool, client, { buffer })
      : new RecoveryRun(
          this.pool,
          {
            client,
            objects: dead.objects,
            request: dead.request,
            ...(isAfter ? { dead: this.pool.dyingMn } : {}),
          },
          buffer,
        );
  }

  #resume(local: number, choice: number, decided = -1): number {
    const { node } = this.locals[local];
    const { origin } = this.nodes[node];
    let run = this.#live.get(node);
    if (run === undefined) run = this.#replay(node);
    else this.#live.delete(node);
    this.#goOn(run, local, choice, decided);
    return this.#enter(run, origin, { local, choice, decided });
  }

  #goOn(run: Run, local: number, choice: number, decided: number): void {
    this.#hand(run, local);
    if (decided < 0) run.resume(choice);
    else (run as ClientRun).adopt(this.pool.dyingMn, this.#decisionsOf(decided), choice);
  }

  #decisionsOf(decided: number): Map<number, Word> {
    const words = new Map<number, Word>();
    this.#decisions[decided].forEach((id, slot) => {
      if (id >= 0) words.set(this.pool.slotOffsets[slot], this.interner.wordAt(id, word()));
    });
    return words;
  }

  /** A run that stands at the node. */
  #replay(node: number): Run {
    const path: Node[] = [];
    for (let at = node; this.nodes[at].parent >= 0; at = this.locals[this.nodes[at].parent].node)
      path.push(this.nodes[at]);
    const run = this.#makeRun(this.nodes[node].origin);
    run.start();
    for (const { parent, choice, decided } of path.reverse()) this.#goOn(run, parent, choice, decided);
    return run;
  }

  /** Gives the run's pending batch the results of a completed local state. */
  #hand(run: Run, local: number): void {
    const { node, results } = this.locals[local];
    const batch = run.batch;
    if (batch === null) throw new Error('a run ended on a path where it went on before: not deterministic');
    for (let i = 0; i < batch.count; i++) {
      batch.setField(i, Field.STATUS, Status.OK);
      if (batch.opcode(i) === Opcode.READ && batch.remote(i) < this.pool.view.geometry.dataBase)
        this.#readConstants(batch, i);
    }
    this.nodes[node].units.forEach((unit, u) => {
      deliver(batch, unit, results[u], this.interner);
      if (results[u] === FAILED) batch.setField(unit.verb, Field.STATUS, Status.FAIL);
    });
  }

  #readConstants(batch: VerbBatch, i: number): void {
    const lengthBytes = batch.field(i, Field.LENGTH);
    const at = batch.field(i, Field.LOCAL);
    if (batch.remote(i) < this.pool.view.geometry.indexBase) throw new Error('a READ ahead of the index');
    this.#image.read(batch.mn(i), batch.remote(i), batch.local.bytes, at, lengthBytes);
  }

  #enter(run: Run, origin: Origin, path: { local: number; choice: number; decided: number }): number {
    const { local: parent, choice, decided } = path;
    this.verdicts |= run.verdicts;
    const units = run.batch === null || run.isCut ? [] : unitsOf(this.pool, run.batch, this.interner);
    const from = parent < 0 ? undefined : this.nodeOf(parent);
    const isInvoked = from !== undefined && from.request === run.request && this.locals[parent].isOpen;
    const key = this.#mergeKey(run, origin, units, isInvoked);
    // What was answered on the way is part of the node.
    const known =
      key === undefined ? this.#samePoll(run, units, parent) : this.#merged.get(`${key}|${run.responses}`);
    if (known !== undefined) {
      this.#recycle(run);
      return known;
    }
    const isEager = this.#reduces && units.every((u) => u.kind !== UnitKind.CAS || !units.some(isPrivate));
    const node: Node = {
      origin,
      units,
      isPoll: run.batch?.isPoll ?? false,
      isEager,
      isFresh: run.isFresh,
      request: run.request,
      kind: run.batch === null ? -1 : run.kind,
      isInvoked,
      choosesSlot: run.isFresh && run.kind === RequestKind.INSERT && !this.pool.scenario.isCached,
      responses: [...run.responses],
      error: run.error,
      isDone: run.batch === null,
      isUnavailable: run.isUnavailable,
      isCut: run.isCut,
      objects: [...run.objects],
      keptCells: [...run.objects.map((o) => o.cell), run.returnedCell].reduce(
        (set, cell) => (cell === 0 ? set : set | (1 << this.pool.cellAt(cell).cell)),
        0,
      ),
      isAfter: run.cx.client.view.number > 1,
      openSlots: run.openSlots,
      isInterrupted: run.isInterruptible,
      parent,
      choice,
      decided,
    };
    const id = this.nodes.push(node) - 1;
    if (node.isDone) this.#recycle(run);
    else this.#keep(id, run);
    const local = this.#intern(id, new Int32Array(units.length).fill(PENDING));
    if (key !== undefined) this.#merged.set(`${key}|${run.responses}`, local);
    return local;
  }

  #mergeKey(run: Run, origin: Origin, units: readonly Unit[], isInvoked: boolean): string | undefined {
    if (run.error !== undefined || !this.#merges) return undefined;
    const { client } = origin;
    if (origin.dead !== undefined) {
      // A recovery is short and begins once: only its end is the same whatever led to it.
      return run.batch === null ? `${describeOrigin(origin)}|${run.isUnavailable}` : undefined;
    }
    const live = liveState(this.pool, run, units, this.interner);
    const flags = `${run.request}|${isInvoked}|${run.isUnavailable}|${run.isCut}|${run.lasting()}`;
    return live === undefined ? undefined : `${client}|${flags}|${live}`;
  }

  /** Where paths stay apart: the earlier poll on the same path that this one only repeats. */
  #samePoll(run: Run, units: readonly Unit[], parent: number): number | undefined {
    if (run.batch === null || !run.batch.isPoll) return undefined;
    const state = wholeState(this.pool, run, units);
    for (let at = parent; at >= 0; at = this.nodeOf(at).parent) {
      const { node } = this.locals[at];
      if (this.#polls.get(node) === state)
        return this.#intern(
          node,
          this.locals[at].results.map(() => PENDING),
        );
    }
    this.#polls.set(this.nodes.length, state);
    return undefined;
  }

  #keep(node: number, run: Run): void {
    this.#live.set(node, run);
    if (this.#live.size <= LIVE_RUNS) return;
    for (const [oldest, old] of this.#live) {
      this.#live.delete(oldest);
      this.#recycle(old);
      return;
    }
  }

  #recycle(run: Run): void {
    this.#buffers.push(run.cx.client.local.buffer);
  }

  #intern(nodeId: number, results: Int32Array): number {
    const key = `${nodeId}|${results}`;
    const known = this.#partials.get(key);
    if (known !== undefined) return known;
    const node = this.nodes[nodeId];
    const enabled = enabledUnits(node.units, results);
    const eager = node.isEager
      ? node.units.flatMap((u, i) => (isPrivate(u) && results[i] === PENDING ? [i] : []))
      : [];
    const touched = node.units.some((u, i) => !isPrivate(u) && results[i] !== PENDING);
    this.#partials.set(key, this.locals.length);
    return (
      this.locals.push({
        node: nodeId,
        results,
        enabled,
        eager,
        isComplete: !node.isDone && !node.isCut && results.every((r) => r >= FAILED),
        isOpen: node.isInvoked || touched,
        steps: [],
        children: [],
        adoptions: new Map(),
        choices: 0,
        crash: PENDING,
        lost: PENDING,
      }) - 1
    );
  }

  #countChoices({ node, results }: Local): number {
    const { choosesSlot, units, origin } = this.nodes[node];
    if (!choosesSlot) return 1;
    const key = this.pool.scenario.programs[origin.client][this.nodes[node].request].key;
    let free = 0;
    for (let u = 0; u < units.length; u++) {
      if (units[u].kind !== UnitKind.READ_SLOT || results[u] === FAILED) continue;
      const w = this.interner.wordAt(results[u], this.#word);
      // The key may be here, and then the INSERT takes no slot.
      if (
        isKv(w) &&
        slotFingerprint(w) === this.pool.keys[key].fingerprint &&
        !this.pool.scenario.sharesFingerprint
      )
        return 1;
      if (isFree(w)) free++;
    }
    return Math.max(1, free);
  }
}
