import { describe, expect, it } from 'vitest';
import { MemoryFabric } from '../fabric/memory.js';
import { RpcOperation, RpcStatus, readRequest, readResponse } from '../memory/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { FabricError } from '../verbs/index.js';
import { joinPool, leavePool } from './membership.js';

const config = smallPool();
const { nodes: count } = config;

/** A pool whose RPCs pass through `fate`: undefined loses the answer; `served` notes what was executed. */
function setUp(
  fate: (mn: number, operation: number, answer: Uint8Array) => Uint8Array | undefined = (_m, _o, a) => a,
) {
  const nodes = makeNodes(config);
  const served: string[] = [];
  const call = nodes.call.bind(nodes);
  nodes.call = (mn, request) => {
    const { operation, cid } = readRequest(request, 0);
    const answer = call(mn, request) as Uint8Array;
    served.push(
      `${operation === RpcOperation.JOIN ? 'JOIN' : 'LEAVE'} ${cid} at ${mn}: ${readResponse(answer, 0).status}`,
    );
    return fate(mn, operation, answer);
  };
  return { nodes, served, fabric: new MemoryFabric(nodes) };
}

describe('joining', () => {
  it('whose answer is lost takes one place and one id', async () => {
    let lose = 2;
    const { fabric } = setUp((_mn, _operation, answer) => (lose-- > 0 ? undefined : answer));
    expect(await joinPool(fabric, { nodes: count })).toEqual({ cid: 1, clientIndex: 0 });
    expect(await joinPool(fabric, { nodes: count })).toEqual({ cid: 2, clientIndex: 1 });
  });

  it('that one node does not answer gives the place back', async () => {
    const { fabric, served } = setUp((mn, operation, answer) =>
      mn === 2 && operation === RpcOperation.JOIN ? undefined : answer,
    );
    await expect(joinPool(fabric, { nodes: count })).rejects.toThrow('node 2 did not answer');
    expect(served.slice(-3)).toEqual(['LEAVE 1 at 2: 1', 'LEAVE 1 at 1: 1', 'LEAVE 1 at 0: 1']);
    await expect(joinPool(fabric, { nodes: 2 })).resolves.toEqual({ cid: 2, clientIndex: 0 });
  });

  it('of a silent node 0 says so', async () => {
    const { fabric, nodes } = setUp();
    nodes.kill(0);
    const refused = joinPool(fabric, { nodes: count });
    await expect(refused).rejects.toBeInstanceOf(FabricError);
    await expect(refused).rejects.toThrow('node 0 did not answer within 3 tries');
  });
});

describe('leaving', () => {
  it('tells every node, node 0 last, and passes over those that have died or know nothing of it', async () => {
    const { fabric, nodes, served } = setUp();
    const { cid } = await joinPool(fabric, { nodes: count });
    nodes.kill(2);
    served.length = 0;
    await leavePool(fabric, { nodes: count, cid });
    await leavePool(fabric, { nodes: count, cid: 9 });
    expect(served.filter((s) => !s.includes('at 2'))).toEqual([
      `LEAVE 1 at 1: ${RpcStatus.OK}`,
      `LEAVE 1 at 0: ${RpcStatus.OK}`,
      `LEAVE 9 at 1: ${RpcStatus.BAD_REQUEST}`,
      `LEAVE 9 at 0: ${RpcStatus.BAD_REQUEST}`,
    ]);
    for (let mn = 0; mn < count; mn++) nodes.kill(mn);
    await expect(leavePool(fabric, { nodes: count, cid })).resolves.toBeUndefined();
  });
});
