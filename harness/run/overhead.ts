/**
 * `npm run bench:overhead`: what measuring itself costs, in ns on the measuring core: recording an operation,
 * the null operation that every run measures too, and reading the clock.
 */
import { fileURLToPath } from 'node:url';
import { openSession } from '../../fusee/client/connect.js';
import { makeCoroutine, Outcome } from '../../fusee/ops/index.js';
import { generateStream, KeyTable, workloadSpec } from '../../workloads/index.js';
import { Child } from './child.js';
import type { FromNode, ToNode } from './messages.js';
import { planPool, valueBytesOf } from './plan.js';
import { PhaseRecorder } from './recorder.js';
import { measureSelfCost, type SelfCost } from './self-cost.js';

/** The figures to reach. */
const RECORD_NS_MAX = 30;
const NULL_OPERATION_NS_MAX = 150;
const RECORDS = 10_000;
const KV_BYTES = 1024;
/** Operations of a batch, and batches, of which the best counts: others were disturbed. */
const BATCH = 20_000;
const BATCHES = 60;

/** What recording one operation costs: into its histogram, its outcome, and the series. */
export function recordNs(nowNs: () => number): number {
  const recorder = new PhaseRecorder(1);
  // Latencies as they come, none like the one before.
  const latencies = Float64Array.from({ length: 1024 }, (_, i) => 1500 + ((i * 7919) % 20_000));
  let completedNs = 1;
  let least = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const startNs = nowNs();
    for (let i = 0; i < BATCH; i++) {
      completedNs += 250;
      recorder.record(i & 1, completedNs - latencies[i & 1023], completedNs, Outcome.OK, true);
    }
    least = Math.min(least, (nowNs() - startNs) / BATCH);
  }
  return least;
}

/** The self-cost of a client of a real pool, for the mix of YCSB-A. */
async function clientCost(pool: string): Promise<SelfCost> {
  const config = planPool({
    workload: 'ycsb-a',
    nodes: 1,
    indexReplicas: 1,
    dataReplicas: 1,
    clients: 1,
    coroutines: 1,
    records: RECORDS,
    requests: 1000,
    kvBytes: KV_BYTES,
  });
  const node = new Child<ToNode, FromNode>('memory node 0', './node-process');
  try {
    const ready = node.expect('ready');
    node.tell({ type: 'start', pool, mn: 0, config });
    await ready;
    const { fabric, state } = await openSession({ pool, coroutines: 1, prefault: true });
    const stream = generateStream(workloadSpec('ycsb-a'), {
      recordCount: RECORDS,
      requestCount: 1000,
      flavour: 'ycsb-java',
      seed: 1,
      host: 0,
      process: 0,
      coroutine: 0,
      clientIndex: 0,
      clientCount: 1,
      valueBytes: valueBytesOf(KV_BYTES),
    });
    const keys = new KeyTable({
      recordCount: RECORDS,
      clientIndex: 0,
      coroutineCount: 1,
      insertsPerCoroutine: 1,
    });
    const coroutine = makeCoroutine(state, 0);
    const measure = (): SelfCost => measureSelfCost({ coroutine, fabric, keys, stream });
    // The first one is compiled meanwhile.
    measure();
    return measure();
  } finally {
    await node.end();
  }
}

async function main(): Promise<void> {
  const nowNs = (): number => Number(process.hrtime.bigint());
  const record = recordNs(nowNs);
  const { nullOperationNs, clockReadNs, clockStepNs } = await clientCost(`overhead-${process.pid}`);
  const line = (name: string, ns: number | null, limitNs: number | null): void => {
    const asked = limitNs === null ? '' : `  at most ${limitNs} ns asked`;
    process.stdout.write(`${name.padEnd(34)}${(ns ?? Number.NaN).toFixed(1).padStart(8)} ns${asked}\n`);
  };
  line('recording one operation', record, RECORD_NS_MAX);
  line('null operation, YCSB-A of 1 KiB', nullOperationNs, NULL_OPERATION_NS_MAX);
  line('reading the clock', clockReadNs, null);
  line('smallest step of the clock', clockStepNs, null);
  const isMet = record <= RECORD_NS_MAX && (nullOperationNs ?? Infinity) <= NULL_OPERATION_NS_MAX;
  if (!isMet) process.exitCode = 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
