/**
 * Two hosts, as far as processes can tell: network namespaces with a wire between them, which can be cut. The
 * far one has its own process ids, and a folder of its own for sockets and secrets; what runs on the near one
 * shares those with the test.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Running } from './run-fusee.js';

/** From the addresses for tests of networks (RFC 2544): nobody's own. */
const NETWORK = '198.18.213';

const ip = (...args: string[]): { isDone: boolean; why: string } => {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  return { isDone: status === 0, why: error?.message ?? stderr.trim() };
};

/** A pair of hosts; {@link TwoHosts.remove} takes them away. */
export class TwoHosts {
  /** The address of the near one. */
  readonly near = `${NETWORK}.1`;
  readonly #name = `fusee-${process.pid}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'fusee-far-'));

  /** Makes them; or why that cannot be done here: it takes root, `ip` and `unshare`. */
  static make(): TwoHosts | string {
    const hosts = new TwoHosts();
    const [near, far] = [`${hosts.#name}-n`, `${hosts.#name}-f`];
    const steps = [
      ['netns', 'add', near],
      ['netns', 'add', far],
      ['link', 'add', 'wire', 'netns', near, 'type', 'veth', 'peer', 'name', 'wire', 'netns', far],
    ];
    for (const [i, name] of [near, far].entries()) {
      steps.push(['-n', name, 'address', 'add', `${NETWORK}.${i + 1}/30`, 'dev', 'wire']);
      steps.push(['-n', name, 'link', 'set', 'wire', 'up'], ['-n', name, 'link', 'set', 'lo', 'up']);
    }
    for (const args of steps) {
      const { isDone, why } = ip(...args);
      if (isDone) continue;
      hosts.remove();
      return `ip ${args.join(' ')}: ${why}`;
    }
    return hosts;
  }

  /** How a command is run on the near host. */
  get byNear(): readonly string[] {
    return ['ip', 'netns', 'exec', `${this.#name}-n`];
  }

  /** Runs a command on the far one. */
  runFar(args: readonly string[], options: { main?: string } = {}): Running {
    const own = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];
    const by = ['ip', 'netns', 'exec', `${this.#name}-f`, ...own];
    return new Running(args, { ...options, by, env: { XDG_RUNTIME_DIR: this.#folder } });
  }

  /** Cuts the wire, or mends it. */
  setWire(to: 'down' | 'up'): void {
    const { isDone, why } = ip('-n', `${this.#name}-n`, 'link', 'set', 'wire', to);
    if (!isDone) throw new Error(`the wire cannot be set ${to}: ${why}`);
  }

  remove(): void {
    // The wire goes with either of them.
    for (const side of ['n', 'f']) ip('netns', 'del', `${this.#name}-${side}`);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
