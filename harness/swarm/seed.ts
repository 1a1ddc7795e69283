/** Runs one seed, or one plan, and says what was wrong with it. */

import { SequentialClient } from '../../fusee/client/sequential.js';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import { CONTEXT_BYTES, Outcome, RequestKind } from '../../fusee/ops/index.js';
import { checkHistory, explain, NO_VALUE } from '../check/linearizability/index.js';
import { Cluster, type Finding } from './cluster.js';
import { checkInvariants, type Found } from './invariants.js';
import { checkLeaks, type Leaks, NO_LEAKS } from './leaks.js';
import { lostWrites } from './lost-writes.js';
import { planOf, type SwarmPlan } from './plan.js';
import { buffers } from './registered.js';
import type { SwarmHooks } from './run.js';
import type { Trace } from './trace.js';
import { valueId } from './values.js';

/** What came of one run. Everything but the two times follows from the plan. */
export interface SeedReport {
  readonly seed: number;
  /** The plan in a line. */
  readonly plan: string;
  /** Requests begun, and those of them that were answered, by outcome. */
  readonly requests: number;
  readonly outcomes: Readonly<Record<string, number>>;
  /** Clients that died, those of them that lost a link, and recoverers that died. */
  readonly crashes: number;
  readonly cuts: number;
  readonly recovererCrashes: number;
  /** Memory nodes that died, and slots that the master decided then. */
  readonly nodeCrashes: number;
  /** Fresh processes that have taken places of nodes, and times that more was copied first. */
  readonly nodeJoins: number;
  readonly fillRounds: number;
  /** Processes that died while their places were filled. */
  readonly fillDeaths: number;
  readonly slotsDecided: number;
  /** Memory that nobody has at the end. */
  readonly leaks: Leaks;
  /** Keys that have lost an acknowledged write. */
  readonly lostWrites: number;
  /** The longest time that an answer took; and that in shares of what it may, 0 where the plan is silent. */
  readonly answerNsMost: number;
  readonly answerShareMost: number;
  /** Requests of the dead that recovery dropped, found done, finished, undid. */
  readonly recovered: readonly number[];
  /** Requests that met no writer, and were held to the cost tables. */
  readonly quietRequests: number;
  readonly events: number;
  readonly verbs: number;
  readonly torn: number;
  readonly virtualNs: number;
  /** Over every verb that executed, every result, and the contents at the end: 16 hexadecimal digits. */
  readonly digest: string;
  readonly findings: readonly Finding[];
  /** For a failing run: the last requests of each client, a line each. */
  readonly lastRequests: readonly string[];
  /** Wall time of the run and of the checks, milliseconds; not part of what a seed determines. */
  readonly runMs: number;
  readonly checkMs: number;
}

export interface SeedOptions {
  /** @default true */
  readonly checks?: boolean;
  /** What a test puts in the way of the product. */
  readonly hooks?: SwarmHooks;
  /** Notes what every verb did. */
  readonly trace?: Trace;
  /** Called when the run has come to rest, ahead of the checks. */
  readonly onRest?: () => void;
}

const LAST_REQUESTS = 6;
/** Findings after which a report says no more: one is enough to fail. */
const FINDINGS_MAX = 12;
/** States that the check of one key may cost: more than any run of this size needs. */
const STATES_MAX = 20_000_000;

/** Runs the plan of a seed. The same seed gives the same report on every machine, but for its times. */
export function runSeed(seed: number, options: SeedOptions = {}): SeedReport {
  return runPlan(planOf(seed), options);
}

/**
 * Runs a plan. Whatever is thrown on the way is a finding.
 * @throws UsageError when there is no cluster of that plan.
 */
export function runPlan(plan: SwarmPlan, options: SeedOptions = {}): SeedReport {
  const startMs = performance.now();
  const cluster = new Cluster(plan, options.hooks, options.trace);
  attempt(cluster, () => cluster.toQuiescence());
  const runMs = performance.now() - startMs;
  options.onRest?.();
  let checked = UNCHECKED;
  if (options.checks !== false && cluster.findings.length === 0)
    attempt(cluster, () => {
      checked = checkCluster(cluster);
    });
  return reportOf(cluster, checked, { runMs, checkMs: performance.now() - startMs - runMs });
}

function attempt(cluster: Cluster, what: () => void): void {
  try {
    what();
  } catch (error) {
    cluster.fail('error', (error as Error).stack ?? String(error));
  }
}

