/** Pools over TCP, every process of its own, for tests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Running } from './run-fusee.js';
import { running } from './run-master.js';

/** A pool without a master. */
export interface TcpPool {
  readonly pool: string;
  readonly nodes: Running[];
  readonly addresses: string[];
  readonly secretFile: string;
  /** As commands take them. */
  readonly flags: string[];
}

let count = 0;

/** Writes a pool's secret into a folder; where it is. */
export function writeSecret(folder: string): string {
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, 'a secret of 24 characters', { mode: 0o600 });
  return secretFile;
}

/** Starts so many nodes, with two replicas of everything where there are two. */
export async function startOverTcp(secretFile: string, nodes: number): Promise<TcpPool> {
  const pool = `e2e-tcp-${process.pid}-${count++}`;
  const replicas = String(Math.min(2, nodes));
  const shape = ['--nodes', String(nodes), '--index-replicas', replicas, '--data-replicas', replicas];
  const secret = ['--fabric', 'tcp', '--secret-file', secretFile];
  const started = await Promise.all(
    Array.from({ length: nodes }, async (_, id) => {
      const sizes = ['--memory', '32MiB', '--keys', '10k', '--id', String(id)];
      const flags = ['--pool', pool, ...sizes, ...shape, ...secret, '--listen', '127.0.0.1:0'];
      const node = new Running(['node', ...flags]);
      running.push(node);
      await node.says(/is ready/);
      return node;
    }),
  );
  const addresses = started.map(({ stdout }) => /tcp (127\.0\.0\.1:\d+)/.exec(stdout)?.[1] ?? '');
  const flags = ['--pool', pool, ...secret, '--nodes', addresses.join(',')];
  return { pool, nodes: started, addresses, secretFile, flags };
}

/** Starts its master. */
export async function leadOverTcp({ flags }: TcpPool, ...more: string[]): Promise<Running> {
  const master = new Running(['master', ...flags, ...more]);
  running.push(master);
  await master.says(/is ready/);
  return master;
}
