import { describe, expect, it } from 'vitest';
import { CLIENTS_MAX } from '../layout/index.js';
import { ORPHAN, RpcOperation, RpcStatistic, RpcStatus } from '../memory/index.js';
import { node } from './by-hand.js';
import { NONCES_MAX } from './members.js';

describe('JOIN', () => {
  const join = (nonce: number) => ({
    operation: RpcOperation.JOIN,
    cid: 0,
    argument: nonce,
    other: ~nonce >>> 0,
  });

  it('grants an id of its own, never 0, and the lowest free place; the same again for the same nonce', () => {
    const { ask } = node(0);
    const granted = [11, 12, 11, 13, 12].map((nonce, i) => ask({ ...join(nonce), requestId: i }));
    expect(granted.map((g) => g.value)).toEqual([1, 2, 1, 3, 2]);
    expect(granted.map((g) => g.pointer)).toEqual([0, 1, 0, 2, 1]);
    // Both halves of the nonce count.
    expect(ask({ ...join(11), other: 0, requestId: 14 })).toEqual({
      status: RpcStatus.OK,
      requestId: 14,
      pointer: 3,
      value: 4,
    });
  });

  it('is FULL when no place is free, for that nonce also later; a place that becomes free is granted again', () => {
    const { ask } = node(0);
    for (let i = 0; i < CLIENTS_MAX; i++)
      expect(ask(join(i))).toMatchObject({ status: RpcStatus.OK, pointer: i });
    expect(ask(join(7000)).status).toBe(RpcStatus.FULL);
    expect(ask({ operation: RpcOperation.LEAVE, cid: 6 }).status).toBe(RpcStatus.OK);
    // Whoever was refused has given up: granted now, the place would be nobody's.
    expect(ask(join(7000)).status).toBe(RpcStatus.FULL);
    expect(ask(join(7001))).toMatchObject({ status: RpcStatus.OK, pointer: 5, value: CLIENTS_MAX + 1 });
    expect(ask(join(7002)).status).toBe(RpcStatus.FULL);
  });

  it('repeated after its client has left takes no place', () => {
    const { ask, service } = node(0);
    ask(join(1));
    ask({ operation: RpcOperation.LEAVE, cid: 1 });
    expect(ask(join(1))).toMatchObject({ status: RpcStatus.STALE, value: 0 });
    expect(service.members.remembered.clients).toBe(0);
    expect(ask(join(2))).toMatchObject({ value: 2, pointer: 0 });
  });

  it('is granted by node 0 alone; the others are told who has which place, once', () => {
    const { ask, service } = node(1);
    const told = (cid: number, pointer: number): number =>
      ask({ operation: RpcOperation.JOIN, cid, pointer }).status;
    expect(ask(join(1)).status).toBe(RpcStatus.BAD_REQUEST);
    expect(node(0).ask({ operation: RpcOperation.JOIN, cid: 5, pointer: 0 }).status).toBe(
      RpcStatus.BAD_REQUEST,
    );
    expect([told(9, 3), told(9, 3), told(4, 0)]).toEqual([RpcStatus.OK, RpcStatus.OK, RpcStatus.OK]);
    expect(ask({ operation: RpcOperation.STATS, argument: RpcStatistic.CLIENTS }).value).toBe(9);
    for (const place of [-1, 0.5, CLIENTS_MAX, Number.NaN]) expect(told(20, place)).toBe(RpcStatus.STALE);
    expect([told(9, 4), told(ORPHAN, 5), service.members.remembered.clients]).toEqual([
      RpcStatus.STALE,
      RpcStatus.STALE,
      2,
    ]);
  });

  it('told late, when its client has left, does not bring it back', () => {
    const { ask } = node(1);
    const told = (cid: number): number => ask({ operation: RpcOperation.JOIN, cid, pointer: 3 }).status;
    told(9);
    ask({ operation: RpcOperation.LEAVE, cid: 9 });
    expect([told(9), ask({ cid: 9 }).status]).toEqual([RpcStatus.STALE, RpcStatus.STALE]);
    // Nor when another has its place; and who had it, unknown to have left, is forgotten then.
    expect([told(10), told(9), told(11)]).toEqual([RpcStatus.OK, RpcStatus.STALE, RpcStatus.OK]);
    expect([9, 10, 11].map((cid) => ask({ cid }).status)).toEqual([
      RpcStatus.STALE,
      RpcStatus.STALE,
      RpcStatus.OK,
    ]);
  });
});

describe('LEAVE', () => {
  const joins = (ask: ReturnType<typeof node>['ask']): number =>
    ask({ operation: RpcOperation.JOIN, cid: 0, argument: 77, other: 1 }).value;

  it('may be repeated, and is refused for one that never joined', () => {
    const { ask } = node(0);
    const cid = joins(ask);
    const leave = (who: number): number => ask({ operation: RpcOperation.LEAVE, cid: who }).status;
    expect([leave(cid), leave(cid), leave(cid + 1), leave(0)]).toEqual([
      RpcStatus.OK,
      RpcStatus.OK,
      RpcStatus.BAD_REQUEST,
      RpcStatus.BAD_REQUEST,
    ]);
  });

  it('ends what the client may ask: a late duplicate does nothing', () => {
    const { ask, memory } = node(0);
    const cid = joins(ask);
    const { pointer } = ask({ cid, requestId: 1 });
    ask({ operation: RpcOperation.LEAVE, cid });
    const before = memory.slice();
    for (const request of [
      { requestId: 1 },
      { requestId: 2 },
      { requestId: 2, lane: 5 },
      { requestId: 3, operation: RpcOperation.FREE, pointer },
    ])
      expect(ask({ cid, ...request })).toMatchObject({ status: RpcStatus.STALE, pointer: 0 });
    expect(Buffer.compare(memory, before)).toBe(0);
  });

  it('leaves nothing to remember: after many clients a node knows as much as after few', () => {
    const { ask, service } = node(0);
    for (let round = 0; round < 5000; round++) {
      const cid = ask({ operation: RpcOperation.JOIN, cid: 0, argument: round, other: 1 }).value;
      expect(cid).toBe(round + 1);
      for (let lane = 0; lane < 3; lane++)
        for (let requestId = 1; requestId < 4; requestId++)
          ask({ cid, lane, requestId, operation: RpcOperation.LIST, argument: 1 });
      // The latest answer of each lane.
      expect(service.members.remembered.answers).toBe(3);
      ask({ operation: RpcOperation.LEAVE, cid });
    }
    expect(service.members.remembered).toEqual({ clients: 0, nonces: NONCES_MAX, answers: 0 });
  });

  it('unheard of is no leak: the node forgets a client when its place has another holder', () => {
    const { ask, service } = node(1);
    for (let cid = 1; cid <= 1000; cid++) {
      ask({ operation: RpcOperation.JOIN, cid, pointer: cid % 4 });
      ask({ cid, operation: RpcOperation.LIST, argument: 1 });
    }
    expect(service.members.remembered).toEqual({ clients: 4, nonces: 0, answers: 4 });
  });

  it('who has joined nothing is served, but not more of them than there are places', () => {
    const { ask, service } = node(1);
    for (let cid = 1; cid <= 3 * CLIENTS_MAX; cid++) ask({ cid, operation: RpcOperation.LIST, argument: 1 });
    expect(service.members.remembered.answers).toBe(2 * CLIENTS_MAX);
  });
});
