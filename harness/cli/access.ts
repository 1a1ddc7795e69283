/** How commands say which pool they mean, and how its nodes are reached. */
import { type Command, Option } from 'commander';
import { HOST_FABRICS, type HostFabricKind, type NodeAccess } from '../../fusee/fabric/open.js';
import type { RdmaChoice, VerbsConnect } from '../../fusee/fabric/verbs.js';
import { parseCount } from './parse.js';

/** What the options of {@link withAccess} give. */
export interface AccessFlags extends RdmaFlags {
  readonly pool: string;
  readonly fabric: HostFabricKind;
  readonly nodes?: readonly string[];
  readonly master?: readonly string[];
  readonly secretFile?: string;
}

/** What the options of {@link withRdma} give. */
export interface RdmaFlags {
  readonly device?: string;
  readonly port?: number;
  readonly gid?: number;
  readonly connect?: VerbsConnect;
}

/** The option that chooses a fabric. */
export const fabricOption = (): Option =>
  new Option('--fabric <name>', 'what leads to the nodes').choices([...HOST_FABRICS]).default('shm');

/** Addresses separated by commas. */
const addresses = (text: string): string[] => text.split(',').flatMap((one) => one.trim() || []);

/** Adds the options that choose an RDMA device. */
export const withRdma = (command: Command): Command =>
  command
    .option('--device <name>', 'over verbs: the RDMA device (default: the first with an active port)')
    .option('--port <n>', 'over verbs: its port (default: the first that is active)', parseCount('the port'))
    .option('--gid <n>', 'over verbs: its GID (default: that of IPv4 over RoCE v2)', parseCount('the GID'))
    .addOption(
      new Option('--connect <way>', 'over verbs: how queue pairs are connected (default: exchange)').choices([
        'exchange',
        'cm',
      ]),
    );

/** The RDMA device that the flags choose, if they do. */
export function rdmaOf({ device, port, gid, connect }: RdmaFlags): { rdma?: RdmaChoice } {
  const rdma = { device, devicePort: port, gid, connect };
  return Object.values(rdma).every((one) => one === undefined) ? {} : { rdma };
}

/** Adds the options that name a pool by its nodes. */
export const withNodes = (command: Command): Command =>
  withRdma(command)
    .option('-p, --pool <name>', 'the pool', 'default')
    .addOption(fabricOption())
    .option('--nodes <addresses>', 'over a network: host:port of each node, comma-separated', addresses)
    .option('--secret-file <path>', "the pool's secret, for its master, and for its nodes over a network");

/** The option that says where a pool's master is. */
export const masterOption = (): Option =>
  new Option(
    '--master <addresses>',
    'over a network: host:port of the master, or of all that stand by, comma-separated; it tells where the ' +
      'nodes are (default: a master of this host, if there is one)',
  ).argParser(addresses);

/** Adds the options that name a running pool. */
export const withAccess = (command: Command): Command => withNodes(command).addOption(masterOption());

/** The pool that the flags name. */
export const accessOf = ({ pool, fabric, nodes, master, secretFile, ...rest }: AccessFlags): NodeAccess => ({
  pool,
  fabric,
  ...(nodes === undefined ? {} : { nodes }),
  ...(master === undefined ? {} : { master }),
  ...(secretFile === undefined ? {} : { secretFile }),
  ...rdmaOf(rest),
});
