/** Blocks that go back, go to another client, or were granted without the client's knowing. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryFabric } from '../fabric/memory.js';
import { Geometry, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { Ledger, type Op, Opcode, type VerbBatch } from '../verbs/index.js';
import { Allocator } from './allocate.js';
import { Allocation } from './holdings.js';
import { type ListedBlock, ORPHAN, RpcOperation, readRequest } from './rpc.js';
import { Slab } from './slab.js';

const CLASS = 6;
const config = smallPool({ regionBytes: 1 << 20, regionsPerNode: 1, dataReplicas: 2 });
const geometry = new Geometry(config);
const view = new View(geometry);
const { blockBytes, regionBytes } = config;

let nodes = makeNodes(config);
/** What becomes of the next RPCs, in their order: lost on the way there, or back, or executed late. */
let fates: ('ok' | 'request' | 'answer' | 'late')[] = [];
let late: (() => void)[] = [];
let served: number[] = [];
beforeEach(() => {
  nodes = makeNodes(config);
  fates = [];
  late = [];
  served = [];
  const call = nodes.call.bind(nodes);
  nodes.call = (mn, request) => {
    const fate = fates.shift() ?? 'ok';
    const copy = request.slice();
    if (fate === 'late') late.push(() => call(mn, copy));
    if (fate === 'request' || fate === 'late') return undefined;
    served.push(readRequest(request, 0).operation);
    const answer = call(mn, request);
    return fate === 'answer' ? undefined : answer;
  };
});

class Client {
  readonly cid: number;
  readonly fabric = new MemoryFabric(nodes);
  readonly slab = new Slab(view, 2);
  readonly lanes: Allocator[];
  readonly granted: number[] = [];
  ledger = new Ledger();

  constructor(cid: number) {
    this.cid = cid;
    const add = this.slab.addBlock.bind(this.slab);
    this.slab.addBlock = (sizeClass, pointer) => {
      this.granted.push(pointer);
      return add(sizeClass, pointer);
    };
    this.lanes = [0, 1].map(
      (lane) => new Allocator({ view, slab: this.slab, cid, local: this.fabric.local }, lane),
    );
  }

  /** Executes one batch. */
  execute(batch: VerbBatch): void {
    this.fabric.post(batch);
    this.fabric.poll([]);
    this.ledger.add(batch);
  }

  run<T>(op: Op<T>): T {
    for (let step = op.next(); ; step = op.next()) {
      if (step.done) return step.value;
      this.execute(step.value);
    }
  }

  /** A block of its own. */
  block(lane = 0): number {
    expect(this.run(this.lanes[lane].refill(CLASS))).toBe(Allocation.OK);
    return this.granted.at(-1) as number;
  }

  list(mn: number, cid = this.cid): ListedBlock[] | undefined {
    return this.run(this.lanes[1].list(mn, cid));
  }

  /** Every block of this client by the primaries' tables. */
  owned(cid = this.cid): number[] {
    return [0, 1, 2]
      .flatMap((mn) => (this.list(mn, cid) as ListedBlock[]).map((b) => b.pointer))
      .sort((a, b) => a - b);
  }
}

const bytesAt = (mn: number, offset: number, lengthBytes: number): Uint8Array => {
  const bytes = new Uint8Array(lengthBytes);
  nodes.read(mn, offset, bytes, 0, lengthBytes);
  return bytes;
};
const wordsAt = (mn: number, offset: number): number[] => [...new Uint32Array(bytesAt(mn, offset, 8).buffer)];
const entry = (pointer: number, replica: number): number[] => {
  const region = Math.floor(pointer / regionBytes);
  const at = view.tableOffset(region, replica) + (8 * (pointer % regionBytes)) / blockBytes;
  return wordsAt(view.dataMn(pointer, replica), at);
};
const header = (pointer: number, replica: number): number[] =>
  wordsAt(view.dataMn(pointer, replica), view.dataOffset(pointer, replica));
/** Fills a block with bytes on all replicas, as objects would, and the block's neighbours' edges. */
function fill(pointer: number): void {
  for (let r = 0; r < 2; r++) {
    const junk = new Uint8Array(blockBytes).fill(0xab);
    nodes.write(view.dataMn(pointer, r), view.dataOffset(pointer, r), junk, 0, blockBytes);
  }
}
const isZero = (pointer: number, replica: number): boolean =>
  bytesAt(view.dataMn(pointer, replica), view.dataOffset(pointer, replica), blockBytes).every((b) => b === 0);

