/** A client's stay in a pool: it enters before its requests, rests between them, and leaves. */
import type { Janitor } from '../background/index.js';
import type { Fabric } from '../fabric/contract.js';
import type { ClientState } from '../ops/index.js';
import { Fate, fateOf, MEND_VERBS, mend, mended } from '../ops/mend.js';
import { FabricError, type Op, Status, VerbBatch } from '../verbs/index.js';
import { complete } from './call.js';
import type { Failover } from './failover.js';

/** What a joined client is made of: for drivers that bring a reactor of their own. */
export interface Session<F extends Fabric = Fabric> {
  readonly fabric: F;
  readonly state: ClientState;
  readonly janitor: Janitor;
  /** Its part in changes of the view; null, or none: the pool has no master. */
  readonly failover?: Failover | null;
  /** Gives the client's place in the pool back: the last step of {@link leave}. */
  giveUpPlace(): Promise<void>;
  /** Tells the master that this client goes, and what it left is to be recovered; it has detached. */
  resign?(): void;
}

/**
 * Rounds of background work after which a client rests although its cells still wait for others' requests.
 */
const ROUNDS_MAX = 100;
/** Rounds that a resting client has at a time; more as long as they find something. */
const TIDY_ROUNDS = 16;

/** Runs background work to its end. Only while nothing else polls the fabric. */
export async function drive<T>(session: Session, steps: Op<T>): Promise<T> {
  const { fabric, janitor, failover = null } = session;
  // Between two of its batches nothing of it is posted; what is answered is looked at when the view has
  // changed.
  failover?.drivenBy(null);
  for (;;) {
    await failover?.goingOn();
    const step = steps.next();
    if (step.done) return step.value;
    await complete(fabric, step.value);
    failover?.look();
    if (failover !== null && step.value.hasFailures()) await outliveNode(session, step.value);
    janitor.count(step.value);
  }
}

/** From one look at a failed batch to the next, and how long it is looked at. */
const LOOK_MS = 1;
const PATIENCE_MS = 1000;

/** Waits until the view says what a failed batch has met, and mends it; gives up in time. */
async function outliveNode({ fabric, failover, state }: Session, batch: VerbBatch): Promise<void> {
  for (const endMs = performance.now() + PATIENCE_MS; performance.now() < endMs; ) {
    await failover?.goingOn();
    const fate = fateOf(batch, state.view);
    if (fate === Fate.GO_ON) return;
    if (fate === Fate.BEREFT) {
      state.mendBatch ??= new VerbBatch(state.local, MEND_VERBS);
      const again = state.mendBatch;
      mend(batch, state.view, again);
      if (again.count === 0) return;
      await complete(fabric, again);
      mended(batch, state.view, again);
      failover?.look();
    } else {
      for (let i = 0; i < batch.count; i++)
        if (batch.status(i) === Status.FAIL) failover?.suspect(batch.mn(i));
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
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
 * Looks after what others have freed in this client's blocks while it rests: else its memory would wait for
 * its next request.
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
 * @returns false: something is left to recover.
 */
export async function leave(session: Session): Promise<boolean> {
  await rest(session);
  const hasLeft = await drive(session, session.janitor.blocks.leave());
  // Whoever leaves something to recover keeps its place, as one that has crashed does, until that is done.
  const isOut = hasLeft && !session.state.grace.isActive;
  if (isOut) await session.giveUpPlace();
  return isOut;
}
