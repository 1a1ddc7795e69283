import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, LINE_BYTES, LogField, LogOperation, objectLines } from '../layout/index.js';
import { poolByHand } from './by-hand.js';
import { Outcome } from './index.js';
import { checkObject, ObjectIs } from './object-check.js';

describe("a DELETE's object", () => {
  // 34 bytes fill one line, 98 two: a byte more would lie in the log entry.
  it.each([1, 33, 34, 35, 98])(
    'is the key, no value, and a whole log entry (key of %i bytes)',
    (keyBytes) => {
      const { clients, nodes, view } = poolByHand({ dataReplicas: 2, indexReplicas: 2 });
      const [a] = clients;
      const key = 'k'.repeat(keyBytes);
      expect(a.insert(key, 'a value of which nothing must show').finish()).toBe(Outcome.OK);
      expect(a.delete(key).finish()).toBe(Outcome.OK);
      const { cx } = a;
      expect(cx.lines).toBe(objectLines(keyBytes, 0));
      const lengthBytes = cx.lines * LINE_BYTES;
      for (const replica of [0, 1]) {
        const mn = view.dataMn(cx.objectPointer, replica);
        const at = view.dataOffset(cx.objectPointer, replica);
        nodes.read(mn, at, cx.client.local.bytes, cx.matchArea, lengthBytes);
        expect(checkObject(cx, cx.matchArea, cx.lines)).toBe(ObjectIs.THE_KEYS);
        expect(cx.foundBytes).toBe(0);
        const image = cx.client.local.bytes.subarray(cx.matchArea, cx.matchArea + lengthBytes);
        const padding = image.subarray(HEADER_BYTES + keyBytes, lengthBytes + LogField.NEXT);
        expect(padding.every((byte) => byte === 0)).toBe(true);
        expect(image.at(-1)).toBe((LogOperation.DELETE << 1) | 1);
      }
    },
  );
});
