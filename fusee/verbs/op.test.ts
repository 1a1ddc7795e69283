import { describe, expect, it } from 'vitest';
import { VerbBatch } from './batch.js';
import { CorruptionError, FabricError, FuseeError, UsageError } from './errors.js';
import { LocalMemory } from './local-memory.js';
import { DONE, type OpLoop, resume, Stage } from './op.js';
import { copyWord, formatWord, isZero, sameWord, word } from './word.js';

function batches(count: number): VerbBatch[] {
  const buffer = new ArrayBuffer(8192);
  const local = new LocalMemory(buffer, () => 0);
  return Array.from({ length: count }, () => new VerbBatch(local, 1));
}

describe('resume', () => {
  it('gives batches and DONE, and refuses a loop that an error has ended', () => {
    const [batch] = batches(1);
    function* loop(): OpLoop {
      yield batch;
      yield DONE;
      throw new CorruptionError('bytes are wrong');
    }
    const running = loop();
    expect([resume(running), resume(running)]).toEqual([batch, DONE]);
    expect(() => resume(running)).toThrow(CorruptionError);
    expect(() => resume(running)).toThrow(FabricError);
  });
});

describe('a stage', () => {
  it('runs one call of its loop per yield*, and hands through every batch of it', () => {
    const [first, second, outer] = batches(3);
    let calls = 0;
    function* innerLoop(): OpLoop {
      for (;;) {
        calls++;
        yield first;
        yield second;
        yield DONE;
      }
    }
    const stage = new Stage(innerLoop());
    function* outerLoop(): OpLoop {
      for (;;) {
        yield* stage;
        yield outer;
        yield* stage;
        yield DONE;
      }
    }
    const loop = outerLoop();
    for (let turn = 1; turn <= 3; turn++) {
      const seen = Array.from({ length: 6 }, () => loop.next().value);
      expect(seen).toEqual([first, second, outer, first, second, DONE]);
      expect(calls).toBe(2 * turn);
    }
  });

  it('of a call without batches costs no yield', () => {
    const [outer] = batches(1);
    function* emptyLoop(): OpLoop {
      for (;;) yield DONE;
    }
    const stage = new Stage(emptyLoop());
    function* outerLoop(): OpLoop {
      for (;;) {
        yield* stage;
        yield outer;
        yield DONE;
      }
    }
    const loop = outerLoop();
    expect([loop.next().value, loop.next().value, loop.next().value]).toEqual([outer, DONE, outer]);
  });
});

describe('a word', () => {
  it('is the same only when both halves are', () => {
    expect(sameWord(word(1, 2), word(1, 2))).toBe(true);
    expect(sameWord(word(1, 2), word(1, 3))).toBe(false);
    expect(sameWord(word(1, 2), word(0, 2))).toBe(false);
  });

  it('is zero only when both halves are', () => {
    expect([word(), word(1, 0), word(0, 1)].map(isZero)).toEqual([true, false, false]);
  });

  it('is copied by value', () => {
    const [from, into] = [word(1, 2), word(3, 4)];
    copyWord(into, from);
    from.hi = 9;
    expect(into).toEqual({ hi: 1, lo: 2 });
  });

  it('prints as the number it is', () => {
    expect(formatWord(word(0, 0xabc))).toBe('abc');
    expect(formatWord(word(0xdead, 0x1))).toBe('dead:00000001');
  });
});

describe('errors', () => {
  it('carry a code and their class, and all are of the product', () => {
    const errors = [new UsageError('u'), new FabricError('f'), new CorruptionError('c')];
    expect(errors.map((e) => [e.code, e.name, e.message])).toEqual([
      ['USAGE', 'UsageError', 'u'],
      ['FABRIC', 'FabricError', 'f'],
      ['CORRUPTION', 'CorruptionError', 'c'],
    ]);
    for (const e of errors) expect(e).toBeInstanceOf(FuseeError);
  });

  it('of a fabric say whether the request may have taken effect, and why', () => {
    const cause = new Error('socket closed');
    const e = new FabricError('gone', { definite: false, cause });
    expect([e.definite, e.cause]).toEqual([false, cause]);
    expect(new FabricError('gone').definite).toBe(true);
    expect('cause' in new FabricError('gone')).toBe(false);
  });
});
