import { describe, expect, it } from 'vitest';
import { memoryOf } from './shm.js';

/** A region of 40 bytes whose windows are buffers of their own. */
function region() {
  const opened: [number, number][] = [];
  const window = (offset: number, bytes: number): ArrayBuffer => {
    opened.push([offset, bytes]);
    return new ArrayBuffer(bytes);
  };
  return { opened, node: { memoryBytes: 40, window } };
}

describe("a node's memory", () => {
  it('is covered by windows without a gap, the last one shorter', () => {
    const { node, opened } = region();
    memoryOf(node, 16);
    expect(opened).toEqual([
      [0, 16],
      [16, 16],
      [32, 8],
    ]);
  });

  it('takes and gives what crosses windows', () => {
    const { node } = region();
    const memory = memoryOf(node, 16);
    const from = Uint8Array.from({ length: 30 }, (_, i) => i + 1);
    memory.write(5, from, 0, 30);
    const into = new Uint8Array(34);
    memory.read(4, into, 1, 32);
    expect([...into.subarray(1, 33)]).toEqual([0, ...from, 0]);
  });
});
