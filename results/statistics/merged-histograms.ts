/** The claim that merging histograms loses nothing, tried on made-up latencies. */
import { LatencyHistogram } from '../histogram.js';
import { normalFrom, type Random } from './random.js';

/** Percentiles that are compared. */
const PERCENTILES = [0, 50, 90, 99, 99.9, 100];

/** Whether histograms of three unlike clients, merged, are the histogram of all their latencies. */
export const mergedAsUnion = (random: Random): boolean => {
  const all = new LatencyHistogram();
  const merged = new LatencyHistogram();
  for (const medianNs of [2000, 9000, 40_000]) {
    const one = new LatencyHistogram();
    for (let i = 0; i < 300; i++) {
      const latencyNs = Math.round(medianNs * Math.exp(0.5 * normalFrom(random)));
      one.record(latencyNs);
      all.record(latencyNs);
    }
    merged.merge(LatencyHistogram.unpack(one.pack()));
  }
  const isSame = PERCENTILES.every((percent) => merged.percentile(percent) === all.percentile(percent));
  return isSame && merged.count === all.count && merged.maxNs === all.maxNs && merged.minNs === all.minNs;
};