describe('a block given back', () => {
  it('is zero on every replica, all of it and nothing else, and in no table, before it can be granted', () => {
    const c = new Client(4);
    const [before, pointer, behind] = [c.block(), c.block(), c.block()];
    for (const p of [before, pointer, behind]) fill(p);
    c.ledger = new Ledger();
    const op = c.lanes[0].free(pointer);
    for (let step = op.next(); !step.done; step = op.next()) {
      const batch = step.value;
      expect([batch.backgroundCount, batch.count <= 8]).toEqual([batch.count, true]);
      const isLast = batch.opcode(0) === Opcode.RPC;
      // The primary's entry stays until the very last.
      expect(entry(pointer, 0)).toEqual([4, CLASS + 1]);
      if (isLast)
        expect([isZero(pointer, 0), isZero(pointer, 1), ...entry(pointer, 1)]).toEqual([true, true, 0, 0]);
      c.execute(batch);
    }
    expect([entry(pointer, 0), entry(pointer, 1)]).toEqual([
      [0, 0],
      [0, 0],
    ]);
    for (const p of [before, behind]) expect([isZero(p, 0), header(p, 0)[0]]).toEqual([false, 0xabababab]);
    expect(c.owned()).toEqual([before, behind]);
    const other = new Client(1);
    expect([other.block(), header(pointer, 1)]).toEqual([pointer, [1, CLASS + 1]]);
  });

  it("stays its client's when a replica is silent, and may be given back later", () => {
    const c = new Client(4);
    const pointer = c.block();
    fill(pointer);
    const backup = view.dataMn(pointer, 1);
    c.fabric.cutLink(backup, true);
    expect(c.run(c.lanes[0].free(pointer))).toBe(false);
    expect(served).not.toContain(RpcOperation.FREE);
    expect(entry(pointer, 0)).toEqual([4, CLASS + 1]);
    c.fabric.cutLink(backup, false);
    // It is not taken for a lost grant meanwhile.
    c.run(c.lanes[1].reclaimLostGrants(view.dataMn(pointer, 0), () => false));
    expect(served).not.toContain(RpcOperation.FREE);
    expect(c.run(c.lanes[0].free(pointer))).toBe(true);
    expect(c.owned()).toEqual([]);
  });

  it('whose answer is lost is freed once, though the client gets it again', () => {
    const c = new Client(4);
    const pointer = c.block();
    fates = ['answer', 'answer', 'answer'];
    expect(c.run(c.lanes[0].free(pointer))).toBe(true);
    // Another lane gets it; then the first one looks after what it does not know.
    expect(c.block(1)).toBe(pointer);
    c.block(0);
    expect(c.owned()).toEqual([pointer, c.granted[2]].sort((a, b) => a - b));
    expect(header(pointer, 0)).toEqual([4, CLASS + 1]);
  });

  it('is kept for a sibling that is granted it before the answer is here', () => {
    const c = new Client(4);
    const pointer = c.block();
    fates = ['answer'];
    const frees = c.lanes[0].free(pointer);
    for (let step = frees.next(); ; step = frees.next()) {
      c.execute(step.value as VerbBatch);
      if ((step.value as VerbBatch).opcode(0) === Opcode.RPC) break;
    }
    expect(c.block(1)).toBe(pointer);
    expect(c.run(frees)).toBe(true);
    c.run(c.lanes[0].reclaimLostGrants(view.dataMn(pointer, 0), () => false));
    expect([c.owned(), header(pointer, 0)]).toEqual([[pointer], [4, CLASS + 1]]);
  });

  it('whose request is lost is freed by the next refill of its lane, and by no other lane before', () => {
    const c = new Client(4);
    const pointer = c.block();
    fates = ['late', 'request', 'request'];
    expect(c.run(c.lanes[0].free(pointer))).toBe(true);
    const mn = view.dataMn(pointer, 0);
    c.run(c.lanes[1].reclaimLostGrants(mn, () => false));
    expect(served).not.toContain(RpcOperation.FREE);
    c.block(0);
    expect(served.filter((o) => o === RpcOperation.FREE)).toHaveLength(1);
    // The lost one arrives at last: too late, the block has an owner again.
    expect(c.granted[1]).toBe(pointer);
    late[0]();
    expect(c.owned()).toEqual([pointer]);
  });
});

