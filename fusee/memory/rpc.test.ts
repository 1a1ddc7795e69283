import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CLASS_COUNT } from '../layout/index.js';
import { RPC_BYTES } from '../verbs/index.js';
import {
  LANES_MAX,
  LISTED_MAX,
  makeResponse,
  ORPHAN,
  RPC_FRAME_BYTES,
  RpcOperation,
  RpcStatus,
  readBlocks,
  readRequest,
  readResponse,
  writeRequest,
} from './rpc.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const exact = fc.maxSafeNat();

it('the numbers of operations and statuses are those that running nodes know', () => {
  const blocks = { ALLOC: 2, FREE: 5, LIST: 6, TRANSFER: 7, HAND_ON: 13 };
  const newer = { EXPEL: 11, HOLDERS: 12 };
  expect(RpcOperation).toEqual({
    JOIN: 1,
    STATS: 3,
    LEAVE: 4,
    RETIRE: 8,
    VIEW: 9,
    PART: 10,
    ...newer,
    ...blocks,
  });
  expect(RpcStatus).toEqual({ OK: 1, NO_MEMORY: 2, BAD_REQUEST: 3, STALE: 4, FULL: 5 });
  expect(RPC_FRAME_BYTES).toBe(32);
  expect([ORPHAN, LANES_MAX > 256]).toEqual([0xffffffff, true]);
});

it('a request reads as it was written, at its place in a larger buffer, and fills its frame', () => {
  fc.assert(
    fc.property(
      u32,
      u32,
      u32,
      u32,
      fc.nat(3),
      exact,
      u32,
      u32,
      (operation, cid, requestId, argument, shift, pointer, lane, other) => {
        const bytes = new Uint8Array(new ArrayBuffer(200), 8, 100).fill(0xee);
        const at = 8 * shift;
        writeRequest(bytes, at, { operation, cid, requestId, argument, pointer, lane, other });
        expect(readRequest(bytes, at)).toEqual({ operation, cid, requestId, argument, pointer, lane, other });
        const view = new DataView(bytes.buffer, 8 + at);
        expect([0, 4, 8, 12, 24, 28].map((i) => view.getUint32(i, true))).toEqual([
          operation,
          cid,
          requestId,
          argument,
          lane,
          other,
        ]);
        expect(view.getFloat64(16, true)).toBe(pointer);
        expect([...bytes].filter((b, i) => (i < at || i >= at + 32) && b !== 0xee)).toEqual([]);
      },
    ),
  );
});

it('what a request leaves out is 0, whatever was in its frame before', () => {
  const bytes = new Uint8Array(32).fill(0xee);
  writeRequest(bytes, 0, { operation: RpcOperation.LEAVE, cid: 7 });
  const zeros = { requestId: 0, argument: 0, pointer: 0, lane: 0, other: 0 };
  expect(readRequest(bytes, 0)).toEqual({ operation: RpcOperation.LEAVE, cid: 7, ...zeros });
});

it('a response reads as it was made, with 48-bit pointers, at its place in a larger buffer', () => {
  fc.assert(
    fc.property(u32, u32, exact, exact, fc.nat(3), (status, requestId, pointer, value, shift) => {
      const frame = makeResponse({ status, requestId, pointer, value });
      expect(frame.length).toBe(RPC_FRAME_BYTES);
      const bytes = new Uint8Array(100).fill(0xee);
      bytes.set(frame, 8 * shift);
      expect(readResponse(bytes, 8 * shift)).toEqual({ status, requestId, pointer, value });
      expect(readBlocks(bytes, 8 * shift)).toEqual([]);
      const view = new DataView(frame.buffer);
      expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([status, requestId]);
      expect([8, 16, 24].map((i) => view.getFloat64(i, true))).toEqual([pointer, value, 0]);
    }),
  );
});

it('a response lists blocks of every class, anywhere in 48 bits, as many as an RPC carries', () => {
  const block = fc.record({
    pointer: fc.integer({ min: 0, max: 2 ** 38 - 1 }).map((unit) => unit * 1024),
    sizeClass: fc.nat(CLASS_COUNT - 1),
  });
  fc.assert(
    fc.property(fc.array(block, { maxLength: LISTED_MAX }), (blocks) => {
      const frame = makeResponse({ status: 1, requestId: 2, pointer: 0, value: -1 }, blocks);
      expect(frame.length).toBe(RPC_FRAME_BYTES + 8 * blocks.length);
      expect(readBlocks(frame, 0)).toEqual(blocks);
      expect(readResponse(frame, 0).value).toBe(-1);
    }),
  );
  expect(RPC_FRAME_BYTES + 8 * LISTED_MAX).toBe(RPC_BYTES);
});
