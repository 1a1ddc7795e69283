/** Faults in INSERT: the loser, the duplicate check, the way a claim is taken back. */
import type { Fault } from '../faults.js';

const REPLICATED = 'fusee/ops/claim-replicated.ts';
const SINGLE = 'fusee/ops/claim-single.ts';
const CHECK = 'fusee/ops/duplicate-check.ts';
const INSERT = 'fusee/ops/insert.ts';

/** See {@link Fault}. */
export const insertFaults: readonly Fault[] = [
  {
    id: 'H1-loser-says-ok',
    file: REPLICATED,
    breaks: 'an INSERT that lost its slot to another key says OK',
    edits: [['claimant.claim = Claim.AGAIN;', 'claimant.claim = Claim.INSERTED;']],
  },
  {
    id: 'H1-single-loser-says-ok',
    file: SINGLE,
    breaks: 'the same with one index replica',
    edits: [
      [
        '      claimant.claim = Claim.AGAIN;\n      write.round',
        '      claimant.claim = Claim.INSERTED;\n      write.round',
      ],
    ],
  },
  {
    id: 'H1-no-check',
    file: REPLICATED,
    breaks: 'no duplicate check: one key in two slots',
    edits: [['claimant.check.suspects(claimant.own) === 0;', 'claimant.check.suspects(claimant.own) >= 0;']],
  },
  {
    id: 'H1-single-no-check',
    file: SINGLE,
    breaks: 'with one replica, rivals are not looked for',
    edits: [["check.keys(cx.buckets, own, 'tentative');", "check.keys(cx.buckets, own, 'tentative') & 0;"]],
  },
  {
    id: 'H1-single-visible-ignored',
    file: SINGLE,
    breaks: 'with one replica, a copy that is already visible is not seen',
    edits: [
      ["if (check.keys(cx.buckets, own, 'visible') !== 0) {", 'if (check.startTurn() !== undefined) {'],
    ],
  },
  {
    id: 'H1-visible-ignored',
    file: REPLICATED,
    breaks: 'a copy that is already visible is not seen',
    edits: [
      ["if (check.keys(cx.buckets, own, 'visible') !== 0) {", 'if (check.startTurn() !== undefined) {'],
    ],
  },
  {
    id: 'H2-undo-empties',
    file: REPLICATED,
    breaks: 'an undo writes EMPTY, which comes back',
    edits: [['makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);', 'makeSlot(word(), 0, 0, 0);']],
  },
  {
    id: 'H8-undone-object-again',
    file: INSERT,
    breaks: 'an undone INSERT goes again with the same object: a value recurs',
    edits: [['AGAIN_NEW_OBJECT) hasObject = false;', 'AGAIN_NEW_OBJECT) hasObject = true;']],
  },
  {
    id: 'H8-proposed-cell-given-back',
    file: INSERT,
    breaks: 'a cell whose address others have seen is used again',
    edits: [['if (!proposed) cx.dropCell', 'if (proposed || !proposed) cx.dropCell']],
  },
  {
    id: 'H10-claim-abandoned',
    file: REPLICATED,
    breaks: 'an INSERT whose deadline strikes leaves its claim on the backups',
    edits: [
      [
        'if (cx.write.expired) return (yield* undo(cx)) ? Claim.EXPIRED : Claim.FAILED;',
        'if (cx.write.expired) return Claim.EXPIRED;',
      ],
    ],
  },
  {
    id: 'H10-single-claim-abandoned',
    file: SINGLE,
    breaks: 'with one replica, it leaves its tentative word',
    edits: [
      [
        'if (cx.write.expired) return (yield* undo(cx, tentative)) ? Claim.EXPIRED : Claim.FAILED;',
        'if (cx.write.expired) return Claim.EXPIRED;',
      ],
    ],
  },
  {
    id: 'X3-lower-survives',
    file: REPLICATED,
    breaks: 'the lower slot survives without waiting for its rival',
    edits: [['      rivals++;\n', '']],
  },
  {
    id: 'X3-single-lower-survives',
    file: SINGLE,
    breaks: 'the same with one replica',
    edits: [
      [
        '    // Every rival sits higher, and gives way when it sees this one.\n',
        '    return Claim.INSERTED;\n',
      ],
    ],
  },
  {
    id: 'X4-tombstone-ignored',
    file: CHECK,
    breaks: 'a tombstone of the key on the backup counts as absence',
    edits: [
      ['if (isTomb(w) || (this.#namesValue(w)', 'if ((isTomb(w) && this.isKeys(w)) || (this.#namesValue(w)'],
    ],
  },
  {
    id: 'X5-stale-primary',
    file: REPLICATED,
    breaks: 'the check compares the backup with a primary read before it',
    edits: [['    cx.appendBuckets(0, cx.buckets);\n    check.appendUnknown', '    check.appendUnknown']],
  },
  {
    id: 'X6-both-yield',
    file: REPLICATED,
    breaks: 'whoever sees a rival gives way: two can do so for ever',
    edits: [['      if (candidateSlot(cx.place, q) > claimant.slot) continue;\n', '']],
  },
  {
    id: 'X8-undo-restores',
    file: REPLICATED,
    breaks: 'an undo puts the old value back',
    edits: [
      [
        'const tomb = makeSlot(word(), cx.objectPointer, 0, cx.place.fingerprint);',
        'const tomb = write.vOld;',
      ],
    ],
  },
  {
    id: 'X8-undo-primary-first',
    file: REPLICATED,
    breaks: 'an undo begins at the primary',
    edits: [
      [
        `  b.reset();
  for (let r = 1; r < slot.count; r++) b.cas(slot.mn[r], slot.offsetBytes[r], vNew, tomb);`,
        `  b.reset().cas(slot.mn[0], slot.offsetBytes[0], write.vOld, tomb);
  yield b;
  b.reset();
  for (let r = 1; r < slot.count; r++) b.cas(slot.mn[r], slot.offsetBytes[r], vNew, tomb);`,
      ],
      ['  return yield* finishUndo(cx);\n', '  write.round = Round.UNDONE;\n  return true;\n'],
    ],
  },
  {
    id: 'waits-for-any-word',
    file: REPLICATED,
    breaks: 'who gave way does not wait for the rival it saw',
    edits: [['if (!b.foundIs(onBackup, seen) || sameWord', 'if (b.status(onBackup) >= 0 || sameWord']],
  },
  {
    id: 'reset-not-awaited',
    file: INSERT,
    breaks: 'an INSERT answers EXISTS before its used bit is reset',
    edits: [['    yield cx.resetBatch(LogOperation.INSERT);', '    cx.resetBatch(LogOperation.INSERT);']],
  },
  {
    id: 'undone-reset',
    file: INSERT,
    breaks: 'the used bit of an object that a tombstone names is cleared',
    edits: [['case Claim.EXISTS_UNDONE:\n', 'case Claim.EXISTS_UNDONE:\n      yield* giveUp(cx, true);\n']],
  },
];
