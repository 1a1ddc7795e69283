import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  RPC_FRAME_BYTES,
  RpcOperation,
  RpcStatus,
  readRequest,
  readResponse,
  writeRequest,
  writeResponse,
} from './rpc.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const exact = fc.maxSafeNat();

it('the numbers of operations and statuses are those that running nodes know', () => {
  expect(RpcOperation).toEqual({ JOIN: 1, ALLOC: 2, STATS: 3 });
  expect(RpcStatus).toEqual({ OK: 1, NO_MEMORY: 2, BAD_REQUEST: 3 });
  expect(RPC_FRAME_BYTES).toBe(32);
});

it('a request reads as it was written, at its place in a larger buffer, and fills its frame', () => {
  fc.assert(
    fc.property(u32, u32, u32, u32, fc.nat(3), (operation, cid, requestId, argument, shift) => {
      const bytes = new Uint8Array(new ArrayBuffer(200), 8, 100).fill(0xee);
      const at = 8 * shift;
      writeRequest(bytes, at, { operation, cid, requestId, argument });
      expect(readRequest(bytes, at)).toEqual({ operation, cid, requestId, argument });
      const view = new DataView(bytes.buffer, 8 + at);
      expect([0, 4, 8, 12].map((i) => view.getUint32(i, true))).toEqual([
        operation,
        cid,
        requestId,
        argument,
      ]);
      expect(bytes.subarray(at + 16, at + 32).every((b) => b === 0)).toBe(true);
      expect([...bytes].filter((b, i) => (i < at || i >= at + 32) && b !== 0xee)).toEqual([]);
    }),
  );
});

it('a response reads as it was written, with 48-bit pointers, and fills its frame', () => {
  fc.assert(
    fc.property(u32, u32, exact, exact, fc.nat(3), (status, requestId, pointer, value, shift) => {
      const bytes = new Uint8Array(100).fill(0xee);
      const at = 8 * shift;
      writeResponse(bytes, at, { status, requestId, pointer, value });
      expect(readResponse(bytes, at)).toEqual({ status, requestId, pointer, value });
      const view = new DataView(bytes.buffer, at);
      expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([status, requestId]);
      expect([8, 16, 24].map((i) => view.getFloat64(i, true))).toEqual([pointer, value, 0]);
      expect([...bytes].filter((b, i) => (i < at || i >= at + 32) && b !== 0xee)).toEqual([]);
    }),
  );
});
