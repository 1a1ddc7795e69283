/** `fusee node`: one memory node of a pool, until it is told to end. */
import { Command, Option } from 'commander';
import { clientsOf } from '../../fusee/client/connect.js';
import { checkPoolName } from '../../fusee/client/limits.js';
import { parseAddress } from '../../fusee/control/channel.js';
import { offerNode } from '../../fusee/control/offer.js';
import { hasMaster } from '../../fusee/control/session.js';
import type { HostFabricKind } from '../../fusee/fabric/open.js';
import { keepSecret, makeControlFolder, readSecret, secretPath } from '../../fusee/fabric/secret.js';
import type { ShmNode } from '../../fusee/fabric/shm-node.js';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { VerbsService } from '../../fusee/fabric/verbs-node.js';
import { runSpare } from '../../fusee/host/spare-process.js';
import { Geometry, MAX_NODES, type PoolConfig } from '../../fusee/layout/index.js';
import { startShmNode } from '../../fusee/node/index.js';
import { FabricError, UsageError } from '../../fusee/verbs/index.js';
import { growingIndexOf, requireRoom } from '../run/plan.js';
import { fabricOption, masterOption, type RdmaFlags, rdmaOf, withRdma } from './access.js';
import { parseBytes, parseCount, parseDuration } from './parse.js';

interface Flags extends RdmaFlags {
  pool: string;
  id: number;
  nodes: number;
  indexReplicas: number;
  dataReplicas: number;
  memory: number;
  keys: number;
  regionSize: number;
  blockSize: number;
  replace?: boolean;
  spare?: boolean;
  fabric: HostFabricKind;
  listen?: string;
  announce?: string;
  master?: string[];
  secretFile?: string;
  busyPoll: number;
}

/** What a pool's layout follows from. */
const SHAPE = [
  'nodes',
  'indexReplicas',
  'dataReplicas',
  'memory',
  'keys',
  'regionSize',
  'blockSize',
] as const satisfies readonly (keyof Flags)[];
type Shape = (typeof SHAPE)[number];

/** A node that is told that another process has its place ends so much later: its answer is heard. */
const PART_MS = 100;
/** The layout's limit. */
const REGIONS_MAX = 1 << 16;
const KEYS_MAX = 1e9;
/** Where node 0 listens, unless it is told otherwise, and the others behind it. */
const PORT = 7300;

/** Makes the command. */
export function nodeCommand(): Command {
  return withRdma(new Command('node'))
    .description(
      'run one memory node of a pool; every node of a pool gets the same options but --id and --listen',
    )
    .option('-p, --pool <name>', 'the pool', 'default')
    .option('-i, --id <n>', 'number of this node, from 0', parseCount('the node'), 0)
    .option('-n, --nodes <n>', 'nodes of the pool', parseCount('nodes'), 1)
    .option('--index-replicas <n>', 'replicas of the index (r_i)', parseCount('index replicas'), 1)
    .option('--data-replicas <n>', 'replicas of objects (r_d)', parseCount('data replicas'), 1)
    .addOption(
      new Option('-m, --memory <size>', 'memory of this node')
        .argParser(parseBytes('the memory'))
        .default(256 << 20, '256MiB'),
    )
    .option('--keys <n>', 'keys that the index of the pool may grow to', parseCount('keys'), 1_000_000)
    .addOption(
      new Option('--region-size <size>', 'what is placed on nodes as a whole; a power of two')
        .argParser(parseBytes('the region size'))
        .default(1 << 23, '8MiB'),
    )
    .addOption(
      // Small: every `fusee kv` that writes takes a block of its own, and leaves it to those that come later.
      new Option('--block-size <size>', 'what a client is granted at once; a power of two')
        .argParser(parseBytes('the block size'))
        .default(1 << 16, '64KiB'),
    )
    .option(
      '--replace',
      'drain the process that has this place: it ends when all that it holds is here, while clients run',
    )
    .option(
      '--spare',
      'wait for any place of a running pool, and take it when its node dies or is drained; of the other ' +
        'options it needs --pool alone, and takes the shape from the pool',
    )
    .addOption(fabricOption())
    .option('--listen <host:port>', `over a network: where (default: 127.0.0.1, ${PORT} and its number)`)
    .option(
      '--announce <host:port>',
      'with --fabric tcp: where others reach it, when it takes a place of a running pool (default: as --listen)',
    )
    .addOption(masterOption())
    .option(
      '--secret-file <path>',
      "the pool's secret: over a network, or of its master, for a node that joins a running pool",
    )
    .option(
      '--busy-poll <time>',
      'with --fabric tcp: look for more for so long before sleeping; takes a core',
      parseDuration('the time of polling'),
      0,
    )
    .addHelpText(
      'after',
      `
In a running pool that has a master, a node takes the place of one that has died: it comes up empty, and
has everything copied to it while clients go on. A master of another host is named by --master, which is left
out when the nodes of a pool are started for the first time. A spare does so by itself, whichever node dies.

Example: a pool of two nodes that keep everything twice
  fusee node --pool demo --nodes 2 --index-replicas 2 --data-replicas 2 --id 0 &
  fusee node --pool demo --nodes 2 --index-replicas 2 --data-replicas 2 --id 1 &
`,
    )
    .action((flags: Flags, command: Command) => {
      const isGiven = (name: keyof Flags): boolean => command.getOptionValueSource(name) === 'cli';
      return flags.spare === true ? serveSpare(flags, isGiven) : serve(flags);
    });
}

