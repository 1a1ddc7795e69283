/**
 * Faults in SNAPSHOT: who wins, what a winner does, what a loser waits for; and in the layout it stands on.
 */
import type { Fault } from '../faults.js';

const SNAPSHOT = 'fusee/replication/snapshot.ts';
const RULES = 'fusee/replication/rules.ts';
const SLOT = 'fusee/layout/slot.ts';

/** See {@link Fault}. */
export const snapshotFaults: readonly Fault[] = [
  {
    id: 'rule-2-without-majority',
    file: RULES,
    breaks: 'half of the votes make a winner: there can be two',
    edits: [
      ['if (2 * mine > count) return Verdict.RULE_2;', 'if (2 * mine >= count) return Verdict.RULE_2;'],
    ],
  },
  {
    id: 'rule-3-without-primary',
    file: SNAPSHOT,
    breaks: 'Rule 3 does not look whether somebody has won',
    edits: [['else if (!b.foundIs(0, w.vOld)) {\n        b.found(0, w.lost);', 'else if (false) {']],
  },
  {
    id: 'rule-3-by-greatest',
    file: RULES,
    breaks: 'a voter that is not there decides a tie: nobody wins',
    edits: [
      ['if (lessOwner(votes[i], vNew)) return false;', 'if (!lessOwner(vNew, votes[i])) return false;'],
    ],
  },
  {
    id: 'no-fix',
    file: SNAPSHOT,
    breaks: 'winners by Rule 2 and 3 leave the other backups as they are',
    edits: [['if (!sameBits(votes[r - 1], w.vNew)) b.cas(', 'if (r > backups) b.cas(']],
  },
  {
    id: 'fix-after-commit',
    file: SNAPSHOT,
    breaks: 'the log is committed before the backups agree',
    edits: [
      [
        'if (w.checksDuplicates) appendDuplicateReads(w);\n    yield b;',
        `if (w.checksDuplicates) appendDuplicateReads(w);
    stageOldValue(w.local.bytes, w.stagedEnd, w.vOld);
    for (let r = 0; r < w.objectEnd.count; r++) {
      const at = w.objectEnd.offsetBytes[r] + LogField.OLD_VALUE;
      b.write(w.objectEnd.mn[r], at, w.stagedEnd + LogField.OLD_VALUE, LOG_COMMIT_BYTES);
    }
    yield b;`,
      ],
    ],
  },
  {
    id: 'commit-with-primary',
    file: SNAPSHOT,
    breaks: 'log commit and primary CAS share a batch, so either may land first',
    edits: [
      [
        '    yield b;\n    if (b.anyFailed()) {\n      w.verdict = Verdict.FAIL;',
        `    const last = b.cas(slot.mn[0], slot.offsetBytes[0], w.vOld, w.vNew);
    yield b;
    if (!b.anyFailed()) {
      requireSwapped(b, last, w.vOld, "the last writer's CAS of the primary");
    } else if (b.anyFailed()) {
      w.verdict = Verdict.FAIL;`,
      ],
    ],
  },
  {
    id: 'no-log-commit',
    file: SNAPSHOT,
    breaks: 'the log never says that the backups agree',
    edits: [['  stageOldValue(local.bytes, stagedEnd, vOld);\n', '  void stageOldValue;\n']],
  },
  {
    id: 'loser-does-not-wait',
    file: SNAPSHOT,
    breaks: "a loser answers before the winner's write shows",
    edits: [
      [
        '} while (verdict === Verdict.LOSE && b.foundIs(0, w.vOld));',
        '} while (verdict === Verdict.LOSE && false);',
      ],
    ],
  },
  {
    id: 'loser-gives-up-late',
    file: SNAPSHOT,
    breaks: 'a deadline strikes between the backups and the primary (H10)',
    edits: [
      [
        '    b.reset();\n    appendCommit(w);',
        `    if (w.expired) {
      w.verdict = Verdict.EXPIRED;
      yield DONE;
      continue;
    }
    b.reset();
    appendCommit(w);`,
      ],
    ],
  },
  {
    id: 'silent-backup-is-a-vote',
    file: SNAPSHOT,
    breaks: 'a backup that did not answer is counted',
    edits: [['b.anyFailed() ? Verdict.FAIL : castVotes(w, backups)', 'castVotes(w, backups)']],
  },
  {
    id: 'X7-votes-by-word',
    file: SLOT,
    breaks: 'votes are compared by the whole word, so an undo changes a count',
    edits: [
      ['a.hi === b.hi && a.lo >>> 22 === b.lo >>> 22;', 'a.hi === b.hi && a.lo === b.lo;'],
      ['(a.hi === b.hi && a.lo >>> 22 < b.lo >>> 22);', '(a.hi === b.hi && a.lo < b.lo);'],
    ],
  },
  {
    id: 'X8b-check-on-primary',
    file: SNAPSHOT,
    breaks: 'the duplicate check reads a replica on which it has not written',
    edits: [['const mn = w.slot.mn[1];', 'const mn = w.slot.mn[0];']],
  },
  {
    id: 'X8b-check-before-cas',
    file: SNAPSHOT,
    breaks: 'the duplicate check is not behind the CAS: two clean INSERTs',
    edits: [
      [
        `    b.reset();
    for (let r = 1; r <= backups; r++) b.cas(slot.mn[r], slot.offsetBytes[r], w.vOld, w.vNew);`,
        `    if (w.checksDuplicates) {
      b.reset();
      appendDuplicateReads(w);
      yield b;
    }
    b.reset();
    for (let r = 1; r <= backups; r++) b.cas(slot.mn[r], slot.offsetBytes[r], w.vOld, w.vNew);`,
      ],
      ['    if (w.checksDuplicates) appendDuplicateReads(w);\n    yield b;', '    yield b;'],
      ['if (w.checksDuplicates && !firstIsMine) appendDuplicateReads(w);', ''],
    ],
  },
  {
    id: 'X8b-no-check-behind-fix',
    file: SNAPSHOT,
    breaks: 'who had lost the first backup checks what he read before he held it',
    edits: [['if (w.checksDuplicates && !firstIsMine) appendDuplicateReads(w);', '']],
  },
  {
    id: 'tentative-is-visible',
    file: SLOT,
    breaks: 'a tentative INSERT counts as a KV',
    edits: [['(w.lo & 0xff00) !== 0 && kindBits(w) === 0;', '(w.lo & 0xff00) !== 0;']],
  },
  {
    id: 'tentative-matches',
    file: 'fusee/index/candidates.ts',
    breaks: 'readers see a tentative INSERT',
    edits: [[' && (lo & 0x3f0000) === 0) return i;', ') return i;']],
  },
  {
    id: 'H14-subtable-stride',
    file: 'fusee/index/hash.ts',
    breaks: 'subtables are placed as if overflow buckets took no room: neighbours overlap',
    edits: [
      [
        'directory.subtableOf[h1 & directory.mask] * place.subtableBytes;',
        'directory.subtableOf[h1 & directory.mask] * groups * 2 * BUCKET_BYTES;',
      ],
    ],
  },
  {
    id: 'H14-subtable-bytes',
    file: 'fusee/layout/geometry.ts',
    breaks: 'a subtable is laid out too short: the next one lies over its end',
    edits: [['config.groupsPerSubtable * GROUP_BYTES;', 'config.groupsPerSubtable * COMBINED_BYTES;']],
  },
];
