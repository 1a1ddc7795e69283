/** `fusee node`: one memory node of a pool, until it is told to end. */
import { Command } from 'commander';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { Geometry, GROUP_SLOTS, type PoolConfig } from '../../fusee/layout/index.js';
import { startShmNode } from '../../fusee/node/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { requireRoom } from '../run/plan.js';
import { parseBytes, parseCount } from './parse.js';

interface Flags {
  pool: string;
  id: number;
  nodes: number;
  indexReplicas: number;
  dataReplicas: number;
  memory: number;
  keys: number;
}

const BLOCK_BYTES = 1 << 20;
const REGION_BYTES = 1 << 23;
const SUBTABLES = 16;

export function nodeCommand(): Command {
  return new Command('node')
    .description(
      'run one memory node of a pool on shared memory; every node of a pool gets the same options but --id',
    )
    .option('-p, --pool <name>', 'the pool', 'default')
    .option('-i, --id <n>', 'number of this node, from 0', parseCount('the node'), 0)
    .option('-n, --nodes <n>', 'nodes of the pool', parseCount('nodes'), 1)
    .option('--index-replicas <n>', 'replicas of the index (r_i)', parseCount('index replicas'), 1)
    .option('--data-replicas <n>', 'replicas of objects (r_d)', parseCount('data replicas'), 1)
    .option('-m, --memory <size>', 'memory of this node', parseBytes('the memory'), 256 << 20)
    .option('--keys <n>', 'keys that the index of the pool is made for', parseCount('keys'), 1_000_000)
    .action((flags: Flags) => serve(flags));
}

/** The largest pool whose nodes fit `memory` each. @throws UsageError when not even the smallest does. */
export function poolOfMemory(flags: Omit<Flags, 'pool' | 'id'>): PoolConfig {
  const base: PoolConfig = {
    poolId: 1,
    nodes: flags.nodes,
    indexReplicas: flags.indexReplicas,
    dataReplicas: flags.dataReplicas,
    regionBytes: REGION_BYTES,
    blockBytes: BLOCK_BYTES,
    subtables: SUBTABLES,
    groupsPerSubtable: Math.max(4, Math.ceil(flags.keys / 0.6 / GROUP_SLOTS / SUBTABLES)),
    regionsPerNode: 1,
  };
  const smallest = new Geometry(base);
  const regions = Math.floor(
    (flags.memory - smallest.dataBase) / (smallest.regionStride * flags.dataReplicas),
  );
  if (regions < 1) {
    throw new UsageError(
      `the node has ${flags.memory} bytes of memory, but needs at least ${smallest.nodeBytes} for an index of ` +
        `${flags.keys} keys and one region per replica; give it more memory, or plan for fewer keys`,
    );
  }
  return { ...base, regionsPerNode: regions };
}

function serve(flags: Flags): void {
  const config = poolOfMemory(flags);
  if (flags.id >= flags.nodes) {
    throw new UsageError(
      `the node is number ${flags.id}; a pool of ${flags.nodes} has nodes 0 to ${flags.nodes - 1}`,
    );
  }
  sweepRegions(flags.pool);
  requireRoom({
    ...config,
    nodes: 1,
    indexReplicas: 1,
    dataReplicas: 1,
    regionsPerNode: config.regionsPerNode * config.dataReplicas,
  });
  const node = startShmNode({ pool: flags.pool, mn: flags.id, config });
  process.stdout.write(
    `node ${flags.id} of pool '${flags.pool}' is ready (${node.name}); end it with Ctrl-C\n`,
  );
  const end = (): void => {
    node.close();
    process.exitCode = 0;
  };
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
}
