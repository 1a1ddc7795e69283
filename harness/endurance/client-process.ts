/** One client of a long-running check, a process of its own. It obeys messages, as the bench's clients do. */
import { openSession } from '../../fusee/client/connect.js';
import { Reactor } from '../../fusee/client/reactor.js';
import { enter, leave, rest, type Session } from '../../fusee/client/session.js';
import { type Coroutine, makeCoroutine } from '../../fusee/ops/index.js';
import { LatencyHistogram } from '../../results/histogram.js';
import { obeyParent } from '../run/obey.js';
import { SERIES_MS } from '../run/recorder.js';
import { GrowRequests, makeLoad, type RunningLoad, SearchRequests } from './loads.js';
import type {
  FromWorker,
  RunReport,
  SeriesPart,
  SplitRecord,
  ToWorker,
  WorkerPhase,
  WorkerPlan,
} from './messages.js';
import { KeyByKey, type Requests, type RequestsOptions } from './requests.js';

/** Time between two turns of the event loop, turns of the reactor between two looks at the clock. */
const SLICE_NS = 1e6;
const TURNS = 16;
const PROGRESS_NS = 50e6;
const INTERVAL_NS = SERIES_MS * 1e6;
/** How long a client that has nothing to do sleeps. */
const IDLE_MS = 2;

const send = (message: FromWorker): void => {
  process.send?.(message);
};

