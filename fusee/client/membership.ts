/**
 * Joining a pool and leaving it: node 0 grants client ids and places in the client table, the others are
 * told.
 */
import { randomInt } from 'node:crypto';
import type { Fabric } from '../fabric/contract.js';
import { CLIENTS_MAX, type View } from '../layout/index.js';
import { HAS_MASTER, RpcOperation, RpcStatus } from '../memory/index.js';
import { FabricError, UsageError } from '../verbs/index.js';
import { ask, call } from './call.js';

/** A granted client id, and its place in the client table. */
export interface Membership {
  readonly cid: number;
  readonly clientIndex: number;
}

/**
 * Asks the first living node for a client id and a place; the others are told, so that each of them knows
 * that its pool is in use, and serves this client.
 * @throws UsageError when no place is free; FabricError when a node is silent.
 */
export async function joinPool(
  fabric: Fabric,
  { nodes, view, hasMaster = false }: { nodes: number; view?: View; hasMaster?: boolean },
): Promise<Membership> {
  const granting = view?.grantingMn ?? 0;
  // A client that dies on its way to its master is missed there.
  const lane = hasMaster ? HAS_MASTER : 0;
  // A nonce of 2 x 32 bits: should the answer be lost, the same place is granted again.
  const nonce = { argument: randomInt(2 ** 32), other: randomInt(2 ** 32) };
  const answer = await ask(fabric, granting, { operation: RpcOperation.JOIN, cid: 0, lane, ...nonce });
  if (answer.status === RpcStatus.FULL) {
    throw new UsageError(
      `the pool has ${CLIENTS_MAX} clients, as many as it has places for; ` +
        'close one of them, or give one more coroutines in place of more clients',
    );
  }
  if (answer.status !== RpcStatus.OK)
    throw new FabricError(`node ${granting} refused this client with status ${answer.status}`);
  const { value: cid, pointer: clientIndex } = answer;
  try {
    for (let mn = granting + 1; mn < nodes; mn++)
      if (view?.isDead(mn) !== true)
        await call(fabric, mn, { operation: RpcOperation.JOIN, cid, lane, pointer: clientIndex });
  } catch (error) {
    await leavePool(fabric, { nodes, cid, view });
    throw error;
  }
  return { cid, clientIndex };
}

/**
 * Gives the client's place back. Nothing of it may be under way, and it asks for nothing afterwards.
 * Node 0 is told last: while its place is taken, nobody else can be announced to the others there.
 */
export async function leavePool(
  fabric: Fabric,
  { nodes, cid, view }: { nodes: number; cid: number; view?: View },
): Promise<void> {
  for (let mn = nodes - 1; mn >= 0; mn--) {
    if (view?.isDead(mn) === true) continue;
    try {
      // A refusal says that this node has never heard of the client: it has nothing to forget.
      await ask(fabric, mn, { operation: RpcOperation.LEAVE, cid });
    } catch (error) {
      // A node that died, or is silent, has no place to give back, or gives it back when the client is
      // declared dead. Leaving must not fail for it: the caller could do nothing about it.
      if (!(error instanceof FabricError)) throw error;
    }
  }
}
