/** What stands around the requests of a client that has faults to come. */
import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../../fusee/fabric/memory.js';
import { MemoryNodes } from '../../fusee/fabric/memory-nodes.js';
import { type Coroutine, Outcome } from '../../fusee/ops/index.js';
import { type OpLoop, VerbBatch, word } from '../../fusee/verbs/index.js';
import { FaultyClient } from './faulty-client.js';
import { PatientSource } from './patience.js';

describe('a client with faults to come', () => {
  it('hears of every batch before any verb of it is posted: a journal is written there', () => {
    const nodes = new MemoryNodes([4096]);
    const inner = new MemoryFabric(nodes);
    const heard: number[][] = [];
    const { fabric } = new FaultyClient({
      fabric: inner,
      faults: { mayDie: true, crashes: [], links: [] },
      windowNs: () => Number.POSITIVE_INFINITY,
      report: () => null,
      beforePost: () => heard.push([inner.outstanding, nodes.load(0, 0, word()).lo]),
    });
    const batch = new VerbBatch(fabric.local, 1);
    for (let i = 0; i < 2; i++) {
      batch.reset().faa(0, 0, word(0, 1));
      fabric.post(batch);
      fabric.poll([]);
    }
    expect(heard).toEqual([
      [0, 0],
      [0, 1],
    ]);
    expect(nodes.load(0, 0, word()).lo).toBe(2);
  });
});

describe('patience', () => {
  it('lets a coroutine rest that got no answer, and no other', () => {
    let nowNs = 1e9;
    const loop = {} as OpLoop;
    const source = new PatientSource(
      { next: () => loop, ended: () => {}, ledger: () => null as never },
      { coroutines: 2, nowNs: () => nowNs },
    );
    const [first, second] = [0, 1].map(
      (coroutine) => ({ cx: { coroutine, outcome: 0 } }) as unknown as Coroutine,
    );
    first.cx.outcome = Outcome.UNAVAILABLE;
    second.cx.outcome = Outcome.OK;
    for (const one of [first, second]) source.ended(one, 0, 0);
    expect([source.next(first), source.next(second), source.isResting]).toEqual([null, loop, true]);
    nowNs += 5e6;
    expect([source.next(first), source.isResting]).toEqual([loop, false]);
  });
});
