import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { native } from './index.js';
import { prelude, regionNames, ScriptProcess } from './test-process.js';

const prefix = `fusee-lifetime-test-${process.pid}-`;
let count = 0;
const freshName = (): string => `${prefix}${count++}`;
afterAll(() => native().sweepRegions(prefix));

const openBoth = `
  const region = makeRegion();
  const session = makeSession();
  region.serve(() => {});
  add(session);
`;

describe('the end of a process with region and session open', () => {
  const endings: [string, string, number][] = [
    [
      'at the end of its script',
      `const region = makeRegion(); const session = makeSession(); add(session);`,
      0,
    ],
    ['by process.exit()', `${openBoth} process.exit(3);`, 3],
    ['by an error nobody caught', `${openBoth} throw new Error('on purpose');`, 1],
    ['by an exit in the middle of a call', `${openBoth} setImmediate(() => process.exit(0));`, 0],
  ];
  for (const [name, script, code] of endings) {
    it(`${name} leaves no name behind`, async () => {
      const child = new ScriptProcess(freshName(), script);
      expect(await child.exited, child.errors).toEqual({ code, signal: null });
      expect(regionNames(prefix)).toEqual([]);
    });
  }

  it('by SIGKILL leaves the name, and a sweep removes it', async () => {
    const name = freshName();
    const child = new ScriptProcess(name, `${openBoth} console.log('open'); setInterval(() => {}, 1000);`);
    await child.until('open');
    await child.kill();
    expect(regionNames(prefix)).toEqual([name]);
    expect(native().sweepRegions(prefix)).toEqual([name]);
  });
});

describe('worker threads', () => {
  const start = (name: string, script: string): Worker => new Worker(prelude(name) + script, { eval: true });
  const report = `require('worker_threads').parentPort.postMessage(add(session));`;

  it('load the addon and use a session each, at the same time', async () => {
    const name = freshName();
    const region = new (native().NodeRegion)({ name, memoryBytes: 65536, prefault: false });
    region.ready();
    const script = `const session = makeSession(); for (let i = 0; i < 1000; i++) add(session); ${report}`;
    await Promise.all([0, 1, 2].map(() => ended(start(name, script))));
    expect(new Uint32Array(region.window(0, 8))[0]).toBe(3003);
    region.close();
  });

  it('end or are terminated without leaving a name, a thread or a mapping behind', async () => {
    await ended(start(freshName(), `${openBoth} region.close(); ${report}`));
    const before = census();
    for (let i = 0; i < 5; i++) {
      const worker = start(freshName(), `${openBoth} ${report} for (;;) add(session);`);
      await new Promise((resolve) => worker.once('message', resolve));
      await worker.terminate();
    }
    await ended(start(freshName(), `makeRegion(); const session = makeSession(); ${report}`));
    expect(regionNames(prefix)).toEqual([]);
    const after = census();
    // A mapping of an earlier test may have been collected meanwhile: fewer is no leak.
    expect(after.mapped).toBeLessThanOrEqual(before.mapped);
    expect({ ...after, mapped: before.mapped }).toEqual(before);
  });
});

describe('garbage collection', () => {
  it('keeps memory and doorbell usable for as long as either is referred to, and no longer', async () => {
    const child = new ScriptProcess(
      freshName(),
      `${census.toString()}
      ${settle.toString()}
      (async () => {
        const region = makeRegion();
        makeSession().close();
        await settle();
        const before = census();
        let session = makeSession();
        let parts = { local: session.local, control: session.control, doorbell: session.doorbell };
        session = null;
        await settle();
        for (let i = 0; i < 100; i++) add(parts);
        const sum = add(parts);
        let bytes = new Uint8Array(parts.local);
        parts = null;
        await settle();
        const sample = bytes[0] + bytes[65535];
        bytes = null;
        await settle();
        const same = JSON.stringify(before) === JSON.stringify(census());
        console.log(JSON.stringify({ sum, sample, same }));
        region.close();
      })();`,
      ['--expose-gc'],
    );
    expect(await child.exited, child.errors).toEqual({ code: 0, signal: null });
    expect(JSON.parse(child.output)).toEqual({ sum: 100, sample: 1, same: true });
  });
});

describe('hundreds of sessions opened and closed', () => {
  it('leave no file, thread, mapping or name behind, and no memory', async () => {
    const child = new ScriptProcess(
      freshName(),
      `${census.toString()}
      ${settle.toString()}
      const cycle = async (times) => {
        for (let i = 0; i < times; i++) {
          const region = makeRegion();
          region.serve(() => {});
          const session = makeSession(1 << 20);
          add(session);
          session.close();
          region.close();
          if (i % 10 === 0) { gc(); await new Promise((r) => setTimeout(r, 1)); }
        }
        await settle();
      };
      (async () => {
        await cycle(50);
        const before = { census: census(), rss: process.memoryUsage().rss };
        await cycle(300);
        const after = { census: census(), rss: process.memoryUsage().rss };
        console.log(JSON.stringify({ before, after }));
      })();`,
      ['--expose-gc'],
    );
    expect(await child.exited, child.errors).toEqual({ code: 0, signal: null });
    const { before, after } = JSON.parse(child.output);
    expect(after.census).toEqual(before.census);
    // 300 leaked sessions would hold 300 MiB; a sanitizer keeps freed memory for a while.
    if (process.env['FUSEE_SANITIZE'] === undefined) expect(after.rss - before.rss).toBeLessThan(20 << 20);
    expect(regionNames(prefix)).toEqual([]);
  });
});

/** Open files, threads of ours, and mappings of regions; written so that a child can run its text as well. */
function census(): Record<string, number> {
  const fs = process.getBuiltinModule?.('node:fs') ?? require('node:fs');
  const threads = fs.readdirSync('/proc/self/task').filter((task: string) => {
    try {
      return fs.readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('fusee-');
    } catch {
      return false;
    }
  });
  const maps = fs.readFileSync('/proc/self/maps', 'utf8').split('\n');
  const mapped = maps.filter((line: string) => line.includes('/dev/shm'));
  const files = fs.readdirSync('/proc/self/fd').filter((fd: string) => {
    try {
      return /pidfd|eventfd|shm/.test(fs.readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  });
  return { threads: threads.length, mapped: mapped.length, files: files.length };
}

/** Collects garbage until finalizers have run; for children, which have `gc`. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    globalThis.gc!();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Settles when the worker has ended by itself; fails when it threw. */
async function ended(worker: Worker): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}