describe('a block handed on', () => {
  it('is given away with its objects, and taken over by one of two, that enters it as its own', () => {
    const [giver, a, b] = [new Client(4), new Client(5), new Client(6)];
    const pointer = giver.block();
    const object = new Uint8Array(64).fill(0xcd);
    for (let r = 0; r < 2; r++)
      nodes.write(view.dataMn(pointer, r), view.dataOffset(pointer, r) + 4096, object, 0, 64);
    expect(giver.run(giver.lanes[0].giveAway(pointer))).toBe(true);
    expect([entry(pointer, 0), entry(pointer, 1)]).toEqual([
      [ORPHAN, CLASS + 1],
      [ORPHAN, CLASS + 1],
    ]);
    const mn = view.dataMn(pointer, 0);
    expect(a.run(a.lanes[0].adopt(mn, CLASS + 1))).toBeUndefined();
    // Both have read the list before either takes.
    const [takesA, takesB] = [a.lanes[0].adopt(mn, CLASS), b.lanes[0].adopt(mn, CLASS)];
    a.execute(takesA.next().value as VerbBatch);
    b.execute(takesB.next().value as VerbBatch);
    expect([b.run(takesB), a.run(takesA)]).toEqual([pointer, undefined]);
    for (let r = 0; r < 2; r++) {
      expect([entry(pointer, r), header(pointer, r)]).toEqual([
        [6, CLASS + 1],
        [6, CLASS + 1],
      ]);
      expect(bytesAt(view.dataMn(pointer, r), view.dataOffset(pointer, r) + 4096, 64)).toEqual(object);
    }
    // Its own now: it may take it for nothing else, and may give it back.
    b.run(b.lanes[0].reclaimLostGrants(mn, () => false));
    expect(b.owned()).toEqual([pointer]);
    expect(b.run(b.lanes[1].free(pointer))).toBe(true);
    expect([giver.owned(), a.owned(), b.owned(), b.owned(ORPHAN)]).toEqual([[], [], [], []]);
  });

  it("is owned by one by the primary's table, whoever dies behind whichever round trip", () => {
    for (let dies = 0; dies < 7; dies++) {
      nodes = makeNodes(config);
      const [giver, taker, third] = [new Client(4), new Client(5), new Client(6)];
      const pointer = giver.block();
      let left = dies;
      const runOrDie = (client: Client, op: Op<unknown>): void => {
        for (let step = op.next(); !step.done && left-- > 0; step = op.next()) client.execute(step.value);
      };
      runOrDie(giver, giver.lanes[0].giveAway(pointer));
      if (left > 0) runOrDie(taker, taker.lanes[0].adopt(view.dataMn(pointer, 0), CLASS));
      expect(entry(pointer, 0)[0]).toBe([4, 4, ORPHAN, ORPHAN, 5, 5, 5][dies]);
      expect(entry(pointer, 1)[1]).toBe(CLASS + 1);
      const isLeft = entry(pointer, 0)[0] === ORPHAN;
      expect(third.run(third.lanes[0].adopt(view.dataMn(pointer, 0), CLASS))).toBe(
        isLeft ? pointer : undefined,
      );
    }
  });

  it("stays its giver's when a backup is silent, and its taker keeps one that it could not enter", () => {
    const [giver, taker] = [new Client(4), new Client(5)];
    const pointer = giver.block();
    const mn = view.dataMn(pointer, 0);
    giver.fabric.cutLink(view.dataMn(pointer, 1), true);
    expect(giver.run(giver.lanes[0].giveAway(pointer))).toBe(false);
    giver.fabric.cutLink(view.dataMn(pointer, 1), false);
    expect(giver.owned()).toEqual([pointer]);
    expect(giver.run(giver.lanes[0].giveAway(pointer))).toBe(true);
    fill(pointer);
    taker.fabric.cutLink(view.dataMn(pointer, 1), true);
    expect(taker.run(taker.lanes[0].adopt(mn, CLASS))).toBeUndefined();
    taker.fabric.cutLink(view.dataMn(pointer, 1), false);
    // It holds objects: never a lost grant.
    taker.run(taker.lanes[0].reclaimLostGrants(mn, () => false));
    expect([taker.owned(), isZero(pointer, 0)]).toEqual([[pointer], false]);
  });

  it("whose answer is lost on the giver's or the taker's way is never taken for a lost grant", () => {
    for (const fate of ['answer', 'late'] as const) {
      const [giver, taker] = [new Client(4), new Client(5)];
      const pointer = giver.block();
      const mn = view.dataMn(pointer, 0);
      fill(pointer);
      fates = [fate, 'request', 'request'];
      expect(giver.run(giver.lanes[0].giveAway(pointer))).toBe(true);
      for (const lane of giver.lanes) giver.run(lane.reclaimLostGrants(mn, () => false));
      for (const arrive of late.splice(0)) arrive();
      if (fate === 'late') {
        // The lane has asked since: nothing happens any more, and recovery finds the block where it was.
        expect(giver.owned()).toEqual([pointer]);
      } else {
        fates = ['ok', 'answer', 'request', 'request'];
        expect(taker.run(taker.lanes[0].adopt(mn, CLASS))).toBeUndefined();
        for (const lane of taker.lanes) taker.run(lane.reclaimLostGrants(mn, () => false));
        expect(taker.owned()).toEqual([pointer]);
      }
      expect(isZero(pointer, 0)).toBe(false);
    }
  });
});

