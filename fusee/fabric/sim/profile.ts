/** Latencies of a real fabric, as `fusee fabric probe` has measured them, for the simulator. */
import { Field, Opcode, UsageError, type VerbBatch } from '../../verbs/index.js';
import type { LatencyModel } from './latency.js';
import type { SimRandom } from './random.js';

/** What one kind of chain took: `chain` verbs of `bytes` each in one batch to one node. */
export interface ProbedCell {
  readonly verb: 'READ' | 'WRITE' | 'CAS' | 'FAA';
  readonly bytes: number;
  readonly chain: number;
  /** Of one batch at a time, from its post to its completion. */
  readonly p50Ns: number;
  readonly p99Ns: number;
  /** With many batches outstanding. */
  readonly verbsPerSecond: number;
  readonly samples: number;
}

/** One verb more of a chain, one byte more, and the rest of a round trip; nanoseconds. */
interface Costs {
  readonly baseNs: number;
  readonly verbNs: number;
  readonly byteNs: number;
}

/** Share of chains that take the long way: what lies beyond the 99th percentile and as much ahead of it. */
const TAIL_SHARE = 0.02;

/**
 * A cost profile: a round trip takes what the shortest chain of 8 bytes took, each further verb and byte as
 * much as the longest chain and the largest verb say, and one chain of fifty as much longer as the 99th
 * percentile of the shortest was. Half of a round trip lies each way; bytes of WRITEs count on the way there,
 * of READs back.
 */
export class ProfiledLatency implements LatencyModel {
  readonly #read: Costs;
  readonly #write: Costs;
  readonly #tail: number;
  readonly #serviceNs: number;

  /** @throws UsageError when the cells lack what the fit needs. */
  constructor(cells: readonly ProbedCell[], options: { serviceNs: number }) {
    this.#read = costsOf(cells, 'READ');
    this.#write = costsOf(cells, 'WRITE');
    const { p50Ns, p99Ns } = shortest(cells, 'READ');
    this.#tail = Math.max(1, p99Ns / p50Ns);
    this.#serviceNs = options.serviceNs;
  }

  requestNs(random: SimRandom, mn: number, batch: VerbBatch): number {
    return this.#oneWay(random, mn, batch, Opcode.WRITE, this.#write);
  }

  responseNs(random: SimRandom, mn: number, batch: VerbBatch): number {
    return this.#oneWay(random, mn, batch, Opcode.READ, this.#read);
  }

  serviceNs(): number {
    return this.#serviceNs;
  }

  #oneWay(random: SimRandom, mn: number, batch: VerbBatch, carrier: number, costs: Costs): number {
    let verbs = 0;
    let bytes = 0;
    for (let i = 0; i < batch.count; i++) {
      if (batch.mn(i) !== mn) continue;
      verbs++;
      // The first 8 bytes are part of the round trip that was measured.
      if (batch.opcode(i) === carrier) bytes += Math.max(0, batch.field(i, Field.LENGTH) - 8);
    }
    const ns = (costs.baseNs + costs.verbNs * Math.max(0, verbs - 1)) / 2 + costs.byteNs * bytes;
    const isLate = this.#tail > 1 && random.unit() < TAIL_SHARE;
    return Math.max(1, Math.round(isLate ? ns * this.#tail : ns));
  }
}

function shortest(cells: readonly ProbedCell[], verb: ProbedCell['verb']): ProbedCell {
  const [first] = cells
    .filter((cell) => cell.verb === verb)
    .sort((a, b) => a.bytes - b.bytes || a.chain - b.chain);
  if (first !== undefined && first.p50Ns > 0 && first.chain === 1) return first;
  throw new UsageError(`the profile has no ${verb} of one verb; make it by fusee fabric probe`);
}

function costsOf(cells: readonly ProbedCell[], verb: ProbedCell['verb']): Costs {
  const least = shortest(cells, verb);
  const own = cells.filter((cell) => cell.verb === verb);
  const largest = own.filter(({ chain }) => chain === 1).sort((a, b) => b.bytes - a.bytes)[0];
  const longest = own.filter(({ bytes }) => bytes === least.bytes).sort((a, b) => b.chain - a.chain)[0];
  const slope = (to: ProbedCell, by: number): number =>
    by > 0 ? Math.max(0, to.p50Ns - least.p50Ns) / by : 0;
  return {
    baseNs: least.p50Ns,
    verbNs: slope(longest, longest.chain - 1),
    byteNs: slope(largest, largest.bytes - least.bytes),
  };
}
