/** Faults in the recovery of a request. */
import type { Fault } from '../faults.js';

const file = 'fusee/recovery/recover-request.ts';

/** See {@link Fault}. */
export const recoveryFaults: readonly Fault[] = [
  {
    id: 'H9-recovery-no-checksum',
    file,
    breaks: 'recovery takes half an object for a whole one',
    edits: [['=== words[(at >>> 2) + 1]) return lines;', '>= 0) return lines;']],
  },
  {
    id: 'H9-recovery-no-used-bit',
    file,
    breaks: 'recovery takes a request that has ended for one in flight',
    edits: [['if ((entry & 1) === 0 || lines === 0) continue;', 'if (lines === 0) continue;']],
  },
  {
    id: 'H10-recovery-waits',
    file,
    breaks: 'a recoverer that loses a round waits for its winner, who may be dead',
    edits: [['    write.expired = true;\n', '']],
  },
  {
    id: 'H15-single-redo',
    file,
    breaks: 'with one replica, an UPDATE whose word is nowhere is done again, over later writes',
    edits: [
      [
        '  if (replicas === 1) return Recovered.NOTHING_TO_DO;\n',
        `  if (replicas === 1) {
    const held = word();
    for (let q = 0; q < CANDIDATES && found.operation === LogOperation.UPDATE; q++) {
      candidateWord(cx.client.local.words, cx.buckets, q, held);
      if (!matches(held, cx.place.fingerprint)) continue;
      cx.aim(candidateSlot(cx.place, q), cx.lines);
      b.reset().cas(cx.write.slot.mn[0], cx.write.slot.offsetBytes[0], held, cx.write.vNew);
      yield b;
      return Recovered.FINISHED;
    }
    return Recovered.NOTHING_TO_DO;
  }
`,
      ],
    ],
  },
  {
    id: 'H15-redo-elsewhere',
    file,
    breaks: 'an INSERT not committed is done again in another slot: its first one stays blocked',
    edits: [
      ['import { CANDIDATES, candidateSlot,', 'import { CANDIDATES, chooseVacancy, candidateSlot,'],
      [
        '  cx.client.local.bytes.set(primary, cx.buckets);\n',
        `  cx.client.local.bytes.set(primary, cx.buckets);
  if (found.operation === LogOperation.INSERT && !found.isCommitted && !isUndo) {
    const held = candidate;
    for (candidate = 0; candidate < CANDIDATES; candidate++) {
      candidateWord(cx.client.local.words, cx.buckets, candidate, w);
      if (candidate !== held && w.hi === 0 && w.lo === 0) break;
    }
    if (candidate === CANDIDATES) candidate = held;
  }
`,
      ],
    ],
  },
  {
    id: 'X10-backups-first',
    file,
    breaks: 'the old value is read on the primary after the backups, when it may be a newer one',
    edits: [
      [
        '  cx.client.local.bytes.set(primary, cx.buckets);\n',
        `  void primary;
  b.reset();
  cx.appendBuckets(0, cx.buckets);
  yield b;
`,
      ],
    ],
  },
  {
    id: 'X10b-redo-committed',
    file,
    breaks: 'an INSERT that is committed and nowhere is done again, though others have deleted it',
    edits: [
      ['import { CANDIDATES, candidateSlot,', 'import { CANDIDATES, chooseVacancy, candidateSlot,'],
      [
        '  if (candidate < 0) return found.isCommitted',
        `  if (candidate < 0 && found.isCommitted && found.operation === LogOperation.INSERT) {
    const q = chooseVacancy(cx.client.local.words, cx.buckets, cx.place);
    cx.aim(candidateSlot(cx.place, q), cx.lines);
    candidateWord(cx.client.local.words, cx.buckets, q, cx.write.vOld);
    return yield* finishRound(cx, q, { ...found, isCommitted: false, isUndo });
  }
  if (candidate < 0) return found.isCommitted`,
      ],
    ],
  },
  {
    id: 'X10-round-left-open',
    file,
    breaks: 'a round that the dead client had begun is left as it is: losers wait for ever (H15)',
    edits: [
      [
        '  return yield* finishRound(cx, candidate, { ...found, isUndo });',
        `  if (!found.isCommitted) return Recovered.DROPPED;
  return yield* finishRound(cx, candidate, { ...found, isUndo });`,
      ],
    ],
  },
  {
    id: 'undo-not-finished',
    file,
    breaks: "a dead client's undo is taken for an INSERT to finish",
    edits: [['if (found.operation === LogOperation.INSERT && isTomb(w)) isUndo = true;', '']],
  },
  {
    id: 'insert-finished-blindly',
    file,
    breaks: 'an INSERT not acknowledged becomes visible beside another of its key',
    edits: [['if (!isAlone) return yield* undo(cx);', '']],
  },
  {
    id: 'tentative-left',
    file,
    breaks: "a dead client's tentative word stays: others wait for it",
    edits: [
      [
        'if (onPrimary >= 0) return yield* undoTentative(cx, onPrimary);',
        'if (onPrimary >= 0) return Recovered.NOTHING_TO_DO;',
      ],
    ],
  },
  {
    id: 'commit-not-repeated',
    file,
    breaks: 'a log committed on one data replica counts as committed on all',
    edits: [
      [
        '  return (yield* commitAnew(cx)) ? Recovered.FINISHED',
        `  if (state.isCommitted) {
    cx.batch.reset().cas(write.slot.mn[0], write.slot.offsetBytes[0], write.vOld, write.vNew);
    yield cx.batch;
    return Recovered.FINISHED;
  }
  return (yield* commitAnew(cx)) ? Recovered.FINISHED`,
      ],
    ],
  },
];
