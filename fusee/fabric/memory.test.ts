import { describe, expect, it } from 'vitest';
import { Status, VerbBatch, word } from '../verbs/index.js';
import { serveConformance } from './conformance/service.js';
import { describeFabric, type FabricHarness, type FabricPool } from './conformance.js';
import { executePart, executeVerb } from './execute-verb.js';
import { MemoryFabric } from './memory.js';
import { MemoryNodes } from './memory-nodes.js';

const oneThread = 'everything runs on one thread, batch by batch';
const inOneCall = 'a call is served within the poll that posts it, so no answer can be late or lost';

const harness: FabricHarness = {
  skips: {
    'FAA loses no addition': oneThread,
    'CAS lets one of two win': oneThread,
    'an unaligned 9-byte WRITE never changes the bytes beside it': oneThread,
    'a WRITE lands in ascending order, whole words at a time': oneThread,
    'a READ does not overtake a WRITE posted before it': oneThread,
    'nothing posted before a fence executes after it': oneThread,
    'a call that waits behind others is not served after the fence of its client': oneThread,
    'a late answer is not taken for the answer to a later request': inOneCall,
    'a call that the MN was serving FAILs when it dies': inOneCall,
  },
  async start(memoryBytes): Promise<FabricPool> {
    const nodes = new MemoryNodes(memoryBytes);
    for (let mn = 0; mn < nodes.count; mn++) {
      nodes.serve(
        mn,
        serveConformance((offset, lengthBytes) => {
          const into = new Uint8Array(lengthBytes);
          nodes.read(mn, offset, into, 0, lengthBytes);
          return into;
        }),
      );
    }
    return {
      attach: (options) => new MemoryFabric(nodes, options),
      kill: async (mn) => nodes.kill(mn),
      run: () => {
        throw new Error(oneThread);
      },
      close: async () => {},
    };
  },
};

describeFabric('memory fabric', harness);

describe('memory nodes', () => {
  it('are copied with what they hold; what is written to one is not in the other', () => {
    const nodes = new MemoryNodes([2 ** 20, 2 ** 20]);
    nodes.store(1, 70_000, 5, 6);
    const copy = nodes.copy();
    copy.store(0, 8, 1, 0);
    nodes.store(1, 70_000, 7, 7);
    expect(copy.load(1, 70_000, word())).toEqual(word(6, 5));
    expect(nodes.load(0, 8, word())).toEqual(word());
  });

  it('take a page only where somebody wrote', () => {
    const nodes = new MemoryNodes([2 ** 47]);
    nodes.store(0, 2 ** 46 + 8, 1, 2);
    expect(nodes.load(0, 2 ** 46 + 8, word())).toEqual(word(2, 1));
    expect(nodes.load(0, 2 ** 46 + 16, word())).toEqual(word());
    expect(nodes.changes).toBe(1);
  });

  it('execute one verb at a time, and a WRITE in parts', () => {
    const nodes = new MemoryNodes([4096]);
    const fabric = new MemoryFabric(nodes);
    const buffer = fabric.local.reserve(64);
    const batch = new VerbBatch(fabric.local, 2);
    fabric.local.bytes.fill(9, buffer, buffer + 24);
    batch.write(0, 16, buffer, 24);
    batch.faa(0, 8, word(0, 1));
    executeVerb(nodes, batch, 1);
    expect([batch.status(0), batch.status(1)]).toEqual([Status.PENDING, Status.OK]);
    executePart(nodes, batch, 0, { fromBytes: 0, toBytes: 11 });
    expect(batch.status(0)).toBe(Status.PENDING);
    expect(nodes.load(0, 16, word())).toEqual(word(0x09090909, 0x09090909));
    expect(nodes.load(0, 24, word())).toEqual(word(0, 0x00090909));
    executePart(nodes, batch, 0, { fromBytes: 11, toBytes: 24 });
    expect(batch.status(0)).toBe(Status.OK);
    expect(nodes.load(0, 32, word())).toEqual(word(0x09090909, 0x09090909));
  });

  it('FAIL over a cut link while the MN lives for others', () => {
    const nodes = new MemoryNodes([4096]);
    const [cut, whole] = [new MemoryFabric(nodes), new MemoryFabric(nodes)];
    cut.cutLink(0, true);
    const run = (fabric: MemoryFabric): Status => {
      const batch = new VerbBatch(fabric.local, 1);
      batch.faa(0, 0, word(0, 1));
      fabric.post(batch);
      fabric.poll([]);
      return batch.status(0);
    };
    expect([run(cut), run(whole)]).toEqual([Status.FAIL, Status.OK]);
    cut.cutLink(0, false);
    expect(run(cut)).toBe(Status.OK);
    expect(nodes.load(0, 0, word())).toEqual(word(0, 2));
  });
});
