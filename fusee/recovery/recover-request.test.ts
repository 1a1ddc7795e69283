import { describe, expect, it } from 'vitest';
import { runToDone, SequentialClient, stage } from '../client/sequential.js';
import { MemoryFabric } from '../fabric/memory.js';
import { Geometry, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { type Context, Outcome, RequestKind } from '../ops/index.js';
import { DONE, type OpLoop, type VerbBatch } from '../verbs/index.js';
import { type LoggedObject, Recovered, recoverRequest } from './index.js';

const KINDS = { INSERT: RequestKind.INSERT, UPDATE: RequestKind.UPDATE, DELETE: RequestKind.DELETE } as const;

function pool(indexReplicas: number) {
  const config = smallPool({ nodes: 4, indexReplicas, dataReplicas: 2 });
  const nodes = makeNodes(config);
  const view = new View(new Geometry(config));
  const client = (cid: number) =>
    new SequentialClient(new MemoryFabric(nodes, { localBytes: 1 << 20 }), {
      view,
      cid,
      cache: { bytes: 0, keyBytes: 32, threshold: 1 },
    });
  return { client };
}

/** Runs a request's first `batches` batches and abandons it there; undefined when it ended before. */
function dieAfter(
  c: SequentialClient,
  request: { kind: RequestKind; key: string; value: string },
  batches: number,
) {
  const { cx, loops } = c.coroutine;
  stage(c.coroutine, Buffer.from(request.key), Buffer.from(request.value));
  const done: VerbBatch[] = [];
  let batch = loops[request.kind].next().value;
  for (let i = 0; i < batches && batch !== DONE; i++) {
    c.fabric.post(batch);
    c.fabric.poll(done);
    batch = loops[request.kind].next().value;
  }
  return batch === DONE ? undefined : { cell: cx.cell, sizeClass: cx.sizeClass };
}

function recover(c: SequentialClient, object: LoggedObject): Recovered {
  let result: Recovered | undefined;
  function* loop(cx: Context): OpLoop {
    for (;;) {
      result = yield* recoverRequest(cx, object);
      yield DONE;
    }
  }
  runToDone(c.fabric, loop(c.coroutine.cx));
  return result as Recovered;
}

describe.each([1, 2, 3])('a client that dies, with %i index replicas', (replicas) => {
  describe.each(['INSERT', 'UPDATE', 'DELETE'] as const)('in the middle of %s', (name) => {
    it.each([10, 3100])(
      'holds up nobody once it is recovered, and recovering again changes nothing (%i bytes)',
      (bytes) => {
        const reached = new Set<Recovered>();
        for (let batches = 0; batches < 12; batches++) {
          const { client } = pool(replicas);
          const [victim, recoverer, other] = [client(1), client(2), client(3)];
          const before = 'before'.padEnd(bytes, '.');
          const after = 'after'.padEnd(bytes, '.');
          if (name !== 'INSERT') expect(other.insert('k', before)).toBe(Outcome.OK);
          expect(victim.insert('warm up', after)).toBe(Outcome.OK);
          expect(victim.delete('warm up')).toBe(Outcome.OK);
          const object = dieAfter(victim, { kind: KINDS[name], key: 'k', value: after }, batches);
          if (object === undefined) break;
          const recovered = recover(recoverer, object);
          reached.add(recovered);
          const absent = Outcome.NOT_FOUND;
          const [was, becomes] = {
            INSERT: [absent, after],
            UPDATE: [before, after],
            DELETE: [before, absent],
          }[name];
          expect(other.search('k'), `after ${batches} batches`).toBe(
            recovered === Recovered.FINISHED ? becomes : was,
          );
          const again = recover(client(4), object);
          expect([Recovered.NOTHING_TO_DO, Recovered.DROPPED]).toContain(again);
          expect(other.put('k', 'next')).toBe(Outcome.OK);
          expect(client(5).search('k')).toBe('next');
        }
        expect(reached).toContain(Recovered.DROPPED);
        if (replicas > 1) expect(reached).toContain(Recovered.FINISHED);
      },
    );
  });
});
