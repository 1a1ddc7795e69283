/**
 * One client of a cell: a process of its own, since clients must be able to die one by one.
 *
 * It obeys messages, ends itself when the harness is gone, and leaves Ctrl-C to the harness.
 */
import { openSession } from '../../fusee/client/connect.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { DEFAULT_DEADLINE_NS, type RequestSource } from '../../fusee/client/request-source.js';
import { enter, leave, rest, type Session } from '../../fusee/client/session.js';
import { type Coroutine, makeCoroutine, Outcome } from '../../fusee/ops/index.js';
import { FabricError } from '../../fusee/verbs/index.js';
import type { RequestStream } from '../../workloads/index.js';
import { History, JournalWriter, writeHistory } from '../check/linearizability/index.js';
import { FaultyClient } from '../fault/faulty-client.js';
import { PatientSource } from '../fault/patience.js';
import type { ClientFaults } from '../fault/plan.js';
import { buildStreams, type ClientStreams, readBackStreams } from './client-streams.js';
import { CollectionLog } from './collections.js';
import { HistorySource } from './history-source.js';
import type { ClientPlan, ClientReport, FromClient, Phase, ToClient } from './messages.js';
import { obeyParent } from './obey.js';
import { PacedSource, turnPaced } from './paced-source.js';
import { readScheduling, type Scheduling, schedulingSince } from './scheduling.js';
import { measureSelfCost, type SelfCost } from './self-cost.js';
import { StreamSource } from './stream-source.js';

/** Turns of the reactor between two looks at the clock, and the time between two turns of the event loop. */
const TURNS = 16;
const SLICE_NS = 1e6;
const PROGRESS_NS = 200e6;
/** What a client that dies has counted since its last report nobody knows. */
const REPORT_NS = 50e6;

const send = (message: FromClient): void => {
  process.send?.(message);
};

function upkeepOf({ janitor }: Session): ClientReport['upkeep'] {
  const { reclaim, blocks, splitter } = janitor;
  return { cellsReclaimed: reclaim.reclaimed, blocksGivenBack: blocks.freed, splits: splitter.splits };
}

class ClientProcess {
  readonly #collections = new CollectionLog();
  #plan!: ClientPlan;
  #session!: Session;
  #isConnected = false;
  #isLeaving = false;
  #coroutines!: readonly Coroutine[];
  #streams!: ClientStreams;
  #source: StreamSource | null = null;
  /** What makes an open loop of the window. */
  #paced: PacedSource | null = null;
  #phase: Phase = 'load';
  /** Phases that were stopped, perhaps before they began. */
  readonly #stopped = new Set<Phase>();
  #inserted: Float64Array = new Float64Array(0);
  #history: History | null = null;
  /** In place of a history in memory when this client may be killed. */
  #journal: JournalWriter | null = null;
  #faulty: FaultyClient | null = null;
  /** What the cache had counted when the window began. */
  #cacheBefore: ClientReport['cache'] = { hits: 0, misses: 0, bypassed: 0 };
  #backgroundBefore: ClientReport['background'] = { rtts: 0, verbs: 0, bytes: 0 };
  #schedulingBefore: Scheduling = readScheduling();
  #selfCost: SelfCost | null = null;
  /** When the phase's source was closed; 0 before. */
  #closedNs = 0;
  /** Values are numbered through all phases, so that no two writes are alike. */
  #sequence = 0;

