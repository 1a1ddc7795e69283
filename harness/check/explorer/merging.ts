/**
 * When are two paths of one client the same local state? When they agree in what anything will look at again.
 *
 * A generator's variables cannot be seen, so this is told from outside: what lasts between requests (cells,
 * waiting resets, cache), the pending batch, and of the slot write and the buckets in registered memory what
 * the product still uses at such a batch:
 *
 * | pending batch | still used |
 * |---|---|
 * | the first of a request, or of one more attempt of an INSERT | nothing |
 * | poll of one slot, after a lost round | vOld and vNew |
 * | poll of one slot on backup and primary, after an undo | the word waited for |
 * | CAS of the primary to vNew, but for the tombstone of an undone INSERT | vOld and vNew |
 * | one replica: CAS to a tentative word, with both buckets behind it | vOld and vNew |
 * | UPDATE, DELETE: any CAS or poll; READ of the primary in a tie | vOld and vNew; the votes |
 * | INSERT: anything else | vOld, vNew, lost, votes, both bucket copies but for the slot claimed |
 *
 * Which of the generator's branches stands at the batch follows from these. All else is dead: it is written
 * before it is read. The table is a claim about `fusee/ops`, so a test holds it: real clients run in lockstep
 * with the model on random schedules, and exploration with and without merging reaches the same ends.
 */
import { candidateWord } from '../../../fusee/index/index.js';
import { BUCKET_SLOTS, isTomb, type View } from '../../../fusee/layout/index.js';
import { RequestKind } from '../../../fusee/ops/index.js';
import { formatWord, word } from '../../../fusee/verbs/index.js';
import type { Run } from '../scenario/client-run.js';
import type { TinyPool } from '../scenario/pool.js';
import type { Interner } from './interner.js';
import { type Unit, UnitKind } from './units.js';

/**
 * The part of a run's state that its future depends on, at its pending batch; undefined where paths stay
 * apart.
 */
export function liveState(
  pool: TinyPool,
  run: Run,
  units: readonly Unit[],
  interner: Interner,
): string | undefined {
  const verbs = units.map((u) => Object.values(u).join()).join(';');
  if (run.batch === null) return 'end';
  if (run.isFresh) return `fresh|${verbs}`;
  if (units.some((u) => u.kind >= UnitKind.READ_LINE)) return undefined;
  const { write } = run.cx;
  const slotWrite = `${formatWord(write.vOld)}|${formatWord(write.vNew)}`;
  // In the view that this client goes by.
  const { view } = run.cx.client;
  const replicas = view.slotCount(pool.slotOffsets[0]);
  const primary = primaryOf(pool, view);
  const cas = units.filter((u) => u.kind === UnitKind.CAS);
  const reads = units.length - cas.length;
  const vNew = interner.word(write.vNew.hi, write.vNew.lo);
  const isUndo = run.kind === RequestKind.INSERT && isTomb(write.vNew);
  const commits =
    cas.length === 1 &&
    reads === 0 &&
    cas[0].place % pool.scenario.replicas === primary &&
    cas[0].swap === vNew;
  if (commits && !isUndo) return `commit|${slotWrite}|${verbs}`;
  const { isPoll } = run.batch;
  if (run.kind !== RequestKind.INSERT) {
    if (run.kind === RequestKind.SEARCH) return undefined;
    const votes = cas.length === 0 && !isPoll ? write.votes.map(formatWord).join() : '';
    return `modify|${isPoll}|${slotWrite}|${votes}|${verbs}`;
  }
  // With one fingerprint for all keys an INSERT also remembers which words it has resolved.
  if (pool.scenario.sharesFingerprint) return undefined;
  if (replicas === 1 && cas.length === 1 && reads > 0) return `claim|${slotWrite}|${verbs}`;
  if (replicas > 1 && isPoll && units.length === 1) return `lost|${slotWrite}|${verbs}`;
  if (replicas > 1 && isPoll && units.length === 2 && units[0].place !== units[1].place) {
    const slot = Math.floor(units[0].place / pool.scenario.replicas);
    if (slot === Math.floor(units[1].place / pool.scenario.replicas))
      return `undone|${slotWrite}|${slotWords(pool, run, run.cx.backupBuckets)[slot]}|${verbs}`;
  }
  const own = units.length === 0 ? -1 : ownSlot(pool, run);
  const copies = [run.cx.buckets, run.cx.backupBuckets].map((at) =>
    slotWords(pool, run, at).map((w, slot) => (slot === own ? '' : w)),
  );
  const votes = write.votes.map(formatWord).join();
  return `insert|${isPoll}|${slotWrite}|${formatWord(write.lost)}|${votes}|${copies.join('|')}|${verbs}`;
}

/** All that a waiting request holds: what a poll leaves as it was, if it finds nothing new. */
export function wholeState(pool: TinyPool, run: Run, units: readonly Unit[]): string {
  const { write } = run.cx;
  const words = [write.vOld, write.vNew, write.lost, ...write.votes].map(formatWord);
  const copies = [run.cx.buckets, run.cx.backupBuckets].map((at) => slotWords(pool, run, at));
  const verbs = units.map((u) => Object.values(u).join()).join(';');
  return `${run.request}|${run.cx.client.view.number}|${words.join()}|${copies.join('|')}|${verbs}`;
}

/** The scenario's slots in a copy of both combined buckets. */
function slotWords(pool: TinyPool, run: Run, at: number): string[] {
  const { local } = run.cx.client;
  const first = run.cx.place.mainLast[0] * BUCKET_SLOTS;
  return pool.slotOffsets.map((_, i) => formatWord(candidateWord(local.words, at, first + i, word())));
}

function ownSlot(pool: TinyPool, run: Run): number {
  const { slot } = run.cx.write;
  return pool.slotOffsets.findIndex((offset) => pool.view.slotOffset(offset) === slot.offsetBytes[0]);
}

/** Which of the replicas that the slots had at first is their primary in a view. */
export function primaryOf(pool: TinyPool, view: View): number {
  let replica = 0;
  while (pool.view.slotMn(pool.slotOffsets[0], replica) !== view.slotMn(pool.slotOffsets[0], 0)) replica++;
  return replica;
}
