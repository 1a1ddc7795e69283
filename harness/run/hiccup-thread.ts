/** The thread behind `HiccupWatch`. Its sleep ends early when it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { LatencyHistogram } from '../../results/histogram.js';

const PERIOD_MS = 1;

const stop = new Int32Array(workerData as SharedArrayBuffer);
const histogram = new LatencyHistogram();
parentPort?.postMessage('begun');
let before = performance.now();
while (Atomics.wait(stop, 0, 0, PERIOD_MS) === 'timed-out') {
  const now = performance.now();
  histogram.record(Math.max(0, Math.round((now - before - PERIOD_MS) * 1e6)));
  before = now;
}
parentPort?.postMessage(histogram.pack());