  async obey(message: ToClient): Promise<void> {
    switch (message.type) {
      case 'prepare':
        await this.#prepare(message.plan);
        break;
      case 'load':
        await this.#load();
        break;
      case 'run':
        await this.#run(message);
        break;
      case 'stop':
        this.#stopped.add(message.phase);
        if (this.#source !== null && this.#phase === message.phase) this.#source.stopping = true;
        break;
      case 'measure':
        if (this.#phase === 'run') this.#source?.measureFrom(message.measureNs);
        break;
      case 'leave':
        this.#isLeaving = true;
        if (this.#source !== null && this.#phase === 'run') this.#source.stopping = true;
        break;
      case 'check':
        await this.#check(message.alsoOf);
        break;
    }
  }

  async #prepare(plan: ClientPlan): Promise<void> {
    this.#plan = plan;
    this.#streams = await buildStreams(plan);
    // Who joins later knows nothing of the pool until then.
    if (plan.clientIndex < plan.clients) await this.#connect(plan);
    const requests = this.#streams.measured.reduce((sum, stream) => sum + stream.length, 0);
    const cid = this.#isConnected ? this.#session.state.cid : null;
    send({ type: 'prepared', streamHash: this.#streams.hash, requests, cid });
  }

  async #connect(plan: ClientPlan): Promise<void> {
    this.#isConnected = true;
    const { pool, fabric, nodes, master, secretFile, rdma } = plan;
    this.#session = await openSession({
      pool,
      fabric,
      nodes,
      master,
      secretFile,
      rdma,
      coroutines: plan.coroutines,
      rttNs: plan.rttNs,
      prefault: true,
      ...(plan.cacheBytes === undefined ? {} : { cache: { bytes: plan.cacheBytes } }),
    });
    const { state } = this.#session;
    if (plan.faults !== undefined) this.#expectFaults(plan.faults);
    else if (plan.historyPath !== undefined)
      this.#history = new History({ capacity: plan.requests + plan.records });
    this.#coroutines = Array.from({ length: plan.coroutines }, (_, i) => makeCoroutine(state, i));
  }

  #expectFaults(faults: ClientFaults): void {
    const { historyPath } = this.#plan;
    this.#journal = historyPath === undefined ? null : new JournalWriter(historyPath);
    this.#faulty = new FaultyClient({
      fabric: this.#session.fabric,
      faults,
      windowNs: () => (this.#phase === 'run' ? (this.#source?.measureNs ?? Infinity) : Infinity),
      report: () => (this.#source === null ? null : this.#reportOf(this.#source)),
      beforePost: () => this.#journal?.flush(),
    });
    this.#session = { ...this.#session, fabric: this.#faulty.fabric };
  }