/** Splits of this client, seen from beside: protocol code has no clock. */
class SplitWatch {
  readonly records: SplitRecord[] = [];
  readonly #session: Session;
  #startNs = -1;
  #splits = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** To be called behind every turn. */
  look(): void {
    const { splitter } = this.#session.janitor;
    if (splitter.isSplitting === this.#startNs >= 0) return;
    const nowNs = this.#session.fabric.nowNs();
    if (splitter.isSplitting) {
      this.#startNs = nowNs;
      return;
    }
    // Locks that were given up are no splits.
    if (splitter.splits > this.#splits) {
      this.records.push({ startNs: this.#startNs, endNs: nowNs, load: splitter.copiedLoad });
    }
    this.#splits = splitter.splits;
    this.#startNs = -1;
  }
}

/** Requests and CPU time by interval. */
class Series {
  readonly parts: SeriesPart[] = [];
  #endNs: number;
  #operations = 0;
  #cpu = process.cpuUsage();

  constructor(startNs: number) {
    this.#endNs = startNs + INTERVAL_NS;
  }

  /** To be called often, with all operations so far. */
  look(nowNs: number, operations: number): void {
    while (nowNs >= this.#endNs) {
      const { user, system } = process.cpuUsage(this.#cpu);
      this.#cpu = process.cpuUsage();
      this.parts.push({ operations: operations - this.#operations, cpuMs: (user + system) / 1000 });
      this.#operations = operations;
      this.#endNs += INTERVAL_NS;
    }
  }
}

class Worker {
  #plan!: WorkerPlan;
  #session!: Session;
  #load!: RunningLoad;
  #coroutines!: readonly Coroutine[];
  #watch!: SplitWatch;
  #requests: Requests | null = null;
  #search: SearchRequests | null = null;
  #reactor: Reactor | null = null;
  #phase: WorkerPhase = 'load';
  readonly #stopped = new Set<WorkerPhase>();
  #sequence = 0;

  async obey(message: ToWorker): Promise<void> {
    switch (message.type) {
      case 'prepare':
        await this.#prepare(message.plan);
        break;
      case 'load': {
        const requests = new KeyByKey(this.#options(), this.#load.before);
        await this.#drive('load', requests);
        send({ type: 'loaded', faults: requests.faults });
        break;
      }
      case 'run':
        await this.#run(message);
        break;
      case 'frontier':
        if (this.#search !== null) this.#search.frontier = message.inserted;
        this.#reactor?.wake();
        break;
      case 'stop':
        this.#stopped.add(message.phase);
        if (this.#requests !== null && this.#phase === message.phase) this.#requests.stopping = true;
        break;
      case 'check': {
        const requests = new KeyByKey(this.#options(), this.#load.after);
        await this.#drive('check', requests);
        const { operations: keys, present, faults } = requests;
        send({ type: 'checked', keys, present, faults });
        break;
      }
      case 'cut':
        this.#cut(message.spans);
        break;
      case 'leave':
        await leave(this.#session);
        send({ type: 'left' });
        break;
    }
  }

  async #prepare(plan: WorkerPlan): Promise<void> {
    this.#plan = plan;
    const { pool, coroutines } = plan;
    this.#session = await openSession({ pool, coroutines });
    this.#coroutines = Array.from({ length: coroutines }, (_, i) => makeCoroutine(this.#session.state, i));
    this.#watch = new SplitWatch(this.#session);
    this.#load = makeLoad(plan);
    send({ type: 'prepared' });
  }

  #options(): RequestsOptions {
    const { coroutines, clientIndex } = this.#plan;
    return {
      local: this.#session.fabric.local,
      coroutines,
      writer: clientIndex + 1,
      firstSequence: this.#sequence,
    };
  }

  async #run({ startNs, bytes }: Extract<ToWorker, { type: 'run' }>): Promise<void> {
    const { fabric, janitor } = this.#session;
    const requests = this.#load.requests(this.#options(), bytes);
    if (requests instanceof SearchRequests) this.#search = requests;
    while (fabric.nowNs() < startNs) await new Promise((resolve) => setImmediate(resolve));
    const series = new Series(startNs);
    await this.#drive('run', requests, series);
    const { reclaim, splitter } = janitor;
    const report: RunReport = {
      operations: requests.operations,
      bytes: requests.bytes,
      endNs: fabric.nowNs(),
      series: series.parts,
      splits: this.#watch.records,
      takeovers: splitter.takeovers,
      freed: reclaim.freed,
      reclaimed: reclaim.reclaimed,
      hasStopped: reclaim.isStopped,
    };
    send({ type: 'finished', report, faults: requests.faults });
  }

  /** Runs requests dry, or until they are stopped; then rests, so that no grace waits for this client. */
  async #drive(phase: WorkerPhase, requests: Requests, series: Series | null = null): Promise<void> {
    const { fabric, janitor } = this.#session;
    await enter(this.#session);
    this.#phase = phase;
    this.#requests = requests;
    requests.stopping = this.#stopped.has(phase);
    const { deadlineNs } = this.#plan;
    const reactor = new Reactor(fabric, this.#coroutines, requests, { deadlineNs, janitor });
    this.#reactor = reactor;
    reactor.wake();
    let progressNs = fabric.nowNs() + PROGRESS_NS;
    // A client of SEARCHes may have to wait for the first key.
    const goesOn = (): boolean => reactor.active > 0 || (requests === this.#search && !requests.stopping);
    while (goesOn()) {
      let now = fabric.nowNs();
      for (const slice = now + SLICE_NS; now < slice && reactor.active > 0; now = fabric.nowNs()) {
        for (let turn = 0; turn < TURNS; turn++) {
          reactor.turn();
          this.#watch.look();
        }
      }
      series?.look(now, requests.operations);
      if (now > progressNs) {
        progressNs = now + PROGRESS_NS;
        const inserted = requests instanceof GrowRequests ? requests.inserted : 0;
        send({ type: 'progress', operations: requests.operations, bytes: requests.bytes, inserted });
      }
      if (reactor.active > 0) await new Promise((resolve) => setImmediate(resolve));
      else await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    }
    while (!reactor.isQuiet) {
      reactor.turn();
      this.#watch.look();
    }
    this.#reactor = null;
    this.#requests = null;
    await rest(this.#session);
    this.#sequence = requests.sequence;
  }

  #cut(spans: readonly (readonly [number, number])[]): void {
    const beside = new LatencyHistogram();
    const quiet = new LatencyHistogram();
    const { times, count } = this.#search ?? { times: { posted: [], completed: [] }, count: 0 };
    for (let i = 0; i < count; i++) {
      const [from, to] = [times.posted[i], times.completed[i]];
      (overlaps(spans, from, to) ? beside : quiet).record(to - from);
    }
    send({ type: 'latencies', beside: beside.summary(), quiet: quiet.summary() });
  }
}

/** Does any of the spans, ascending and apart, have a moment from `from` to `to`? */
function overlaps(spans: readonly (readonly [number, number])[], from: number, to: number): boolean {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (spans[middle][1] < from) low = middle + 1;
    else high = middle;
  }
  return low < spans.length && spans[low][0] <= to;
}

// These concern what is under way.
obeyParent<ToWorker>(() => new Worker(), ['stop', 'frontier']);