/** The largest pool whose nodes fit `memory` each. @throws UsageError when not even the smallest does. */
export function poolOfMemory(flags: Pick<Flags, Shape>): PoolConfig {
  if (flags.nodes < 1 || flags.nodes > MAX_NODES) {
    throw new UsageError(`nodes is ${flags.nodes}; a pool has 1 to ${MAX_NODES}`);
  }
  if (flags.keys < 1 || flags.keys > KEYS_MAX) {
    throw new UsageError(`keys is ${flags.keys}; choose a whole number from 1 to ${KEYS_MAX}`);
  }
  const base: PoolConfig = {
    poolId: 1,
    nodes: flags.nodes,
    indexReplicas: flags.indexReplicas,
    dataReplicas: flags.dataReplicas,
    regionBytes: flags.regionSize,
    blockBytes: flags.blockSize,
    ...growingIndexOf(flags.keys),
    regionsPerNode: 1,
  };
  return withRegions(base, flags.memory, `an index of ${flags.keys} keys`);
}

/** As many regions as fit a memory. */
function withRegions(base: PoolConfig, memory: number, index: string): PoolConfig {
  const smallest = new Geometry({ ...base, regionsPerNode: 1 });
  const regions = Math.floor((memory - smallest.dataBase) / (smallest.regionStride * base.dataReplicas));
  if (regions < 1) {
    throw new UsageError(
      `the memory is ${memory} bytes, but a node needs at least ${smallest.nodeBytes} ` +
        `for ${index} and one region per replica; ` +
        'give it more with --memory, or plan for fewer --keys or a smaller --region-size',
    );
  }
  if (regions > REGIONS_MAX) {
    const most = smallest.dataBase + REGIONS_MAX * smallest.regionStride * base.dataReplicas;
    throw new UsageError(
      `the memory is ${memory} bytes; one node takes at most ${most}: ` +
        'use more nodes with less each, or larger regions',
    );
  }
  return { ...base, regionsPerNode: regions };
}

/** A pool's own configuration, but for what was given: the master refuses a spare of another shape. */
export function shapeOfSpare(pool: PoolConfig, given: Partial<Pick<Flags, Shape>>): PoolConfig {
  const base: PoolConfig = {
    ...pool,
    nodes: given.nodes ?? pool.nodes,
    indexReplicas: given.indexReplicas ?? pool.indexReplicas,
    dataReplicas: given.dataReplicas ?? pool.dataReplicas,
    regionBytes: given.regionSize ?? pool.regionBytes,
    blockBytes: given.blockSize ?? pool.blockBytes,
    ...(given.keys === undefined ? {} : growingIndexOf(given.keys)),
  };
  return given.memory === undefined ? base : withRegions(base, given.memory, "the pool's index");
}