/**
 * Runs a plan, and once more if it failed or `isTwice` says so. Two runs that differ are a finding, and the
 * first: of what is not deterministic nothing else can be said.
 */
export function runRepeatably(
  plan: SwarmPlan,
  options: SeedOptions & { readonly isTwice?: boolean } = {},
): SeedReport {
  const report = runPlan(plan, options);
  if (report.findings.length === 0 && options.isTwice !== true) return report;
  const again = runPlan(plan, options);
  const differs = (Object.keys(report) as (keyof SeedReport)[]).find(
    (name) => name !== 'runMs' && name !== 'checkMs' && told(report[name]) !== told(again[name]),
  );
  if (differs === undefined) return report;
  // Digests differ whenever anything does; what else differs says more, and comes first.
  const message =
    `a second run of the same plan went differently: ${differs} ${told(report[differs])}, ` +
    `then ${told(again[differs])}; digest ${report.digest}, then ${again.digest}`;
  return { ...report, findings: [{ kind: 'determinism', message }, ...report.findings] };
}

const told = (value: unknown): string => JSON.stringify(value);

function reportOf(
  cluster: Cluster,
  checked: Checked,
  times: { readonly runMs: number; readonly checkMs: number },
): SeedReport {
  const { plan, world, history } = cluster;
  const outcomes: Record<string, number> = {};
  for (const [name, outcome] of Object.entries(Outcome))
    if (cluster.outcomes[outcome] > 0) outcomes[name] = cluster.outcomes[outcome];
  return {
    seed: plan.seed,
    plan: describePlan(plan),
    requests: history.count,
    outcomes,
    crashes: cluster.crashes,
    cuts: cluster.cuts,
    recovererCrashes: cluster.recovererCrashes,
    nodeCrashes: cluster.nodeCrashes,
    nodeJoins: cluster.master.refill.joined,
    fillRounds: cluster.master.refill.rounds,
    fillDeaths: cluster.master.refill.deaths,
    slotsDecided: cluster.master.slotsDecided,
    ...checked,
    recovered: [...cluster.recovered],
    quietRequests: cluster.quietRequests,
    events: world.events,
    verbs: world.verbs,
    torn: world.torn,
    virtualNs: world.nowNs,
    digest: world.digest,
    findings: cluster.findings.slice(0, FINDINGS_MAX),
    lastRequests: cluster.findings.length > 0 ? cluster.lastRequests(LAST_REQUESTS) : [],
    ...times,
  };
}

/** The plan in a line. */
export function describePlan(plan: SwarmPlan): string {
  const { pool, faults } = plan;
  const mix = plan.mix.map((weight, kind) => `${Object.keys(RequestKind)[kind]} ${weight}`).join(' ');
  return (
    `${pool.nodes} MNs, r_i ${pool.indexReplicas}, r_d ${pool.dataReplicas}, ` +
    `${pool.subtables} x ${pool.groupsPerSubtable} groups, ${pool.regionsPerNode} x ${pool.regionBytes} bytes each; ` +
    `${plan.clients} clients x ${plan.coroutines} coroutines x ${plan.requests} requests on ${plan.keys.length} keys ` +
    `(${mix}, skew ${plan.skew}), values ${plan.valueBytesLeast} to ${plan.valueBytesMost} bytes, ` +
    `cache ${plan.cache.bytes}; tears ${faults.tear}, delays ${faults.delay} x ${faults.delayNs} ns, ` +
    `calls lost ${faults.rpcLoss}, twice ${faults.rpcDuplication}; ${plan.crashes} crashes, ${plan.cuts} by cut links`
  );
}

/** What checks have measured. */
type Checked = Pick<SeedReport, 'leaks' | 'lostWrites' | 'answerNsMost' | 'answerShareMost'>;
const UNCHECKED: Checked = { leaks: NO_LEAKS, lostWrites: 0, answerNsMost: 0, answerShareMost: 0 };

