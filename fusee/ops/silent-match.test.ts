import { describe, expect, it } from 'vitest';
import { Field, Opcode, Status } from '../verbs/index.js';
import { poolByHand } from './by-hand.js';
import { Outcome } from './index.js';

describe.each([1, 2])('with %i index replicas', (indexReplicas) => {
  it.each(['search', 'insert', 'update', 'delete'] as const)(
    '%s is UNAVAILABLE at once when the object that may be its key cannot be read',
    (kind) => {
      const [a, b] = poolByHand({ indexReplicas }).clients;
      expect(a.insert('k', 'value').finish()).toBe(Outcome.OK);
      b.warm(1, 5)[kind]('k', 'other').step();
      expect(b.batch).toMatchObject({ count: 1 });
      expect(b.batch?.opcode(0)).toBe(Opcode.READ);
      b.batch?.setField(0, Field.STATUS, Status.FAIL);
      b.answer();
      expect([b.batch, b.cx.outcome]).toEqual([undefined, Outcome.UNAVAILABLE]);
    },
  );
});
