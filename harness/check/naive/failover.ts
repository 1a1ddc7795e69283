/** Changes of the view done naively: what hazards H7 and H18, and controls X11, X11b and X12 need. */
import { CANDIDATE_BYTES, CANDIDATES, candidateWord, matches } from '../../../fusee/index/index.js';
import { HEADER_BYTES, ownerPointer } from '../../../fusee/layout/index.js';
import {
  type Context,
  type Coroutine,
  continueRequest,
  type Decisions,
  Outcome,
  RequestKind,
} from '../../../fusee/ops/index.js';
import { Round } from '../../../fusee/replication/index.js';
import {
  DONE,
  type Op,
  type OpLoop,
  replicaRef,
  Status,
  sameWord,
  type Word,
  word,
} from '../../../fusee/verbs/index.js';
import type { MasterRun } from '../scenario/master-run.js';
import type { Variant } from '../scenario/scenario.js';

/** X11: whoever finds another word than its own has lost, even after it has posted its CAS of the primary. */
export const otherMeansLost: Variant = {
  name: '"w is other, so I lost"',
  continues: ({ coroutine, kind }, decided) => {
    const { write } = coroutine.cx;
    if (write.round === Round.SWAPPING) write.round = Round.COMMITTING;
    return continueRequest(coroutine, kind as RequestKind, decided);
  },
};

/** H25: a resumed INSERT compares the backup with what it read of the primary behind its claim. */
export const comparesWithLater: Variant = {
  name: 'a resumed duplicate check that remembers the primary',
  continues: ({ coroutine, kind }, decided) => remembering(coroutine, kind as RequestKind, decided),
};

function* remembering(coroutine: Coroutine, kind: RequestKind, decided: Decisions): OpLoop {
  const { client, buckets } = coroutine.cx;
  const kept = client.local.bytes.slice(buckets, buckets + CANDIDATE_BYTES);
  const rest = continueRequest(coroutine, kind, decided);
  const first = rest.next().value;
  client.local.bytes.set(kept, buckets);
  yield first;
  return yield* rest;
}

/** X11b: the word of any living backup stands, as the paper has it: here that of the first. */
export const anyBackup: Variant = { name: 'any living backup', arbitrates: takeFirst };

function* takeFirst({ cx }: MasterRun, slots: readonly number[]): Op<Decisions> {
  const decided = new Map<number, Word>();
  const { batch: b, client } = cx;
  for (const slot of slots) {
    const { count, mn, offsetBytes } = client.view.slotReplicas(slot, replicaRef(8));
    b.reset();
    for (let r = 0; r < count; r++) b.read8(mn[r], offsetBytes[r]);
    yield b;
    const held = Array.from({ length: count }, (_, r) => b.found(r, word()));
    decided.set(slot, held[0]);
    b.reset();
    for (let r = 1; r < count; r++)
      if (!sameWord(held[r], held[0])) b.cas(mn[r], offsetBytes[r], held[r], held[0]);
    if (b.count > 0) yield b;
  }
  return decided;
}

/** X12: a SEARCH whose primary is silent goes by the first backup, in the old view. */
export const readsBackups: Variant = {
  name: 'a reader that falls back to backups',
  loops: ({ cx }) => [searchLoop(cx)],
  ignoresSilence: RequestKind.SEARCH,
};

function* searchLoop(cx: Context): OpLoop {
  const { batch: b, client } = cx;
  const w = word();
  for (;;) {
    cx.begin();
    for (let replica = 0; replica < 2; replica++) {
      cx.startBatch();
      cx.appendBuckets(replica, cx.buckets);
      yield b;
      if (!b.anyFailed()) break;
    }
    cx.outcome = Outcome.NOT_FOUND;
    for (let q = 0; q < CANDIDATES && cx.outcome !== Outcome.OK; q++) {
      candidateWord(client.local.words, cx.buckets, q, w);
      if (!matches(w, cx.place.fingerprint)) continue;
      const { count, mn, offsetBytes } = client.view.dataReplicas(ownerPointer(w), replicaRef(8));
      for (let r = 0; r < count && cx.outcome !== Outcome.OK; r++) {
        b.reset().readObject(mn[r], offsetBytes[r], cx.matchArea, 64);
        yield b;
        if (b.status(0) === Status.OK) cx.outcome = Outcome.OK;
      }
      cx.foundAt = cx.matchArea + HEADER_BYTES + cx.keyBytes;
    }
    cx.end();
    yield DONE;
  }
}

/** H7: recovery begins while verbs of the dead client are still on their way. */
export const fencesNobody: Variant = { name: 'no fence', fencesNobody: true };

/** H7: the master decides while clients are at work. */
export const stopsNobody: Variant = { name: 'nobody stops', stopsNobody: true };

/** H18: a reader takes its lost link for the death of the node. */
export const adoptsAlone: Variant = {
  name: 'a lost link taken for a crash',
  adoptsAlone: RequestKind.SEARCH,
};
