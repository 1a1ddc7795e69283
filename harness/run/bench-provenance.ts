/** Where the results of a bench come from. */
import { collectProvenance, type Provenance } from '../../results/provenance.js';
import { packageRoot, packageVersion } from './package-root.js';
import { type BenchOptions, traceHash } from './plan-bench.js';

/**
 * Version of the method, of which figures depend and code alone does not tell: what is timed, from when to
 * when, how pools are sized and warmed. Whoever changes one of these raises it. 1: closed loops; 2: open
 * ones.
 */
const BENCHMARK_VERSION = 2;

/** The provenance of a bench with these options. */
export const benchProvenance = (options: BenchOptions): Promise<Provenance> =>
  collectProvenance({
    folder: packageRoot,
    // What a bench's processes load, each bundled. The rest of what is built, sanitized addons too, changes nothing.
    built: ['dist/harness/run', 'dist/harness/cli', 'native/build/Release'],
    version: packageVersion,
    experiment: {
      benchmark: BENCHMARK_VERSION,
      fabric: options.fabric ?? 'shm',
      rttNs: options.rttNs,
      seed: options.seed,
      traceHash: traceHash(options),
    },
  });