  async #load(): Promise<void> {
    const source = this.#sourceOf('load', this.#streams.load, { measureNs: 0, endsWithFirst: false });
    await this.#drive(source, Number.POSITIVE_INFINITY);
    // Compiled by now, and nothing is in flight.
    const { keys, measured } = this.#streams;
    const { fabric } = this.#session;
    this.#selfCost = measureSelfCost({ coroutine: this.#coroutines[0], fabric, keys, stream: measured[0] });
    const outcomes = source.recorder.report().flatMap((o) => Object.keys(o.outcomes));
    send({
      type: 'loaded',
      keys: source.recorder.operations,
      failed: source.notOk,
      outcomes: outcomes.filter((o) => o !== 'OK'),
    });
  }

  async #run(when: Extract<ToClient, { type: 'run' }>): Promise<void> {
    if (!this.#isConnected) {
      await this.#connect(this.#plan);
      send({ type: 'joined', atNs: this.#session.fabric.nowNs(), cid: this.#session.state.cid });
    }
    const { fabric } = this.#session;
    const source = this.#sourceOf('run', this.#streams.measured, {
      measureNs: when.measureNs,
      endsWithFirst: true,
      isOpen: this.#plan.schedule !== undefined,
    });
    source.stopping ||= this.#isLeaving;
    while (fabric.nowNs() < when.startNs && !source.stopping) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#drive(source, when.endNs, when);
    const endNs = fabric.nowNs();
    // Entries of collections arrive with the event loop: give them a turn.
    await new Promise((resolve) => setTimeout(resolve, 5));
    this.#inserted = source.insertedKeys();
    const arrivals = this.#paced?.closedAt(this.#closedNs);
    this.#paced = null;
    const report = { ...this.#reportOf(source, endNs), intervals: source.recorder.closeIntervals() };
    send({ type: 'finished', report: arrivals === undefined ? report : { ...report, arrivals } });
    if (this.#isLeaving) await this.#leave();
  }

  /** As a client of users does that closes: what it owns is handed on. */
  async #leave(): Promise<void> {
    this.#writeHistory();
    const { fabric, state } = this.#session;
    const hasLeft = await leave(this.#session);
    const atNs = fabric.nowNs();
    fabric.close();
    if (!hasLeft) this.#session.resign?.();
    send({ type: 'left', atNs, cid: state.cid });
  }

  /** What a source has measured so far. */
  #reportOf(source: StreamSource, endNs = this.#session.fabric.nowNs()): ClientReport {
    return {
      operations: source.recorder.report(),
      warmupOperations: source.recorder.warmupOperations,
      notOk: source.notOk,
      measureNs: source.measureNs,
      endNs,
      // Who leaves closes the window for itself alone.
      closedNs: this.#closedNs === 0 || this.#isLeaving ? endNs : this.#closedNs,
      ...(this.#paced === null ? {} : { arrivals: this.#paced.counts }),
      wrongValues: source.wrongValues,
      wrongExamples: source.wrongExamples,
      series: source.recorder.series(),
      intervals: null,
      collections: this.#collections.between(source.measureNs, endNs, this.#session.fabric.nowNs()),
      cache: this.#cacheCounts(),
      background: this.#backgroundCounts(),
      upkeep: upkeepOf(this.#session),
      ...schedulingSince(this.#schedulingBefore),
      selfCost: this.#selfCost,
    };
  }

  /**
   * Reads back every key that must be there: the loaded share, and what this client has inserted; then what
   * clients have loaded that have died. What those have inserted nobody remembers.
   */
  async #check(alsoOf: readonly number[]): Promise<void> {
    const total = { keys: 0, lostKeys: 0, unreadKeys: 0, wrongValues: 0 };
    let isKnown = true;
    for (const clientIndex of [this.#plan.clientIndex, ...alsoOf]) {
      const isOwn = clientIndex === this.#plan.clientIndex;
      const plan = { ...this.#plan, clientIndex };
      const made = isOwn ? this.#streams : await buildStreams(plan);
      const streams = readBackStreams(plan, made, isOwn ? this.#inserted : new Float64Array(0));
      isKnown &&= streams !== null && (isOwn || made.inserts === 0);
      if (streams === null) continue;
      const source = this.#sourceOf('check', streams, { measureNs: 0, endsWithFirst: false }, made);
      isKnown = (await this.#readBack(source)) && isKnown;
      const lost = source.recorder.ended(Outcome.NOT_FOUND);
      total.keys += source.recorder.operations;
      total.lostKeys += lost;
      total.unreadKeys += source.notOk - lost;
      total.wrongValues += source.wrongValues;
    }
    this.#writeHistory();
    send({ type: 'checked', ...total, lostKeys: isKnown || total.lostKeys > 0 ? total.lostKeys : null });
  }

  /** False when this client cannot: it has lost a node, and the faults that were injected explain it. */
  async #readBack(source: StreamSource): Promise<boolean> {
    try {
      await this.#drive(source, Number.POSITIVE_INFINITY);
      return true;
    } catch (error) {
      if (this.#faulty === null || !(error instanceof FabricError)) throw error;
      return false;
    }
  }

  #sourceOf(
    phase: Phase,
    streams: readonly RequestStream[],
    ends: { measureNs: number; endsWithFirst: boolean; isOpen?: boolean },
    { keys, frontier }: ClientStreams = this.#streams,
  ): StreamSource {
    const { local } = this.#session.fabric;
    const writer = this.#plan.clientIndex + 1;
    const firstSequence = this.#sequence;
    const loops = phase === 'run' && this.#plan.loops === true;
    const source = new StreamSource({
      local,
      streams,
      keys,
      frontier,
      writer,
      firstSequence,
      loops,
      ...ends,
    });
    // From here on a stop finds it, before it is driven too.
    this.#source = source;
    this.#phase = phase;
    source.stopping = this.#stopped.has(phase);
    return source;
  }

  /** Runs a source dry, or until its end; what is in flight then finishes. */
  async #drive(
    source: StreamSource,
    endNs: number,
    { warmShare, startNs }: { warmShare: number | null; startNs: number } = { warmShare: null, startNs: 0 },
  ): Promise<void> {
    const { fabric, janitor, failover } = this.#session;
    await enter(this.#session);
    const [requests, patient] = this.#withFaults(this.#observed(source));
    const paced = this.#pacedSource(requests, source, startNs);
    this.#paced = paced;
    const reactor = new Reactor(fabric, this.#coroutines, paced ?? requests, {
      deadlineNs: this.#plan.deadlineNs ?? DEFAULT_DEADLINE_NS,
      janitor,
      failover,
    });
    reactor.wake();
    let progressNs = fabric.nowNs() + PROGRESS_NS;
    let isWarm = warmShare === null;
    let isMeasured = false;
    const mayDie = this.#phase === 'run' && this.#plan.faults?.mayDie === true;
    this.#closedNs = 0;
    while (reactor.active > 0 || patient?.isResting || (paced !== null && !source.stopping)) {
      let now = fabric.nowNs();
      if (paced !== null) now = turnPaced(reactor, paced, now + SLICE_NS);
      else
        for (const slice = now + SLICE_NS; now < slice && reactor.active > 0; now = fabric.nowNs()) {
          for (let turn = 0; turn < TURNS; turn++) reactor.turn();
        }
      if (!isMeasured && now >= source.measureNs) {
        isMeasured = true;
        this.#cacheBefore = this.#cacheCounts({ hits: 0, misses: 0, bypassed: 0 });
        this.#backgroundBefore = { ...janitor.work };
        this.#schedulingBefore = readScheduling();
      }
      if (now > endNs || (source.endsWithFirst && source.exhausted)) source.stopping = true;
      if (source.stopping && this.#closedNs === 0) this.#closedNs = now;
      if (!isWarm && source.share >= (warmShare ?? 0)) {
        isWarm = true;
        send({ type: 'warm' });
      }
      if (now > progressNs) {
        progressNs = now + (mayDie ? REPORT_NS : PROGRESS_NS);
        send({
          type: 'progress',
          operations: source.recorder.operations,
          p99Ns: source.recorder.latestP99Ns,
          ...(mayDie && now >= source.measureNs ? { report: this.#reportOf(source) } : {}),
        });
      }
      await new Promise((resolve) => setImmediate(resolve));
      if (patient?.isResting) reactor.wake();
    }
    while (!reactor.isQuiet) reactor.turn();
    // Others may have requests in flight for a while yet: they need not wait for this client's.
    await rest(this.#session);
    this.#sequence = source.sequence;
    this.#source = null;
  }

  /** What makes an open loop of the measured window, if it is to be one. */
  #pacedSource(inner: RequestSource, source: StreamSource, startNs: number): PacedSource | null {
    const { schedule, coroutines } = this.#plan;
    if (schedule === undefined || this.#phase !== 'run') return null;
    const nowNs = (): number => this.#session.fabric.nowNs();
    return new PacedSource(inner, { source, schedule, startNs, coroutines, nowNs });
  }

  /** The requests of the measured window, where faults are to come, with what they need around them. */
  #withFaults(source: RequestSource): [RequestSource, PatientSource | null] {
    if (this.#faulty === null || this.#phase !== 'run') return [source, null];
    const { coroutines } = this.#plan;
    const patient = new PatientSource(source, { coroutines, nowNs: () => this.#session.fabric.nowNs() });
    return [this.#faulty.watching(patient, this.#coroutines), patient];
  }

  /** The source itself, or with a recorder of its history around it. */
  #observed(source: StreamSource): RequestSource {
    const { clientIndex, coroutines, requests, records } = this.#plan;
    const history = this.#history ?? this.#journal;
    if (history === null) return source;
    const { fabric } = this.#session;
    // Every stride of every client has room for all that one coroutine may insert, or load for itself.
    const perStride = 2 * Math.ceil((requests + records) / coroutines) + 2;
    const space = { records, perStride };
    const writer = clientIndex + 1;
    return new HistorySource(source, { history, space, writer, coroutines, nowNs: () => fabric.nowNs() });
  }

  /** Look-ups in the cache since `before`: since the window began. */
  #cacheCounts(before = this.#cacheBefore): ClientReport['cache'] {
    const { hits, misses, bypassed } = this.#session.state.cache;
    return {
      hits: hits - before.hits,
      misses: misses - before.misses,
      bypassed: bypassed - before.bypassed,
    };
  }

  #backgroundCounts(): ClientReport['background'] {
    const before = this.#backgroundBefore;
    const { rtts, verbs, bytes } = this.#session.janitor.work;
    return { rtts: rtts - before.rtts, verbs: verbs - before.verbs, bytes: bytes - before.bytes };
  }

  #writeHistory(): void {
    const { historyPath } = this.#plan;
    this.#journal?.flush();
    if (this.#history !== null && historyPath !== undefined) writeHistory(historyPath, this.#history);
  }
}

// These concern the phase under way, or one to come.
obeyParent<ToClient>(() => new ClientProcess(), ['stop', 'measure', 'leave']);
