import { chmodSync, chownSync, closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { type NodeRegion, native } from './index.js';
import { regionNames, ScriptProcess } from './test-process.js';

const prefix = `fusee-region-test-${process.pid}-`;
let count = 0;
const freshName = (): string => `${prefix}${count++}`;
const open: { close(): void }[] = [];

function make(name: string, memoryBytes = 65536): NodeRegion {
  const region = new (native().NodeRegion)({ name, memoryBytes, prefault: false });
  open.push(region);
  return region;
}
const attach = (name: string): void => {
  const options = { localBytes: 4096, queueCapacity: 4, rttNs: 0, rpcTimeoutNs: 1e9, prefault: true };
  open.push(new (native().ClientSession)({ regions: [name], ...options }));
};

afterEach(() => {
  for (const one of open.splice(0)) one.close();
  for (const name of regionNames(prefix)) rmSync(`/dev/shm/${name}`);
});

describe('a region', () => {
  it('is there under its name until its owner closes it, readable by nobody else', () => {
    const name = freshName();
    const region = make(name);
    expect(regionNames(prefix)).toEqual([name]);
    region.ready();
    attach(name);
    region.close();
    expect(regionNames(prefix)).toEqual([]);
    expect(new Uint8Array(region.window(0, 65536)).length).toBe(65536);
  });

  it('is not made over a living one, and the message names its holder', () => {
    const name = freshName();
    make(name);
    expect(() => make(name)).toThrow(`exists already, held by process ${process.pid}`);
    expect(regionNames(prefix)).toEqual([name]);
  });

  it('is refused before anything exists when shared memory is too small', () => {
    expect(() => make(freshName(), 2 ** 46)).toThrow(/needs \d+ bytes of shared memory.*\d+ available/);
    expect(regionNames(prefix)).toEqual([]);
  });

  it('has a name that cannot lead elsewhere', () => {
    for (const name of ['../etc', 'fusee-', 'other', 'fusee-a/b', 'fusee-ä', `fusee-${'x'.repeat(200)}`]) {
      expect(() => make(name)).toThrow('is no region name');
      expect(() => attach(name)).toThrow('is no region name');
    }
  });
});

describe('attaching', () => {
  it('refuses a region that is not there, and one that is not ready', () => {
    const name = freshName();
    expect(() => attach(name)).toThrow('is not there: start its memory node first');
    const region = make(name);
    expect(() => attach(name)).toThrow('is not ready yet');
    region.ready();
    attach(name);
  });

  it('refuses another fabric version, naming both', () => {
    const name = freshName();
    make(name).ready();
    patch(name, 8, [99]);
    expect(() => attach(name)).toThrow(/has fabric version 99, this program speaks 2:/);
  });

  it('refuses what is no region', () => {
    const name = freshName();
    writeFileSync(`/dev/shm/${name}`, 'short', { mode: 0o600 });
    expect(() => attach(name)).toThrow('it is no region');
    make(`${name}b`).ready();
    patch(`${name}b`, 0, [0]);
    expect(() => attach(`${name}b`)).toThrow('magic number');
  });

  it('refuses a mode by which others could change the memory', () => {
    const name = freshName();
    make(name).ready();
    chmodSync(`/dev/shm/${name}`, 0o620);
    expect(() => attach(name)).toThrow('has mode 0620');
  });

  const isRoot = process.getuid?.() === 0;
  it.skipIf(!isRoot)(
    `refuses the region of another user${isRoot ? '' : ' [skipped: needs root to chown]'}`,
    () => {
      const name = freshName();
      make(name).ready();
      chownSync(`/dev/shm/${name}`, 12345, 12345);
      expect(() => attach(name)).toThrow('belongs to user 12345');
    },
  );

  it('refuses a region whose owner died, and so does making it anew, until it is swept', async () => {
    const name = freshName();
    const owner = await dead(name);
    expect(() => attach(name)).toThrow(`was left behind by process ${owner}`);
    expect(() => make(name)).toThrow(`was left behind by process ${owner}`);
    expect(native().sweepRegions(prefix)).toEqual([name]);
    make(name).ready();
    attach(name);
  });
});

describe('sweeping', () => {
  it('removes regions of dead owners only, and no file of others', async () => {
    const [alive, stale, foreign] = [freshName(), freshName(), freshName()];
    make(alive);
    await dead(stale);
    writeFileSync(`/dev/shm/${foreign}`, 'x'.repeat(100), { mode: 0o600 });
    expect(native().sweepRegions(prefix)).toEqual([stale]);
    expect(regionNames(prefix).sort()).toEqual([alive, foreign].sort());
    expect(native().sweepRegions(prefix)).toEqual([]);
  });

  it('never takes a region that another process is just making', async () => {
    const name = freshName();
    const maker = new ScriptProcess(
      name,
      `const end = Date.now() + 500;
       let made = 0;
       while (Date.now() < end) {
         const region = makeRegion();
         makeSession().close();
         region.close();
         made++;
       }
       console.log('made', made);`,
    );
    let isOver = false;
    const exited = maker.exited.then((exit) => {
      isOver = true;
      return exit;
    });
    const swept: string[] = [];
    while (!isOver) {
      swept.push(...native().sweepRegions(prefix));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await exited, maker.errors).toEqual({ code: 0, signal: null });
    expect(swept).toEqual([]);
  });
});

/** Overwrites bytes of the region's header. */
function patch(name: string, at: number, bytes: readonly number[]): void {
  const fd = openSync(`/dev/shm/${name}`, 'r+');
  writeSync(fd, Uint8Array.from(bytes), 0, bytes.length, at);
  closeSync(fd);
}

/** Leaves a ready region behind, of a process that was killed; returns its pid. */
async function dead(name: string): Promise<number> {
  const owner = new ScriptProcess(name, `makeRegion(); console.log('made'); setInterval(() => {}, 1000);`);
  await owner.until('made');
  await owner.kill();
  return owner.child.pid!;
}
