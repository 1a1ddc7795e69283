/** Faults in UPDATE, DELETE and SEARCH, in objects and cells. */
import type { Fault } from '../faults.js';

const MODIFY = 'fusee/ops/modify.ts';
const LOCATE = 'fusee/ops/locate.ts';
const CONTEXT = 'fusee/ops/context.ts';

/** See {@link Fault}. */
export const replaceFaults: readonly Fault[] = [
  {
    id: 'H2-delete-writes-0',
    file: CONTEXT,
    breaks: 'DELETE writes 0, so that a value comes back',
    edits: [
      [
        'makeSlot(this.write.vNew, this.objectPointer, lines, this.place.fingerprint);',
        'makeSlot(this.write.vNew, lines && this.objectPointer, lines, lines && this.place.fingerprint);',
      ],
    ],
  },
  {
    id: 'H3-loser-says-ok',
    file: MODIFY,
    breaks: 'a losing DELETE says OK',
    edits: [
      ['if (isDelete && matches(write.lost, cx.place.fingerprint)) {', 'if (!won(write.verdict) && false) {'],
      ['cx.outcome = isDelete ? Outcome.NOT_FOUND : Outcome.OK;', 'cx.outcome = Outcome.OK;'],
    ],
  },
  {
    id: 'H3-loser-does-not-look',
    file: MODIFY,
    breaks: 'a losing DELETE says NOT_FOUND although the key lives on under the value that won',
    edits: [
      ['if (isDelete && matches(write.lost, cx.place.fingerprint)) {', 'if (!won(write.verdict) && false) {'],
    ],
  },
  {
    id: 'H3-loser-keeps-old',
    file: MODIFY,
    breaks: 'a DELETE goes again on the value that it lost with',
    edits: [['copyWord(write.vOld, write.lost);\n', '']],
  },
  {
    id: 'H6-cached-old-value',
    file: LOCATE,
    breaks: 'the cached word is taken for what the slot holds',
    edits: [
      ['if (cx.batch.foundIs(cx.hintRead, cx.hintWord)) return true;', 'if (cx.hintSlot >= 0) return true;'],
    ],
  },
  {
    id: 'H6-search-trusts-hint',
    file: 'fusee/ops/search.ts',
    breaks: 'SEARCH trusts the cached pointer and does not look at the slot',
    edits: [['if (!hintHolds(cx)) return false;', 'if (!hintHolds(cx) && cx.hintSlot < 0) return false;']],
  },
  {
    id: 'H6-stale-hint-unread',
    file: LOCATE,
    breaks: 'what a stale hint names is taken for the key without a look at the object',
    edits: [
      [
        'if (checkObject(cx, cx.matchArea, slotLines(cx.hintWord), 0) !== ObjectIs.THE_KEYS) return;',
        'checkObject(cx, cx.matchArea, slotLines(cx.hintWord), 0);',
      ],
    ],
  },
  {
    id: 'H9-no-checksum',
    file: 'fusee/ops/object-check.ts',
    breaks: 'half an object is taken for a whole one',
    edits: [['!== local.words[(at >>> 2) + 1]) return ObjectIs.TORN;', '< 0) return ObjectIs.TORN;']],
  },
  {
    id: 'H9-old-used-bit',
    file: CONTEXT,
    breaks: 'a cell is used again while its used bit is set: a torn object looks whole',
    edits: [['    this.deferReset(operation);\n', '']],
  },
  {
    id: 'H9-used-bit-first',
    file: CONTEXT,
    breaks: "an object's last line lands before the lines ahead of it",
    edits: [
      [
        '    for (let r = 0; r < objectEnd.count; r++) {\n      this.batch.write(',
        `    for (let r = 0; r < objectEnd.count; r++) {
      const last = objectEnd.offsetBytes[r] - LINE_BYTES;
      this.batch.write(objectEnd.mn[r], last, stagedEnd - LINE_BYTES, LINE_BYTES);
      this.batch.write(`,
      ],
    ],
  },
  {
    id: 'H9-reset-behind-object',
    file: CONTEXT,
    breaks: "a waiting reset lands behind the next object's WRITE, and clears its used bit",
    edits: [
      [
        `    for (let i = 0; i < this.#deferredCount; i++)
      this.#appendReset(this.#deferred[i], this.#deferredOperation[i]);
    if (this.#deferredCount > 0) b.markBackground();
    this.#deferredCount = 0;
`,
        '',
      ],
      [
        '        lengthBytes,\n      );\n    }\n',
        `        lengthBytes,
      );
    }
    for (let i = 0; i < this.#deferredCount; i++)
      this.#appendReset(this.#deferred[i], this.#deferredOperation[i]);
    this.#deferredCount = 0;
`,
      ],
    ],
  },
  {
    id: 'H11-loser-takes-slot',
    file: MODIFY,
    breaks: 'a losing UPDATE goes again on whatever stands in the slot now: another key, perhaps',
    edits: [
      [
        'const isDelete = operation === LogOperation.DELETE;\n',
        `const isDelete = operation === LogOperation.DELETE;
  if (!isDelete) {
    copyWord(write.vOld, write.lost);
    return true;
  }
`,
      ],
    ],
  },
  {
    id: 'loser-reset-not-awaited',
    file: MODIFY,
    breaks: 'a loser answers before its used bit is reset',
    edits: [['yield cx.resetBatch(operation);', 'cx.resetBatch(operation);']],
  },
  {
    id: 'unwritten-object-named',
    file: MODIFY,
    breaks: 'an UPDATE whose object did not reach every replica goes on',
    edits: [['if (cx.batch.anyFailed()) {', 'if (cx.isHit && cx.hintSlot < 0) {']],
  },
  {
    id: 'object-on-primary-only',
    file: CONTEXT,
    breaks: 'objects are not replicated',
    edits: [
      [
        '    for (let r = 0; r < objectEnd.count; r++) {\n      this.batch.write(',
        '    for (let r = 0; r < 1; r++) {\n      this.batch.write(',
      ],
    ],
  },
  {
    id: 'cell-twice',
    file: 'fusee/memory/block.ts',
    breaks: 'two lists draw the same cell',
    edits: [['this.pointerOf(this.#fresh++)', 'this.pointerOf(this.#fresh++ & ~1)']],
  },
  {
    id: 'stale-answer',
    file: 'fusee/memory/lane.ts',
    breaks: 'an answer to an earlier request counts: a block is owned twice',
    edits: [['if (response.requestId !== this.#requestId) continue;', '']],
  },
];