/**
 * A node comes up empty. Among nodes whose clients have written, it would answer for keys that it has lost as
 * if they had never been there.
 * @throws FabricError when clients have joined another node of the pool.
 */
async function requireUnused({ pool, id, nodes }: Flags): Promise<void> {
  for (let mn = 0; mn < nodes; mn++) {
    if (mn === id || !(await clientsOf({ pool }, mn))) continue;
    throw new FabricError(
      `pool '${pool}' is in use without its node ${id}, whose memory is lost: start the pool's master first ` +
        '(fusee master), which has it filled from the other nodes; or end those, and start the pool anew',
    );
  }
}

/** Serves in a running pool: in the place of a process that has died, or is to part with it. */
async function join(flags: Flags, config: PoolConfig): Promise<void> {
  const { pool, id, secretFile, fabric, master } = flags;
  if (fabric === 'verbs') {
    throw new UsageError(
      `pool '${pool}' is running, and over ${fabric} no node can take a place in it yet: leave out --fabric, ` +
        'or start the pool anew',
    );
  }
  const node = start(flags, config, true);
  let where = '';
  try {
    const place = fabric === 'tcp' ? listen(node, flags) : undefined;
    if (place !== undefined) where = `, tcp ${place}`;
    process.stdout.write(`node ${id} of pool '${pool}' waits to be filled\n`);
    await offerNode(
      { pool, secretFile, ...(master === undefined ? {} : { master }) },
      {
        mn: id,
        isReplacing: flags.replace === true,
        take: () => node.takePlace(),
        ...(place === undefined ? {} : { place: reachableAt(place, flags) }),
      },
    );
  } catch (error) {
    node.close();
    throw error;
  }
  sayReady(flags, node.name + where);
}

/** Where others reach a node that listens there. @throws UsageError when they cannot know. */
function reachableAt(listening: string, { announce }: Flags): string {
  const { host } = parseAddress(announce ?? listening);
  if (host !== '0.0.0.0' && host !== '::') return announce ?? listening;
  throw new UsageError(
    `the node is to be reached at ${announce ?? listening}, which is every address of this host and none that ` +
      'others can connect to; give one with --announce',
  );
}

/** Waits for any place of a running pool, and serves there. */
async function serveSpare(flags: Flags, isGiven: (name: keyof Flags) => boolean): Promise<void> {
  const { pool, secretFile } = flags;
  checkPoolName(pool);
  for (const name of ['id', 'replace', 'fabric', 'listen', 'busyPoll'] as const) {
    if (isGiven(name))
      throw new UsageError(`a spare has no --${name}: it takes whatever place is free, on shared memory`);
  }
  const given = Object.fromEntries(SHAPE.filter(isGiven).map((name) => [name, flags[name]]));
  sweepRegions(pool);
  const abort = new AbortController();
  let node: ShmNode | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      abort.abort();
      node?.close();
    });
  }
  const shapeOf = (its: PoolConfig): PoolConfig => {
    const config = shapeOfSpare(its, given);
    requireRoom(config, { nodes: 1 });
    return config;
  };
  const onParted = (mn: number): void => part(node as ShmNode, { pool, id: mn });
  const onExpelled = (mn: number): void => endExpelled(node, { pool, id: mn });
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  const told = { shapeOf, onParted, onExpelled, say };
  const placed = await runSpare({ pool, secretFile, signal: abort.signal, ...told });
  if (placed === undefined) return;
  node = placed.node;
  if (abort.signal.aborted) node.close();
  else sayReady({ pool, id: placed.mn }, node.name);
}

/** Another process has the node's place. */
function part(node: ShmNode, { pool, id }: Pick<Flags, 'pool' | 'id'>): void {
  process.stdout.write(`node ${id} of pool '${pool}' has been drained; it ends\n`);
  setTimeout(() => node.close(), PART_MS);
}

