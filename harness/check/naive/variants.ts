/**
 * The naive ways by name, as scenario variants: each replaces one thing, and the explorer must find what it
 * breaks.
 */
import { LogOperation } from '../../../fusee/layout/index.js';
import { type Context, Outcome, RequestKind } from '../../../fusee/ops/index.js';
import { DONE, type OpLoop } from '../../../fusee/verbs/index.js';
import type { ClientRun } from '../scenario/client-run.js';
import type { Variant } from '../scenario/scenario.js';
import { type InsertPolicy, insertWith, RIGHT } from './insert.js';
import { type ModifyPolicy, modifyWith } from './modify.js';

/** INSERT with some of its rules changed; nothing changed: the same rules in test code. */
export function insertVariant(name: string, changes: Partial<InsertPolicy>): Variant {
  return { name, loops: (run) => at(RequestKind.INSERT, insertWith(run.cx, { ...RIGHT, ...changes })) };
}

/** UPDATE and DELETE by a naive policy. */
export function modifyVariant(name: string, changes: Partial<ModifyPolicy>): Variant {
  const policy: ModifyPolicy = { vOld: 'read', loser: 'says OK', ...changes };
  return {
    name,
    loops: ({ cx }) => [
      ...at(RequestKind.UPDATE, modifyWith(cx, LogOperation.UPDATE, policy)),
      modifyWith(cx, LogOperation.DELETE, policy),
    ],
  };
}

/** H2: DELETE writes the zero word, as the paper does; all else is the product's. */
export const deleteWritesZero: Variant = {
  name: 'DELETE writing 0',
  loops: (run) => {
    patchAim(run, (lines) => lines === 0);
    return [];
  },
};

/** Makes `aim` propose the zero word when `isZero` says so. */
function patchAim(run: ClientRun, isZero: (lines: number) => boolean): void {
  const { cx } = run;
  const { aim } = cx;
  cx.aim = (slot, lines) => {
    aim.call(cx, slot, lines);
    if (!isZero(lines)) return;
    cx.write.vNew.hi = 0;
    cx.write.vNew.lo = 0;
  };
}

/** H8: client 0's second write puts the first word back, as if its object's address had been used again. */
export const valueRecurs: Variant = {
  name: 'a value that recurs',
  loops: (run) => {
    const { cx } = run;
    const { aim } = cx;
    cx.aim = (slot, lines) => {
      aim.call(cx, slot, lines);
      if (run.client === 0 && run.request === 1) {
        cx.write.vNew.hi = run.pool.initialWords[0].hi;
        cx.write.vNew.lo = run.pool.initialWords[0].lo;
      }
    };
    return [];
  },
};

/** H9: UPDATE writes the slot in the batch that writes its object. */
export const publishesEarly: Variant = {
  name: 'UPDATE that publishes its object early',
  loops: ({ cx, pool }) => at(RequestKind.UPDATE, updateEarly(cx, pool.slotOffsets[0])),
};

function* updateEarly(cx: Context, slot: number): OpLoop {
  const { batch: b, write, client } = cx;
  for (;;) {
    cx.begin();
    cx.takeCell(LogOperation.UPDATE);
    cx.seal(LogOperation.UPDATE);
    cx.aim(slot, cx.lines);
    cx.startBatch().read8(client.view.slotMn(slot, 0), client.view.slotOffset(slot));
    yield b;
    b.found(0, write.vOld);
    b.reset();
    for (let r = write.slot.count - 1; r >= 0; r--)
      b.cas(write.slot.mn[r], write.slot.offsetBytes[r], write.vOld, write.vNew);
    cx.appendObject();
    yield b;
    cx.outcome = Outcome.OK;
    yield DONE;
  }
}

/**
 * H10: the deadline of one client's requests has passed from the start: it gives up wherever it would wait.
 */
export const expiredAtOnce = (client: number): Variant => ({
  name: 'a deadline that has passed',
  loops: (run) => {
    if (run.client === client) run.cx.write.expired = true;
    return [];
  },
});

const at = (kind: number, loop: OpLoop): (OpLoop | undefined)[] => {
  const loops: (OpLoop | undefined)[] = new Array(kind).fill(undefined);
  loops[kind] = loop;
  return loops;
};
