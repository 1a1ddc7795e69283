/** `fusee fabric probe`: what single verbs and chains of them take over one fabric. */
import type { Fabric } from '../../fusee/fabric/contract.js';
import type { ProbedCell } from '../../fusee/fabric/sim/profile.js';
import { FabricError, VerbBatch, word } from '../../fusee/verbs/index.js';

/** Sizes of READ and WRITE; an atomic has 8 bytes. */
const SIZES = [8, 64, 256, 1024, 4096];
const CHAINS = [1, 4, 16];
const CHAIN_MAX = 16;
/** Batches outstanding where the rate is measured. */
const DEPTH = 16;
/** Batches ahead of those that count. */
const WARMUP = 50;
/** Polls between two turns of the event loop: the nodes may need it. */
const TURN_POLLS = 4096;
/** Bytes of the node's memory that the probe writes to, from `offset` on. */
export const PROBE_BYTES: number = CHAIN_MAX * 4096;
/** Registered memory that it takes. */
export const PROBE_LOCAL_BYTES: number =
  (DEPTH + 1) * PROBE_BYTES + (DEPTH + 1) * (CHAIN_MAX + 1) * 64 + (1 << 16);

/** How a probe is run. */
export interface ProbeOptions {
  /** Of the memory of MN 0, from where on {@link PROBE_BYTES} bytes are of no further use. */
  readonly offset: number;
  /** Batches of each kind, per latency and per rate. */
  readonly samples: number;
  readonly onCell?: (cell: ProbedCell) => void;
}

/** Measures every verb, size and chain. @throws FabricError when a verb FAILs. */
export async function probeFabric(fabric: Fabric, options: ProbeOptions): Promise<ProbedCell[]> {
  const { local } = fabric;
  // What READs of one batch bring is nowhere where another's land: over verbs an answer may be looked for there.
  const lanes = Array.from({ length: DEPTH }, () => ({
    batch: new VerbBatch(local, CHAIN_MAX),
    buffer: local.reserve(PROBE_BYTES),
  }));
  const batches = lanes.map(({ batch }) => batch);
  const cells: ProbedCell[] = [];
  for (const verb of ['READ', 'WRITE', 'CAS', 'FAA'] as const) {
    for (const bytes of verb === 'READ' || verb === 'WRITE' ? SIZES : [8]) {
      for (const chain of CHAINS) {
        for (const { batch, buffer } of lanes)
          fill(batch, { verb, bytes, chain, buffer, offset: options.offset });
        await run(fabric, batches.slice(0, 1), WARMUP);
        const { latenciesNs } = await run(fabric, batches.slice(0, 1), options.samples);
        const many = await run(fabric, batches, options.samples);
        latenciesNs.sort();
        const at = (share: number): number => latenciesNs[Math.floor(share * (latenciesNs.length - 1))];
        const verbsPerSecond = (many.latenciesNs.length * chain) / (many.tookNs / 1e9);
        const cell = {
          verb,
          bytes,
          chain,
          p50Ns: at(0.5),
          p99Ns: at(0.99),
          verbsPerSecond,
          samples: options.samples,
        };
        cells.push(cell);
        options.onCell?.(cell);
      }
    }
  }
  return cells;
}

/** Verbs of a chain lie beside each other, each at a page of its own. */
function fill(
  batch: VerbBatch,
  what: { verb: ProbedCell['verb']; bytes: number; chain: number; buffer: number; offset: number },
): void {
  batch.reset();
  for (let i = 0; i < what.chain; i++) {
    const remote = what.offset + i * 4096;
    const local = what.buffer + i * 4096;
    if (what.verb === 'READ') batch.read(0, remote, local, what.bytes);
    else if (what.verb === 'WRITE') batch.write(0, remote, local, what.bytes);
    else if (what.verb === 'CAS') batch.cas(0, remote, word(), word());
    else batch.faa(0, remote, word(0, 1));
  }
}

/** Posts the batches again and again until so many have come back. */
async function run(
  fabric: Fabric,
  batches: readonly VerbBatch[],
  count: number,
): Promise<{ latenciesNs: Float64Array; tookNs: number }> {
  const latenciesNs = new Float64Array(count);
  const done: VerbBatch[] = [];
  const startNs = fabric.nowNs();
  let posted = 0;
  let back = 0;
  for (const batch of batches) if (posted < count && fabric.post(batch)) posted++;
  for (let polls = 1; back < count; polls++) {
    const completed = fabric.poll(done);
    for (let i = 0; i < completed; i++) {
      const batch = done[i];
      if (batch.anyFailed())
        throw new FabricError(`a verb of the probe FAILed: ${fabric.reasonOf?.(0) ?? 'is the node alive?'}`);
      latenciesNs[back++] = batch.completedNs - batch.postedNs;
      if (posted < count && fabric.post(batch)) posted++;
    }
    if (polls % TURN_POLLS === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { latenciesNs, tookNs: fabric.nowNs() - startNs };
}
