/** A client's stay in a pool: it enters before its requests, rests between them, and leaves. */
import type { Janitor } from '../background/index.js';
import type { Fabric } from '../fabric/contract.js';
import type { ClientState } from '../ops/index.js';
import { FabricError, type Op } from '../verbs/index.js';
import { complete } from './call.js';

/** What a joined client is made of: for drivers that bring a reactor of their own. */
export interface Session<F extends Fabric = Fabric> {
  readonly fabric: F;
  readonly state: ClientState;
  readonly janitor: Janitor;
  /** Gives the client's place in the pool back: the last step of {@link leave}. */
  giveUpPlace(): Promise<void>;
}

/**
 * Rounds of background work after which a client rests although its cells still wait for others' requests.
 */
const ROUNDS_MAX = 100;
/** Rounds that a resting client has at a time; more as long as they find something. */
const TIDY_ROUNDS = 16;

/** Runs background work to its end. Only while nothing else polls the fabric. */
export async function drive<T>({ fabric, janitor }: Session, steps: Op<T>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await complete(fabric, step.value);
    janitor.count(step.value);
  }
}

/**
 * Announces that requests will begin; nothing happens when that has been done and not been taken back.
 * @throws FabricError when the control node is silent.
 */
export async function enter(session: Session): Promise<void> {
  if (session.state.grace.isActive) return;
  if (!(await drive(session, session.janitor.enter()))) {
    throw new FabricError('the node that keeps the client table did not answer; is its process alive?');
  }
}

/**
 * Frees what the requests so far have left to free, and tells the others that no request is in flight, so
 * that nobody waits for this client. {@link enter} before the next request.
 */
export async function rest(session: Session): Promise<void> {
  const { state, janitor } = session;
  if (!state.grace.isActive) return;
  for (let round = 0; round < ROUNDS_MAX && !janitor.isIdle; round++) await drive(session, janitor.round());
  await drive(session, janitor.blocks.giveBack(1));
  await drive(session, janitor.rest());
}

/**
 * Looks after what others have freed in this client's blocks while it rests: else its memory would wait for its
 * next request.
 */
export async function tidy(session: Session): Promise<void> {
  const { janitor } = session;
  let reclaimed: number;
  do {
    reclaimed = janitor.reclaim.reclaimed;
    for (let round = 0; round < TIDY_ROUNDS; round++) await drive(session, janitor.round());
  } while (janitor.reclaim.reclaimed > reclaimed);
  await drive(session, janitor.blocks.giveBack(1));
}

/**
 * Leaves the pool: nothing is in flight, and no request will follow. What this client owns is left to others.
 * Never fails because nodes have died.
 */
export async function leave(session: Session): Promise<void> {
  await rest(session);
  const hasLeft = await drive(session, session.janitor.blocks.leave());
  // Whoever leaves something to recover keeps its place, as one that has crashed does, until that is done.
  if (hasLeft && !session.state.grace.isActive) await session.giveUpPlace();
}
