/** A probe with a memory node of its own, or one elsewhere that nobody uses, or a simulated one. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { clientsOf, readPoolConfig } from '../../fusee/client/connect.js';
import type { Fabric } from '../../fusee/fabric/contract.js';
import { type HostFabricKind, type NodeAccess, openFabric, placeOf } from '../../fusee/fabric/open.js';
import { ConstantLatency, SimFabric, SimMemory, SimWorld } from '../../fusee/fabric/sim/index.js';
import { type ProbedCell, ProfiledLatency } from '../../fusee/fabric/sim/profile.js';
import type { RdmaChoice } from '../../fusee/fabric/verbs.js';
import { Geometry, type PoolConfig } from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { Crew } from './crew.js';
import { PROBE_BYTES, PROBE_LOCAL_BYTES, type ProbeOptions, probeFabric } from './probe.js';

/** What a simulated round trip takes where no profile says otherwise. */
const SIM_RTT_NS = 2000;
const SIM_SERVICE_NS = 3000;

/** A node of a few MiB, of which the probe uses the data's first region. */
const CONFIG: PoolConfig = {
  poolId: 1,
  nodes: 1,
  indexReplicas: 1,
  dataReplicas: 1,
  regionBytes: 1 << 20,
  blockBytes: 1 << 16,
  subtables: 1,
  subtablesMax: 1,
  groupsPerSubtable: 8,
  regionsPerNode: 1,
};

const cellSchema = z.object({
  verb: z.enum(['READ', 'WRITE', 'CAS', 'FAA']),
  bytes: z.number().int().positive(),
  chain: z.number().int().positive(),
  p50Ns: z.number().positive(),
  p99Ns: z.number().positive(),
  verbsPerSecond: z.number().positive(),
  samples: z.number().int().positive(),
});
const profileSchema = z.object({ fabric: z.string(), cells: z.array(cellSchema).min(1) });

/** Reads what `fusee fabric probe --json` has printed. @throws UsageError when it is nothing of the kind. */
export function readProfile(path: string): ProbedCell[] {
  try {
    return profileSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).cells;
  } catch (error) {
    throw new UsageError(
      `the profile ${path} cannot be read (${(error as Error).message.split('\n')[0]}); make it by ` +
        'fusee fabric probe <fabric> --json',
    );
  }
}

/**
 * Probes a fabric to a node that is started for it, and ends with it.
 * @param options.rdma over verbs: the client's side.
 */
export async function probeOwn(
  fabric: HostFabricKind,
  { rdma, ...options }: Omit<ProbeOptions, 'offset'> & { rdma?: RdmaChoice },
): Promise<ProbedCell[]> {
  const crew = new Crew<object, { type: string }>(`probe-${process.pid}`, './client-process');
  try {
    await crew.whileWhole(crew.startNodes(CONFIG, { fabric, ...(rdma === undefined ? {} : { rdma }) }));
    return await crew.whileWhole(probeAt(crew.access, options));
  } finally {
    await crew.end();
  }
}

/**
 * Probes a fabric to a running node, whose memory is of no use afterwards.
 * @throws UsageError when clients have ever joined it.
 */
export async function probeAt(
  access: NodeAccess,
  options: Omit<ProbeOptions, 'offset'>,
): Promise<ProbedCell[]> {
  const config = await readPoolConfig(access);
  if (await clientsOf(access, 0)) {
    throw new UsageError(
      `pool '${access.pool}' is in use, and a probe writes over it; start a node for it alone`,
    );
  }
  const { nodeBytes } = new Geometry(config);
  const fabric = await openFabric(access, [placeOf(access, 0)], { localBytes: PROBE_LOCAL_BYTES });
  try {
    return await probeFabric(fabric, { ...options, offset: nodeBytes - PROBE_BYTES });
  } finally {
    fabric.close();
  }
}

/** Probes the simulator, with the latencies of a profile or constant ones. */
export async function probeSim(
  profile: readonly ProbedCell[] | null,
  options: Omit<ProbeOptions, 'offset'>,
): Promise<ProbedCell[]> {
  const latency =
    profile === null
      ? new ConstantLatency({ rttNs: SIM_RTT_NS, serviceNs: SIM_SERVICE_NS })
      : new ProfiledLatency(profile, { serviceNs: SIM_SERVICE_NS });
  const world = new SimWorld(new SimMemory([PROBE_BYTES]), { seed: 1, latency });
  const fabric: Fabric = new SimFabric(world, { localBytes: PROBE_LOCAL_BYTES });
  return await probeFabric(fabric, { ...options, offset: 0 });
}
