/** How long a cell runs before its window begins, unless the user says so. */

/** Of the time that the requests would take if they went as fast as the load. */
const SHARE = 0.07;
const MS_MAX = 2000;
/**
 * Fewer requests end before the code is compiled: their load's rate, of a few records, says nothing, and no
 * warm-up would leave a window at speed. The verdict on trust names it.
 */
const REQUESTS_MIN = 20_000;
/** For workloads that load nothing. */
const MS_PER_REQUEST = 0.001;

/**
 * Whole milliseconds of warm-up, which come out of the time that the requests last.
 *
 * What it keeps out of the window is compilation and cold caches: work of a given size, which takes longer
 * where the machine is slower or busier, as the load does; a fixed time would be too short there, and swallow
 * the window of a fast machine. YCSB's 500,000 requests go three to six times as fast as the load of 100,000
 * records, with a third of their time spent before they are at speed: 7 % of the time at the load's rate is
 * about that third.
 * @param options.requests of all clients.
 * @param options.loaded records that were loaded.
 */
export function chooseWarmup(options: { requests: number; loaded: number; loadMs: number }): number {
  const { requests, loaded, loadMs } = options;
  if (requests < REQUESTS_MIN) return 1;
  const perRequest = loaded === 0 ? MS_PER_REQUEST : (SHARE * loadMs) / loaded;
  return Math.min(MS_MAX, Math.max(1, Math.round(requests * perRequest)));
}