/** Everything that must hold of a run that has come to rest. */
function checkCluster(cluster: Cluster): Checked {
  const { plan, world, history } = cluster;
  const answers = checkAnswers(cluster);
  const keys = new Map(plan.keys.map((key, number) => [key, number]));
  const found = checkInvariants({
    nodes: world.nodes,
    view: cluster.view,
    keys,
    dead: new Set(cluster.clients.filter((c) => c.isDead).map((c) => c.cid)),
    cutOff: new Set(cluster.clients.filter((c) => c.fabric.isDisturbed).map((c) => c.cid)),
    freeCells: cluster.freeCells,
    fail: (kind, message) => cluster.fail(kind, message),
  });
  // What tests put in place of the product's requests frees nothing.
  const leaks = cluster.hooks.loops === undefined ? checkLeaks(cluster) : NO_LEAKS;
  const final = readBack(cluster, found);
  for (const value of final.values()) world.note(value);
  const result = checkHistory(history, { final, stateCountMax: STATES_MAX });
  if (result.verdict !== 'ok') cluster.fail('linearizability', explain(history, result));
  const lost = lostWrites(history, final);
  if (lost.length > 0)
    cluster.fail(
      'lost write',
      `key ${lost.join(', ')}: an acknowledged write is gone, and none came after it`,
    );
  return { leaks, lostWrites: lost.length, ...answers };
}

/** Who was not answered has died; who was put off has a reason; and nobody has waited for too long. */
function checkAnswers(cluster: Cluster): Pick<Checked, 'answerNsMost' | 'answerShareMost'> {
  for (const client of cluster.clients) {
    if (!client.isDead && client.row.some((row) => row >= 0))
      cluster.fail('hang', `client ${client.cid} has a request without an answer`);
  }
  const unavailable = cluster.outcomes[Outcome.UNAVAILABLE];
  const hasCause = cluster.cuts > 0 || cluster.nodeCrashes > 0 || cluster.world.weakCpus.timeouts > 0;
  if (unavailable > 0 && !hasCause)
    cluster.fail('unavailable', `${unavailable} requests ended UNAVAILABLE, and nothing had failed`);
  const { history, plan } = cluster;
  let answerNsMost = 0;
  for (let row = 0; row < history.count; row++) {
    const tookNs = history.responseNs[row] - history.invocationNs[row];
    if (tookNs < Number.POSITIVE_INFINITY && tookNs > answerNsMost) answerNsMost = tookNs;
  }
  if (plan.boundNs === 0) return { answerNsMost, answerShareMost: 0 };
  const deaths = cluster.crashes + cluster.recovererCrashes + cluster.nodeCrashes;
  const mayNs = plan.boundNs + Math.max(1, deaths) * plan.leaseNs;
  if (answerNsMost > mayNs)
    cluster.fail('late', `an answer took ${answerNsMost} ns; with ${deaths} deaths it may take ${mayNs}`);
  return { answerNsMost, answerShareMost: answerNsMost / mayNs };
}

/** SEARCHes every key with a client of its own, and compares with what the slots say. */
function readBack(cluster: Cluster, found: Found): Map<number, number> {
  const { plan, world, view } = cluster;
  const fabric = new MemoryFabric(world.nodes, { localBuffer: buffers.take(CONTEXT_BYTES + (1 << 14)) });
  const cache = { bytes: 0, keyBytes: 32, threshold: 1 };
  const reader = new SequentialClient(fabric, { view, cid: 0xffff, cache });
  const final = new Map<number, number>();
  plan.keys.forEach((key, number) => {
    let outcome: Outcome;
    try {
      outcome = reader.request(RequestKind.SEARCH, key, '');
      const { cx } = reader.coroutine;
      const isFound = outcome === Outcome.OK;
      final.set(number, isFound ? valueId(fabric.local.bytes, cx.foundAt, cx.foundBytes) : NO_VALUE);
    } catch (error) {
      cluster.fail('error', `reading key ${number} back: ${(error as Error).message}`);
      return;
    }
    const value = found.get(number);
    const inSlots = value === undefined ? NO_VALUE : valueId(value, 0, value.length);
    if ((outcome !== Outcome.OK && outcome !== Outcome.NOT_FOUND) || final.get(number) !== inSlots)
      cluster.fail('contents', `key ${number}: SEARCH says ${final.get(number)}, the slots say ${inSlots}`);
  });
  return final;
}

/** The findings, a line or more each. */
export const formatFindings = ({ findings }: SeedReport): string[] =>
  findings.map(({ kind, message }) => `${kind}: ${message}`);

/** What a failing seed prints. */
export function formatFailure(report: SeedReport, replay = `fusee verify --seed ${report.seed}`): string {
  return [
    `seed ${report.seed} fails; replay it with: ${replay}`,
    `  ${report.plan}`,
    `  ${report.requests} requests, ${report.crashes} crashes, digest ${report.digest}`,
    ...formatFindings(report),
    'last requests of each client:',
    ...report.lastRequests.map((line) => `  ${line}`),
  ].join('\n');
}
