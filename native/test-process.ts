/** What the native tests share: children that run a script with the addon, a look at what stays behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { addonPath } from './index.js';

/** Names of this test process's regions that exist now. */
export const regionNames = (prefix: string): string[] =>
  readdirSync('/dev/shm').filter((name) => name.startsWith(prefix));

/** A script's head: `addon`, and `open()` that makes a region and a session attached to it. */
export const prelude = (name: string): string => `
  const addonFile = ${JSON.stringify(addonPath())};
  const addon = require(addonFile);
  const regionName = ${JSON.stringify(name)};
  const makeRegion = () => {
    const region = new addon.NodeRegion({ name: regionName, memoryBytes: 65536, prefault: false });
    region.ready();
    return region;
  };
  const makeSession = (localBytes = 65536) => new addon.ClientSession({
    regions: [regionName], localBytes, queueCapacity: 16, rttNs: 0, rpcTimeoutNs: 1e9, prefault: false,
  });
  /** One FAA of 1 at offset 0, through registered memory as the fabric does it. */
  const add = (session) => {
    const words = new Uint32Array(session.local);
    const doubles = new Float64Array(session.local);
    const control = new Uint32Array(session.control);
    words.fill(0, 0, 32);
    words[0] = 1;
    words[16] = 3;
    doubles[9] = 0;
    words[16 + 5] = 8;
    words[16 + 6] = 1;
    control[16] = 0;
    control[0] = 1;
    session.doorbell();
    return words[16 + 10];
  };
`;

/** A child that runs `script` after the prelude; `until` resolves when it prints the line. */
export class ScriptProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<{ code: number | null; signal: string | null }>;
  output = '';
  errors = '';

  constructor(name: string, script: string, flags: readonly string[] = []) {
    this.child = spawn(process.execPath, [...flags, '-e', prelude(name) + script], { stdio: 'pipe' });
    this.child.stdout!.on('data', (text) => {
      this.output += text;
    });
    this.child.stderr!.on('data', (text) => {
      this.errors += text;
    });
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal }));
  }

  /** Resolves when the child has printed `line`. */
  async until(line: string): Promise<void> {
    while (!this.output.includes(line)) {
      if (this.child.exitCode !== null) throw new Error(`the child ended before "${line}": ${this.errors}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}
