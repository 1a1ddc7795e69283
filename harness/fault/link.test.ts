/** Slow and cut links around the shared-memory fabric: the contract's rules still hold. */
import { afterAll, describe, expect, it } from 'vitest';
import { Suite } from '../../fusee/fabric/conformance/harness.js';
import { describeQueue, describeVerbs } from '../../fusee/fabric/conformance/one-client.js';
import { describeRpc } from '../../fusee/fabric/conformance/rpc.js';
import { shmHarness } from '../../fusee/fabric/conformance/shm-harness.js';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import { sweepRegions } from '../../fusee/fabric/shm-process.js';
import { Status, VerbBatch, word } from '../../fusee/verbs/index.js';
import { LinkFabric } from './link.js';
import type { LinkFault } from './plan.js';

const slow = (byNs: number, node?: number): LinkFault => ({
  kind: 'delay',
  client: 0,
  node,
  fromNs: 0,
  toNs: Number.POSITIVE_INFINITY,
  byNs,
});

const shm = shmHarness();
afterAll(async () => {
  await shm.end();
  sweepRegions(`test-${process.pid}`);
});

describe('a fabric with a slow link keeps the contract', () => {
  const suite = new Suite({
    skips: {
      'a full queue refuses with false, and takes more after a poll':
        'what is held takes no place in the queue',
    },
    start: async (memoryBytes) => {
      const pool = await shm.start(memoryBytes);
      return {
        attach: (options) => new LinkFabric(pool.attach(options), [slow(20_000, 0)], () => 0),
        kill: (mn) => pool.kill(mn),
        run: (program, args) => pool.run(program, args),
        close: () => pool.close(),
      };
    },
  });
  describeVerbs(suite);
  describeQueue(suite);
  describeRpc(suite);
  suite.finish();
});

/** Two nodes in this process, whose time a test sets. */
function setUp(faults: readonly LinkFault[]) {
  const nodes = new MemoryNodes([4096, 4096]);
  const fabric = new LinkFabric(new MemoryFabric(nodes), faults, () => 1000);
  nodes.nowNs = 1000;
  const batchOf = (fill: (batch: VerbBatch) => void): VerbBatch => {
    const batch = new VerbBatch(fabric.local, 8);
    fill(batch);
    return batch;
  };
  return { nodes, fabric, batchOf };
}

describe('a slow link', () => {
  it('lets verbs to its node execute so much later, and those to others at once', () => {
    const { nodes, fabric, batchOf } = setUp([slow(500, 1)]);
    const batch = batchOf((b) => {
      b.faa(0, 0, word(0, 1));
      b.faa(1, 8, word(0, 1));
      b.read8(0, 0);
    });
    expect(fabric.post(batch)).toBe(true);
    const done: VerbBatch[] = [];
    expect([fabric.poll(done), fabric.outstanding]).toEqual([0, 1]);
    expect([nodes.load(0, 0, word()).lo, nodes.load(1, 8, word()).lo]).toEqual([1, 0]);
    nodes.nowNs = 1490;
    expect([fabric.poll(done), nodes.load(1, 8, word()).lo]).toEqual([0, 0]);
    nodes.nowNs = 1500;
    expect([fabric.poll(done), done[0], fabric.outstanding]).toEqual([1, batch, 0]);
    expect(nodes.load(1, 8, word()).lo).toBe(1);
    expect([batch.foundLo(0), batch.foundLo(1), batch.foundLo(2)]).toEqual([0, 0, 1]);
    expect([batch.postedNs, batch.completedNs >= 1500]).toEqual([1000, true]);
  });

  it('keeps verbs to one node in order, also those posted when the link is whole again', () => {
    const { nodes, fabric, batchOf } = setUp([{ ...slow(500, 1), toNs: 100 }]);
    const [first, second] = [2, 3].map((value) =>
      batchOf((b) => {
        b.cas(1, 0, word(0, value - 2), word(0, value));
      }),
    );
    // The first CAS takes 0 to 2; the second expects 1 and finds 2, or 0 if it overtakes.
    fabric.post(first);
    nodes.nowNs = 1200;
    fabric.post(second);
    const done: VerbBatch[] = [];
    expect(fabric.poll(done)).toBe(0);
    nodes.nowNs = 1600;
    expect([fabric.poll(done), done.slice(0, 2)]).toEqual([2, [first, second]]);
    expect([first.foundLo(0), second.foundLo(0)]).toEqual([0, 2]);
  });
});

describe('a cut link', () => {
  it('FAILs verbs to its node unexecuted, executes the others, and is whole again in time', () => {
    const { nodes, fabric, batchOf } = setUp([{ ...slow(0, 1), kind: 'drop', toNs: 500 }]);
    const batch = batchOf((b) => {
      b.faa(1, 0, word(0, 1));
      b.faa(0, 0, word(0, 1));
    });
    const done: VerbBatch[] = [];
    fabric.post(batch);
    expect([fabric.poll(done), batch.status(0), batch.status(1)]).toEqual([1, Status.FAIL, Status.OK]);
    expect([nodes.load(1, 0, word()).lo, nodes.load(0, 0, word()).lo]).toEqual([0, 1]);
    const alone = batchOf((b) => b.read8(1, 0));
    fabric.post(alone);
    expect(fabric.outstanding).toBe(1);
    expect([fabric.poll(done), done[0], alone.status(0), fabric.outstanding]).toEqual([
      1,
      alone,
      Status.FAIL,
      0,
    ]);
    nodes.nowNs = 1500;
    fabric.post(batch);
    expect([fabric.poll(done), batch.status(0), batch.status(1)]).toEqual([1, Status.OK, Status.OK]);
  });
});
