/**
 * A failing plan made small: fewer clients, requests, keys and nodes, fewer things that go wrong, as long as
 * some seed of it fails with the same kind of finding.
 *
 * Rules of this file: what comes out follows from the plan alone, since lots come from the plan's seed and
 * the effort is counted in attempts and simulated events; the clock is only there for a machine so slow that
 * nobody would wait, and then the result says so.
 */
import { NO_FAULTS, type SimFaults } from '../../fusee/fabric/sim/index.js';
import type { SwarmPlan } from './plan.js';
import type { SwarmHooks } from './run.js';
import { runPlan, runRepeatably, type SeedReport } from './seed.js';

/** A small plan that fails like a large one. */
export interface ShrunkPlan {
  readonly plan: SwarmPlan;
  readonly report: SeedReport;
  /** Runs that it took. */
  readonly attempts: number;
  /** The clock ended it: another run may come to another plan. */
  readonly isCutShort: boolean;
}

/** How far to go. */
export interface ShrinkOptions {
  readonly hooks?: SwarmHooks;
  /** Runs at most. @default 4000 */
  readonly attemptsMax?: number;
  /** Simulated events at most, a fixed share for every run included. @default 12 million: about 10 s */
  readonly workMax?: number;
  /** Seconds after which it ends in any case. @default 20 */
  readonly secondsMax?: number;
}

/** What it costs to set a run up, in events. */
const SETUP_EVENTS = 1500;
/** Seeds tried for one smaller plan: more of them the smaller it is, since small runs meet less. */
const SEEDS_LEAST = 3;
const SEEDS_MOST = 60;
/** Requests that all seeds of one smaller plan may make between them. */
const REQUESTS_PER_PLAN = 2000;

/** Shrinks a plan whose report has a finding. */
export function shrinkPlan(plan: SwarmPlan, report: SeedReport, options: ShrinkOptions = {}): ShrunkPlan {
  return new Shrinking(plan, report, options).run();
}

class Shrinking {
  readonly #options: ShrinkOptions;
  readonly #kind: string;
  readonly #deadlineMs: number;
  #plan: SwarmPlan;
  #report: SeedReport;
  #attempts = 0;
  #work = 0;
  #isCutShort = false;

  constructor(plan: SwarmPlan, report: SeedReport, options: ShrinkOptions) {
    this.#plan = plan;
    this.#report = report;
    this.#options = options;
    this.#kind = report.findings[0].kind;
    this.#deadlineMs = performance.now() + 1000 * (options.secondsMax ?? 20);
  }