describe('a grant that was lost', () => {
  it.each(['answer', 'late'] as const)(
    'on its way (%s) is given back by the next refill of its lane',
    (fate) => {
      const c = new Client(4);
      const kept = c.block();
      // The node grants, and the client goes to the next one.
      fates = [fate, 'request', 'request'];
      const second = c.block();
      expect(view.dataMn(second, 0)).not.toBe(view.dataMn(kept, 0));
      const lost = fate === 'answer' ? 3 : 2;
      expect(c.owned()).toHaveLength(lost);
      // A sibling has no note of it.
      const third = c.block(1);
      expect(c.owned()).toHaveLength(lost + 1);
      const fourth = c.block(0);
      for (const arrive of late) arrive();
      expect(c.owned()).toEqual([kept, second, third, fourth].sort((a, b) => a - b));
      // No note is left.
      served = [];
      c.block(0);
      expect(served).toEqual([RpcOperation.ALLOC]);
    },
  );

  it('is looked for again when the node does not answer to the FREE either', () => {
    const c = new Client(4);
    fates = ['answer', 'answer', 'answer'];
    const first = c.block();
    fates = ['ok', 'request', 'request', 'request'];
    const [second, third] = [c.block(), c.block()];
    expect(c.owned()).toEqual([first, second, third].sort((a, b) => a - b));
  });

  it('for want of a replica to enter it at is given back once that answers', () => {
    const [c, observer] = [new Client(4), new Client(9)];
    const region = [0, 1, 2].find((g) => view.regionMn(g, 0) === 1) as number;
    const backup = view.regionMn(region, 1);
    c.fabric.cutLink(backup, true);
    const first = c.block();
    expect(observer.owned(4)).toHaveLength(2);
    // As long as it is silent nothing is freed, and the next one is not entered either.
    const second = c.block();
    expect(observer.owned(4)).toHaveLength(4);
    c.fabric.cutLink(backup, false);
    const third = c.block();
    expect(c.owned()).toEqual([first, second, third].sort((a, b) => a - b));
  });

  it('is not looked for while a sibling asks for a block: that could be its grant', () => {
    const c = new Client(4);
    c.block();
    const asks = c.lanes[1].refill(CLASS + 1);
    c.execute(asks.next().value as VerbBatch);
    // Granted, and the client does not know yet.
    expect(c.slab.refilling[CLASS + 1]).toBe(1);
    c.run(c.lanes[0].reclaimLostGrants(1, () => false));
    expect(served).not.toContain(RpcOperation.FREE);
    expect(c.run(asks)).toBe(Allocation.OK);
    c.run(c.lanes[0].reclaimLostGrants(1, () => false));
    expect(c.owned()).toHaveLength(2);
  });

  it("is not judged by a list from before a block left: it may be another client's by now", () => {
    const c = new Client(4);
    const pointer = c.block();
    const reclaim = c.lanes[1].reclaimLostGrants(view.dataMn(pointer, 0), () => false);
    const list = reclaim.next().value as VerbBatch;
    c.execute(list);
    expect(c.run(c.lanes[0].free(pointer))).toBe(true);
    const other = new Client(1);
    expect(other.block()).toBe(pointer);
    c.run(reclaim);
    expect([other.owned(), header(pointer, 0)]).toEqual([[pointer], [1, CLASS + 1]]);
  });

  it('is given back by one lane only, when two look at once', () => {
    const c = new Client(4);
    fates = ['answer', 'answer', 'answer'];
    c.block();
    const lists = c.lanes.map((lane) => lane.reclaimLostGrants(1, () => false));
    for (const op of lists) c.execute(op.next().value as VerbBatch);
    // Both have the list; the first begins to zero, the second finds it in good hands.
    c.execute(lists[0].next().value as VerbBatch);
    expect(lists[1].next().done).toBe(true);
    c.run(lists[0]);
    expect(served.filter((o) => o === RpcOperation.FREE)).toHaveLength(1);
    expect(c.owned()).toEqual(c.granted);
  });

  it('of which the caller knows is not given back', () => {
    const c = new Client(4);
    fates = ['answer', 'answer', 'answer'];
    const known = c.block();
    const lost = c.owned().filter((pointer) => pointer !== known);
    c.run(c.lanes[0].reclaimLostGrants(1, (pointer) => pointer === lost[0]));
    expect(c.owned()).toHaveLength(2);
    c.run(c.lanes[0].reclaimLostGrants(1, () => false));
    expect(c.owned()).toEqual([known]);
  });
});