/** The pool goes on without the node, whose process has been stopped, or cut off. */
function endExpelled(node: ShmNode | undefined, { pool, id }: Pick<Flags, 'pool' | 'id'>): void {
  process.stderr.write(
    `fusee: the pool '${pool}' goes on without this node ${id}, which has been silent for longer than its ` +
      'lease, or has lost its place: what it holds is old, so it ends; start another one in its place\n',
  );
  process.exitCode = 1;
  node?.close();
}

/** The node, until it is told to end, or another process has its place. */
function start({ pool, id }: Flags, config: PoolConfig, isNext: boolean): ShmNode {
  const onParted = (): void => part(node, { pool, id });
  const onExpelled = (): void => endExpelled(node, { pool, id });
  const node = startShmNode({ pool, mn: id, config, isNext, onParted, onExpelled });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => node.close());
  return node;
}

const sayReady = ({ pool, id }: Pick<Flags, 'pool' | 'id'>, where: string): boolean =>
  process.stdout.write(`node ${id} of pool '${pool}' is ready (${where}); end it with Ctrl-C\n`);

async function serve(flags: Flags): Promise<void> {
  checkPoolName(flags.pool);
  if (flags.fabric === 'shm' && flags.listen !== undefined)
    throw new UsageError('--listen is for fabrics over a network; give --fabric tcp or verbs');
  if (flags.fabric === 'shm' && flags.master !== undefined)
    throw new UsageError('--master is for fabrics over a network; a master of this host is found by itself');
  const config = poolOfMemory(flags);
  if (flags.id >= flags.nodes) {
    throw new UsageError(
      `the node is number ${flags.id}; a pool of ${flags.nodes} has nodes 0 to ${flags.nodes - 1}`,
    );
  }
  // What a dead run left behind under these names; a living one's region stays.
  sweepRegions(flags.pool);
  requireRoom(config, { nodes: 1 });
  if (await hasMaster(flags)) return join(flags, config);
  if (flags.replace === true) {
    throw new UsageError(
      `pool '${flags.pool}' has no master, and nobody else can drain a node; start one with fusee master`,
    );
  }
  await requireUnused(flags);
  const node = start(flags, config, false);
  let where = node.name;
  try {
    if (flags.fabric === 'tcp') where += `, tcp ${listen(node, flags)}`;
    if (flags.fabric === 'verbs') {
      const service = serveVerbs(node, flags);
      where += `, verbs ${hostOf(flags)}:${service.port} on ${service.device}`;
    }
  } catch (error) {
    node.close();
    throw error;
  }
  sayReady(flags, where);
}

const addressOf = ({ listen, id }: Flags): string => listen ?? `127.0.0.1:${PORT + id}`;
const hostOf = (flags: Flags): string => addressOf(flags).replace(/:\d+$/, '');

/** Makes the pool's secret, or reads the one that was given. */
function secretFor({ pool, secretFile }: Flags): Buffer {
  if (secretFile === undefined) makeControlFolder();
  return secretFile === undefined ? keepSecret(secretPath(pool)).secret : readSecret(secretFile);
}

/** Lets clients in over verbs. */
function serveVerbs(node: ShmNode, flags: Flags): VerbsService {
  const port = Number(/:(\d{1,5})$/.exec(addressOf(flags))?.[1]);
  if (!(port >= 0 && port < 65_536))
    throw new UsageError(`--listen is '${addressOf(flags)}'; give host:port, such as 10.0.0.1:${PORT}`);
  const { device, devicePort, gid } = rdmaOf(flags).rdma ?? {};
  const service = new VerbsService({
    ...{ region: node.name, host: hostOf(flags), port, device, devicePort, gid, secret: secretFor(flags) },
    log: (line) => process.stdout.write(`node ${flags.id}: ${line}\n`),
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => service.close());
  return service;
}

/** Lets clients in over TCP. Returns the address. */
function listen(node: ShmNode, flags: Flags): string {
  const { id, busyPoll } = flags;
  const address = addressOf(flags);
  const secret = secretFor(flags);
  const port = node.listen({ address, secret, busyPollNs: busyPoll }, (line) =>
    process.stdout.write(`node ${id}: ${line}\n`),
  );
  return address.replace(/:\d+$/, `:${port}`);
}