  run(): ShrunkPlan {
    for (let isSmaller = true; isSmaller; ) {
      isSmaller = false;
      for (const smaller of DIMENSIONS) while (this.#reduce(smaller)) isSmaller = true;
    }
    const [plan, report] = [this.#plan, this.#report];
    return { plan, report, attempts: this.#attempts, isCutShort: this.#isCutShort };
  }

  /** Takes the first of the smaller plans that still fails; false when none does. */
  #reduce(smaller: (plan: SwarmPlan) => readonly SwarmPlan[]): boolean {
    const before = JSON.stringify(this.#plan);
    return smaller(this.#plan).some((plan) => JSON.stringify(plan) !== before && this.#fails(plan));
  }

  #fails(plan: SwarmPlan): boolean {
    const total = plan.clients * plan.coroutines * plan.requests;
    const seeds = Math.max(SEEDS_LEAST, Math.min(SEEDS_MOST, Math.floor(REQUESTS_PER_PLAN / total)));
    for (let s = 0; s < seeds && this.#goesOn(); s++) {
      const tried = { ...plan, seed: plan.seed + s };
      const report = this.#run(tried);
      if (report.findings[0]?.kind !== this.#kind) continue;
      this.#plan = tried;
      this.#report = report;
      return true;
    }
    return false;
  }

  #goesOn(): boolean {
    const { attemptsMax = 4000, workMax = 12_000_000 } = this.#options;
    if (this.#attempts >= attemptsMax || this.#work >= workMax) return false;
    if (performance.now() > this.#deadlineMs) this.#isCutShort = true;
    return !this.#isCutShort;
  }

  #run(plan: SwarmPlan): SeedReport {
    const { hooks } = this.#options;
    const report =
      this.#kind === 'determinism' ? runRepeatably(plan, { hooks, isTwice: true }) : runPlan(plan, { hooks });
    this.#attempts++;
    this.#work += report.events + SETUP_EVENTS;
    return report;
  }
}

/** Whole numbers below `from`, from `least` on: the boldest first. */
function below(from: number, least: number): number[] {
  const all = [least, least + 1, least + 3, from >> 2, from >> 1, (from * 3) >> 2, from - 1];
  return [...new Set(all)].filter((n) => n >= least && n < from).sort((a, b) => a - b);
}

const withPool = (plan: SwarmPlan, pool: Partial<SwarmPlan['pool']>): SwarmPlan => ({
  ...plan,
  pool: { ...plan.pool, ...pool },
});

const FAULT_NAMES = ['tear', 'delay', 'rpcLoss', 'rpcDuplication'] as const satisfies (keyof SimFaults)[];

/** Ways to make a plan smaller, those that help a reader most first. */
const DIMENSIONS: readonly ((plan: SwarmPlan) => readonly SwarmPlan[])[] = [
  (plan) =>
    below(plan.crashes, 0).map((crashes) => ({ ...plan, crashes, cuts: Math.min(plan.cuts, crashes) })),
  (plan) => below(plan.cuts, 0).map((cuts) => ({ ...plan, cuts })),
  (plan) => [{ ...plan, recovererCrash: 0 }],
  (plan) => below(plan.nodeCrashes, 0).map((nodeCrashes) => ({ ...plan, nodeCrashes })),
  (plan) => [
    { ...plan, fillDeath: 0 },
    { ...plan, refillNs: 0, fillDeath: 0 },
  ],
  (plan) => [
    { ...plan, faults: NO_FAULTS },
    ...FAULT_NAMES.map((name) => ({ ...plan, faults: { ...plan.faults, [name]: 0 } })),
  ],
  // Background work and splits early: runs without them are short, and differ less from seed to seed.
  (plan) => [{ ...plan, roundNs: 0 }],
  (plan) => [withPool(plan, { subtablesMax: plan.pool.subtables })],
  (plan) => below(plan.requests, 1).map((requests) => ({ ...plan, requests })),
  (plan) => below(plan.clients, 1).map((clients) => ({ ...plan, clients })),
  (plan) => below(plan.coroutines, 1).map((coroutines) => ({ ...plan, coroutines })),
  (plan) => [
    ...below(plan.keys.length, 1).map((count) => ({ ...plan, keys: plan.keys.slice(0, count) })),
    ...(plan.keys.length > 1 ? [{ ...plan, keys: plan.keys.slice(1) }] : []),
  ],
  (plan) =>
    plan.mix.flatMap((weight, kind) => {
      const mix = plan.mix.map((w, k) => (k === kind ? 0 : w));
      return weight > 0 && mix.some((w) => w > 0) ? [{ ...plan, mix }] : [];
    }),
  // A replica of everything must be left, as in every plan.
  (plan) =>
    below(plan.pool.indexReplicas, plan.nodeCrashes + 1).map((indexReplicas) =>
      withPool(plan, { indexReplicas }),
    ),
  (plan) =>
    below(plan.pool.dataReplicas, plan.nodeCrashes + 1).map((dataReplicas) =>
      withPool(plan, { dataReplicas }),
    ),
  (plan) => {
    const least = Math.max(plan.pool.indexReplicas, plan.pool.dataReplicas);
    const regions = plan.pool.nodes * plan.pool.regionsPerNode;
    // Fewer nodes: with less memory, or with as much as all had between them.
    return below(plan.pool.nodes, least).flatMap((nodes) => [
      withPool(plan, { nodes }),
      withPool(plan, { nodes, regionsPerNode: Math.ceil(regions / nodes) }),
    ]);
  },
  (plan) => {
    const one = { subtables: 1, subtablesMax: plan.pool.subtablesMax / plan.pool.subtables };
    return [withPool(plan, { ...one, groupsPerSubtable: 2 }), withPool(plan, one)];
  },
  (plan) => [{ ...plan, cache: { ...plan.cache, bytes: 0 } }],
  (plan) => [{ ...plan, valueBytesLeast: 8, valueBytesMost: 8 }],
  (plan) => [{ ...plan, skew: 1 }],
  (plan) => [{ ...plan, thinkNs: 0 }],
  (plan) => [
    { ...plan, latency: { ...plan.latency, jitterNs: 1 } },
    { ...plan, latency: { ...plan.latency, jitterNs: Math.min(200, plan.latency.jitterNs) } },
  ],
];
