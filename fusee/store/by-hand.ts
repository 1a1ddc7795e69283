/** For tests: a real etcd, alone, on ports of its own; and states. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MasterState } from './state.js';

/**
 * Why there is no etcd for tests, or null. In CI there has to be one: the distribution's package etcd-server.
 */
export const whyNoEtcd: string | null =
  spawnSync('etcd', ['--version']).status === 0
    ? null
    : 'no etcd on this machine: install the package etcd-server of the distribution';

/** An etcd with elections of a tenth of a second, so that it grants leases of one second. */
export class RealEtcd {
  readonly process: ChildProcess;
  readonly endpoint: string;
  readonly #folder: string;
  readonly #ended: Promise<void>;

  private constructor(process: ChildProcess, at: { endpoint: string; folder: string }) {
    this.process = process;
    this.endpoint = at.endpoint;
    this.#folder = at.folder;
    this.#ended = new Promise((resolve) => process.once('exit', () => resolve()));
  }

  /** As masters are told of it. */
  get url(): string {
    return `etcd://${this.endpoint}`;
  }

  static async start(): Promise<RealEtcd> {
    const folder = mkdtempSync(join(tmpdir(), 'fusee-etcd-'));
    const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    const args = ['--name', 'one', '--data-dir', folder, '--initial-cluster', `one=${peer}`];
    args.push('--listen-client-urls', client, '--advertise-client-urls', client);
    args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer);
    args.push('--heartbeat-interval', '20', '--election-timeout', '200', '--log-level', 'error');
    const process = spawn('etcd', args, { stdio: 'ignore' });
    const etcd = new RealEtcd(process, { endpoint: client.slice('http://'.length), folder });
    for (const end = performance.now() + 20_000; performance.now() < end; ) {
      const isReady = await fetch(`${client}/v3/kv/range`, { method: 'POST', body: '{"key":"YQ=="}' }).then(
        (response) => response.ok,
        () => false,
      );
      if (isReady) return etcd;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await etcd.end();
    throw new Error('etcd has not become ready within 20 s');
  }

  /** It has no room any more, or has some again: what it then does itself when its quota is used up. */
  async setFull(isFull: boolean): Promise<void> {
    const body = JSON.stringify({ action: isFull ? 'ACTIVATE' : 'DEACTIVATE', alarm: 'NOSPACE' });
    const { ok } = await fetch(`http://${this.endpoint}/v3/maintenance/alarm`, { method: 'POST', body });
    if (!ok) throw new Error('etcd takes no alarm');
  }

  /** Writes a key, past all masters. */
  async put(key: string, value: string): Promise<void> {
    const body = JSON.stringify({ key: btoa(key), value: btoa(value) });
    await fetch(`http://${this.endpoint}/v3/kv/put`, { method: 'POST', body });
  }

  /** Stops it, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.process.kill(signal);
  }

  async end(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A state of a pool with one member. */
export const stateOf = (number: number): MasterState => ({
  pool: ['boot:1', 'boot:2'],
  record: { view: { number, dead: [] }, members: [{ cid: 1, place: 0, isDead: false }] },
  processes: [{ cid: 1, pid: 17, startTime: 4 }],
  decided: [{ slot: 64, hi: 1, lo: 2 }],
  news: { isWhole: false },
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
