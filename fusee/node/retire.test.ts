/** Dead clients, as a memory node treats them: refused, and acted for by one recoverer. */
import { describe, expect, it } from 'vitest';
import { ORPHAN, RpcOperation, RpcStatus } from '../memory/index.js';
import { node } from './by-hand.js';

const { OK, STALE, BAD_REQUEST } = RpcStatus;
const [DEAD, FIRST, SECOND] = [1, 2, 3];

/** Node 0, which three clients have joined; the first owns a block. */
function pool() {
  const { ask, listed } = node(0);
  for (const nonce of [1, 2, 3]) ask({ operation: RpcOperation.JOIN, cid: 0, argument: nonce });
  let requestId = 10;
  const does = (cid: number, what: Parameters<typeof ask>[0]): number =>
    ask({ cid, requestId: ++requestId, ...what }).status;
  const { pointer } = ask({ cid: DEAD, requestId: 1 });
  return {
    ask,
    does,
    retire: (by: number, argument = DEAD) => does(by, { operation: RpcOperation.RETIRE, argument }),
    transfer: (by: number, to: number, from = DEAD) =>
      does(by, { operation: RpcOperation.TRANSFER, argument: from, other: to, pointer }),
    handOn: (by: number, view = 1, cursor = 0) =>
      does(by, { operation: RpcOperation.HAND_ON, argument: DEAD, other: view, pointer: cursor }),
    owned: (by: number): number[] =>
      [DEAD, ORPHAN].map((argument) => {
        requestId += 10;
        return listed(requestId - 9, { cid: by, argument }).blocks.length;
      }),
    leave: (by: number, argument = DEAD) => does(by, { operation: RpcOperation.LEAVE, argument }),
    join: () => ask({ operation: RpcOperation.JOIN, cid: 0, argument: ++requestId }),
  };
}

describe('RETIRE', () => {
  it('ends all that the client asks: what comes late is STALE, repeated or not', () => {
    const { ask, does, retire } = pool();
    expect(does(DEAD, {})).toBe(OK);
    expect(retire(FIRST)).toBe(OK);
    expect([does(DEAD, {}), ask({ cid: DEAD, requestId: 1 }).status]).toEqual([STALE, STALE]);
    expect(retire(DEAD, FIRST)).toBe(STALE);
    expect(does(FIRST, {})).toBe(OK);
  });

  it('lets its sender hand the blocks on to nobody in particular, and nobody else', () => {
    const { transfer, retire, handOn, owned } = pool();
    expect([handOn(FIRST), transfer(FIRST, ORPHAN)]).toEqual([BAD_REQUEST, BAD_REQUEST]);
    retire(FIRST);
    expect([handOn(SECOND), transfer(SECOND, ORPHAN), transfer(FIRST, FIRST)]).toEqual(
      Array(3).fill(BAD_REQUEST),
    );
    expect(owned(FIRST)).toEqual([1, 0]);
    expect(handOn(FIRST)).toBe(OK);
    expect(owned(FIRST)).toEqual([0, 1]);
    expect(handOn(FIRST)).toBe(OK);
    expect(transfer(SECOND, SECOND, ORPHAN)).toBe(OK);
  });

  it('in another view than the node has, or from nowhere: the recoverer begins again', () => {
    const { retire, handOn, owned } = pool();
    retire(FIRST);
    expect([handOn(FIRST, 2), handOn(FIRST, 0), handOn(FIRST, 1, -1), handOn(FIRST, 1, Number.NaN)]).toEqual(
      Array(4).fill(BAD_REQUEST),
    );
    expect(owned(FIRST)).toEqual([1, 0]);
  });

  it('by another recoverer ends what the first may do: it was taken for dead', () => {
    const { ask, retire, handOn } = pool();
    const first = { operation: RpcOperation.RETIRE, cid: FIRST, argument: DEAD, requestId: 5 };
    expect(ask(first).status).toBe(OK);
    retire(SECOND);
    // Even if its call comes twice.
    expect(ask(first).status).toBe(OK);
    expect([handOn(FIRST), handOn(SECOND)]).toEqual([BAD_REQUEST, OK]);
  });

  it('leaves the client its place, until its recoverer gives that up; repeating it does no harm', () => {
    const { leave, retire, join } = pool();
    expect(leave(FIRST)).toBe(BAD_REQUEST);
    retire(FIRST);
    expect(join()).toMatchObject({ value: 4, pointer: 3 });
    expect(leave(SECOND)).toBe(BAD_REQUEST);
    expect([leave(FIRST), leave(FIRST), leave(SECOND)]).toEqual([OK, OK, OK]);
    expect(join()).toMatchObject({ value: 5, pointer: 0 });
  });

  it('is refused for nobody, for what was left behind, and for oneself', () => {
    const { retire } = pool();
    expect([retire(FIRST, 0), retire(FIRST, ORPHAN), retire(FIRST, FIRST)]).toEqual([
      BAD_REQUEST,
      BAD_REQUEST,
      BAD_REQUEST,
    ]);
  });

  it('also of a client that this node has not heard of: it is not welcome later', () => {
    const { ask } = node(1);
    expect(ask({ operation: RpcOperation.RETIRE, cid: 9, argument: 4 }).status).toBe(OK);
    expect(ask({ operation: RpcOperation.JOIN, cid: 4, pointer: 2, requestId: 2 }).status).toBe(STALE);
    expect(ask({ cid: 4, requestId: 3 }).status).toBe(STALE);
  });
});
