/**
 * How an INSERT claims a slot of an index with one replica: tentatively first.
 *
 * CAS and re-read go to one node in one batch, so of two INSERTs of a key at least one sees the other. But
 * after that batch nobody else could tell the INSERT that saw nothing from one that saw a rival: the decision
 * must be written before it is acknowledged. So the slot is claimed with a TENT word, which readers ignore,
 * and a clean claimant turns it into a KV: 2 round trips here, 3 for the INSERT.
 */
import { CANDIDATES, candidateSlot, candidateWord } from '../index/index.js';
import { KIND_TENT, makeSlot } from '../layout/index.js';
import { Round, requireSwapped } from '../replication/index.js';
import { type Op, type OpLoop, type Word, word } from '../verbs/index.js';
import { Claim, type Claimant } from './claim.js';
import type { Context } from './context.js';

/** Claims `cx.write.slot` for the sealed object; result in `claimant.claim`. */
export function* claimSingleLoop(cx: Context, claimant: Claimant): OpLoop {
  const { batch: b, write } = cx;
  const { slot } = write;
  const tentative = word();
  for (;;) {
    makeSlot(tentative, cx.objectPointer + KIND_TENT, cx.lines, cx.place.fingerprint);
    write.round = Round.PROPOSED;
    write.wasProposed = true;
    b.reset().cas(slot.mn[0], slot.offsetBytes[0], write.vOld, tentative);
    cx.appendBuckets(0, cx.buckets);
    yield b;
    if (b.anyFailed()) claimant.claim = Claim.FAILED;
    else if (b.foundIs(0, write.vNew)) claimant.claim = Claim.INSERTED;
    else if (!b.foundIs(0, write.vOld) && !b.foundIs(0, tentative)) {
      claimant.claim = Claim.AGAIN;
      write.round = Round.NONE;
    } else {
      // Its own word is found there when the round goes on in a new view.
      claimant.claim = yield* settle(cx, claimant, tentative);
      if (claimant.claim === Claim.INSERTED) {
        write.round = Round.SWAPPING;
        b.reset().cas(slot.mn[0], slot.offsetBytes[0], tentative, write.vNew);
        yield b;
        if (b.anyFailed()) claimant.claim = Claim.FAILED;
        else requireSwapped(b, 0, tentative, "a clean INSERT's CAS of its tentative slot");
      }
    }
    yield null;
  }
}

function* settle(cx: Context, claimant: Claimant, tentative: Word): Op<Claim> {
  const { check, own } = claimant;
  const b = cx.batch;
  for (;;) {
    check.startTurn();
    if (!(yield* check.resolve(cx.buckets, own))) return Claim.FAILED;
    if (check.keys(cx.buckets, own, 'visible') !== 0) {
      return (yield* undo(cx, tentative)) ? Claim.EXISTS_UNDONE : Claim.FAILED;
    }
    const rivals = check.keys(cx.buckets, own, 'tentative');
    if (rivals === 0) return Claim.INSERTED;
    for (let q = 0; q < CANDIDATES; q++) {
      if ((rivals & (1 << q)) === 0 || candidateSlot(cx.place, q) > claimant.slot) continue;
      if (!(yield* undo(cx, tentative))) return Claim.FAILED;
      return yield* awaitChange(cx, q);
    }
    // Every rival sits higher, and gives way when it sees this one.
    b.reset();
    cx.appendBuckets(0, cx.buckets);
    b.isPoll = true;
    yield b;
    if (b.anyFailed()) return Claim.FAILED;
    if (cx.write.expired) return (yield* undo(cx, tentative)) ? Claim.EXPIRED : Claim.FAILED;
  }
}

/** Takes the claim back: the object becomes its slot's tombstone. One round trip. */
function* undo(cx: Context, tentative: Word): Op<boolean> {
  const { batch: b, write } = cx;
  const tomb = makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);
  write.round = Round.UNDOING;
  b.reset().cas(write.slot.mn[0], write.slot.offsetBytes[0], tentative, tomb);
  yield b;
  if (b.anyFailed()) return false;
  requireSwapped(b, 0, tentative, "an undo's CAS of its tentative slot");
  write.round = Round.UNDONE;
  return true;
}

/** Waits until the rival's very word at candidate `q` has become something else. */
function* awaitChange(cx: Context, q: number): Op<Claim> {
  const { batch: b, client } = cx;
  const slot = candidateSlot(cx.place, q);
  const seen = candidateWord(client.local.words, cx.buckets, q, word());
  for (;;) {
    b.reset().read8(client.view.slotMn(slot, 0), client.view.slotOffset(slot));
    b.isPoll = true;
    yield b;
    if (b.anyFailed()) return Claim.FAILED;
    if (!b.foundIs(0, seen)) return Claim.AGAIN_NEW_OBJECT;
    if (cx.write.expired) return Claim.EXPIRED;
  }
}
