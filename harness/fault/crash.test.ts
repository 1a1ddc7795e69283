/** Steps have their names, and a batch is cut short where it is to be. The death itself: harness/e2e. */
import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import { LOG_COMMIT_BYTES } from '../../fusee/layout/index.js';
import type { Coroutine } from '../../fusee/ops/index.js';
import { SlotWrite } from '../../fusee/replication/index.js';
import { type OpLoop, VerbBatch, word } from '../../fusee/verbs/index.js';
import { Crasher, lastWordsOf } from './crash.js';
import { stepOf } from './steps.js';
import type { CrashPoint } from './timeline.js';

const vOld = word(0, 1);
const vNew = word(0, 2);

function setUp(points: readonly CrashPoint[] = []) {
  const nodes = new MemoryNodes([4096, 4096, 4096]);
  const fabric = new MemoryFabric(nodes);
  const batch = new VerbBatch(fabric.local, 8);
  const write = new SlotWrite(batch);
  write.slot.count = 3;
  for (let r = 0; r < 3; r++) {
    write.slot.mn[r] = r;
    write.slot.offsetBytes[r] = 64;
    nodes.store(r, 64, vOld.lo, vOld.hi);
  }
  Object.assign(write.vOld, vOld);
  Object.assign(write.vNew, vNew);
  const loops = Array.from({ length: 5 }, () => ({}) as OpLoop);
  const coroutine = { cx: { coroutine: 0, write }, loops } as unknown as Coroutine;
  const deaths: string[] = [];
  const crasher = new Crasher(points, [coroutine], {
    report: () => null,
    dies: (words) => deaths.push(words),
  });
  let kind = 2;
  const source = crasher.watching({ next: () => loops[kind], ended: () => {}, ledger: () => null as never });
  /** Begins a request of that kind. */
  const begin = (request: number): void => {
    kind = request;
    source.next(coroutine);
  };
  const backups = (): VerbBatch => {
    batch.reset();
    for (const mn of [1, 2]) batch.cas(mn, 64, vOld, vNew);
    return batch;
  };
  const slots = (): number[] => [0, 1, 2].map((mn) => nodes.load(mn, 64, word()).lo);
  return { nodes, fabric, batch, write, crasher, begin, backups, slots, deaths };
}

describe('a step', () => {
  it('is named by what its batch does', () => {
    const { batch, write } = setUp();
    const name = (fill: (b: VerbBatch) => void): string => {
      fill(batch.reset());
      return stepOf(batch, write);
    };
    expect([
      name((b) => b.read(0, 128, 0, 128)),
      name((b) => b.write(1, 256, 0, 192)),
      name((b) => b.cas(1, 64, vOld, vNew)),
      name((b) => b.read8(0, 64)),
      name((b) => b.cas(2, 64, word(0, 9), vNew)),
      name((b) => b.write(1, 300, 0, LOG_COMMIT_BYTES)),
      name((b) => b.cas(0, 64, vOld, vNew)),
      name((b) => b.cas(1, 64, vNew, word(0, 7))),
      name((b) => {
        b.read8(0, 64);
        b.isPoll = true;
      }),
      name((b) => b.write(1, 300, 0, 1)),
      name((b) => b.rpc(1, { local: 0, lengthBytes: 8 }, { local: 64, capacityBytes: 8 })),
    ]).toEqual([
      'read',
      'write',
      'backup CAS',
      'read primary',
      'fix CAS',
      'log commit',
      'primary CAS',
      'undo CAS',
      'poll',
      'reset',
      'RPC',
    ]);
    // Deferred resets ahead of a batch's own verbs are not the step.
    const own = name((b) => {
      b.write(1, 300, 0, 1);
      b.markBackground();
      b.write(1, 256, 0, 192);
    });
    expect(own).toBe('write');
  });
});

describe('a crash', () => {
  const point = { operation: 'UPDATE', batch: 'backup CAS', verb: 1, occurrence: 2 } as const;

  it('comes at its occurrence, behind the verbs ahead of it and before the others', () => {
    const { fabric, crasher, begin, backups, slots, deaths } = setUp([point]);
    begin(2);
    crasher.beforePost(backups(), fabric, true);
    // Another operation, and time before the window, do not count.
    begin(3);
    crasher.beforePost(backups(), fabric, true);
    begin(2);
    crasher.beforePost(backups(), fabric, false);
    expect([deaths.length, slots()]).toEqual([0, [1, 1, 1]]);
    begin(2);
    crasher.beforePost(backups(), fabric, true);
    expect([deaths.length, slots()]).toEqual([1, [1, 2, 1]]);
    expect(lastWordsOf(deaths[0])).toMatchObject({
      point,
      step: 'backup CAS',
      executed: 1,
      vOld: '1',
      vNew: '2',
    });
  });

  it('goes by the number of the round trip too, and is no concern of background work', () => {
    const { fabric, crasher, begin, backups, slots, deaths, batch } = setUp([
      { ...point, batch: 2, verb: 9, occurrence: 1 },
    ]);
    begin(2);
    crasher.beforePost(backups(), fabric, true);
    expect(deaths.length).toBe(0);
    batch.tag = 1;
    crasher.beforePost(backups(), fabric, true);
    expect(deaths.length).toBe(0);
    batch.tag = 0;
    crasher.beforePost(backups(), fabric, true);
    expect([deaths.length, slots()]).toEqual([1, [1, 2, 2]]);
  });

  it('tears a WRITE at the byte, and waits for one that is long enough', () => {
    const torn = { operation: 'UPDATE', batch: 1, verb: 1, occurrence: 1, bytes: 11 } as const;
    const { nodes, fabric, crasher, begin, batch, deaths } = setUp([torn]);
    fabric.local.bytes.fill(7, 2048, 2048 + 64);
    const object = (lengthBytes: number): VerbBatch => {
      batch.reset().write(0, 512, 2048, lengthBytes);
      batch.write(1, 512, 2048, lengthBytes);
      return batch;
    };
    begin(2);
    crasher.beforePost(object(11), fabric, true);
    expect(deaths.length).toBe(0);
    begin(2);
    crasher.beforePost(object(64), fabric, true);
    expect(deaths.length).toBe(1);
    const bytes = (mn: number): number => {
      const into = new Uint8Array(64);
      nodes.read(mn, 512, into, 0, 64);
      return into.filter((byte) => byte === 7).length;
    };
    expect([bytes(0), bytes(1)]).toEqual([64, 11]);
  });

  it('is told by last words, and by nothing else on standard error', () => {
    expect(lastWordsOf('some warning\nfusee-crash {"step":"write"}\n')).toEqual({ step: 'write' });
    expect(lastWordsOf('Error: fusee-crash {}')).toBeNull();
    expect(lastWordsOf('fusee-crash {"step":"write"}\nfusee-died 5\n')).toEqual({ step: 'write', diedNs: 5 });
  });
});
