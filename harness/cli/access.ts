/** How commands say which pool they mean, and how its nodes are reached. */
import { type Command, Option } from 'commander';
import { HOST_FABRICS, type HostFabricKind, type NodeAccess } from '../../fusee/fabric/open.js';

/** What the options of {@link withAccess} give. */
export interface AccessFlags {
  readonly pool: string;
  readonly fabric: HostFabricKind;
  readonly nodes?: readonly string[];
  readonly secretFile?: string;
}

/** The option that chooses a fabric. */
export const fabricOption = (): Option =>
  new Option('--fabric <name>', 'what leads to the nodes').choices([...HOST_FABRICS]).default('shm');

/** Addresses separated by commas. */
const addresses = (text: string): string[] => text.split(',').flatMap((one) => one.trim() || []);

/** Adds the options that name a running pool. */
export const withAccess = (command: Command): Command =>
  command
    .option('-p, --pool <name>', 'the pool', 'default')
    .addOption(fabricOption())
    .option('--nodes <addresses>', 'over a network: host:port of each node, comma-separated', addresses)
    .option('--secret-file <path>', "the pool's secret, for its master, and for its nodes over a network");

/** The pool that the flags name. */
export const accessOf = ({ pool, fabric, nodes, secretFile }: AccessFlags): NodeAccess => ({
  pool,
  fabric,
  ...(nodes === undefined ? {} : { nodes }),
  ...(secretFile === undefined ? {} : { secretFile }),
});
