import { describe, expect, it } from 'vitest';
import { BUCKET_BYTES, Geometry, readSuperblock } from '../layout/index.js';
import {
  LANES_MAX,
  ORPHAN,
  RPC_FRAME_BYTES,
  RpcOperation,
  type RpcRequest,
  RpcStatus,
  readResponse,
  URGENT,
  writeRequest,
} from '../memory/index.js';
import { CONFIG, GEOMETRY, node, VIEW } from './by-hand.js';
import { smallPool } from './in-process.js';
import { NodeService } from './service.js';

describe('formatting', () => {
  it.each([0, 1, 2, 3])(
    'gives node %i its superblock and a header in every bucket it hosts, nothing else',
    (mn) => {
      const { memory, service } = node(mn);
      service.format();
      expect(readSuperblock(memory, 'memory')).toEqual({ config: CONFIG, node: mn });
      const expected = new Uint8Array(memory.length);
      expected.set(memory.subarray(0, GEOMETRY.indexBase));
      const view = new DataView(expected.buffer);
      for (let subtable = 0; subtable < 8; subtable++) {
        // Three replicas on the four nodes: one node does without.
        const slot = subtable * GEOMETRY.subtableBytes;
        if (![0, 1, 2].some((r) => VIEW.slotMn(slot, r) === mn)) continue;
        for (let bucket = 0; bucket < 6; bucket++) {
          const header = GEOMETRY.indexBase + slot + bucket * BUCKET_BYTES;
          view.setUint32(header, 3, true);
          view.setUint32(header + 4, subtable, true);
        }
      }
      expect(Buffer.compare(memory, expected)).toBe(0);
    },
  );
});

describe('ALLOC', () => {
  it('grants each block of the regions whose primary is this node once, and enters its owner', () => {
    const { ask, at } = node(2);
    const pointers: number[] = [];
    const blocks = CONFIG.regionsPerNode * GEOMETRY.blocksPerRegion;
    expect(GEOMETRY.reservedPerNode).toBe(1);
    for (let i = 0; i < blocks; i++) {
      const other = i < blocks - 1 ? 0 : URGENT;
      const answer = ask({ cid: 5, requestId: 100 + i, argument: i, other });
      expect(answer).toMatchObject({ status: RpcStatus.OK, requestId: 100 + i, value: 0 });
      pointers.push(answer.pointer);
      const region = Math.floor(answer.pointer / CONFIG.regionBytes);
      const block = (answer.pointer % CONFIG.regionBytes) / CONFIG.blockBytes;
      expect(VIEW.regionMn(region, 0)).toBe(2);
      expect(at(VIEW.tableOffset(region, 0) + 8 * block)).toEqual([5, i + 1]);
    }
    expect(new Set(pointers).size).toBe(blocks);
    expect(ask({ cid: 5, requestId: 999, other: URGENT }).status).toBe(RpcStatus.NO_MEMORY);
    expect(ask({ operation: RpcOperation.STATS, requestId: 1 }).value).toBe(blocks);
  });

  it('grants the last blocks of a node to urgent requests only, also when they have been freed', () => {
    const { ask } = node(1);
    const blocks = CONFIG.regionsPerNode * GEOMETRY.blocksPerRegion;
    const ordinary = Array.from({ length: blocks - 1 }, (_, i) => ask({ requestId: i + 1 }).pointer);
    expect(ordinary.map((pointer) => VIEW.isReserved(pointer))).toEqual(ordinary.map(() => false));
    expect(ask({ requestId: 100 }).status).toBe(RpcStatus.NO_MEMORY);
    const { pointer } = ask({ requestId: 101, other: URGENT });
    expect(VIEW.isReserved(pointer)).toBe(true);
    expect(ask({ requestId: 102, other: URGENT }).status).toBe(RpcStatus.NO_MEMORY);
    // It goes back to the reserve; another goes back to all.
    ask({ operation: RpcOperation.FREE, pointer, requestId: 103 });
    expect(ask({ requestId: 104 }).status).toBe(RpcStatus.NO_MEMORY);
    ask({ operation: RpcOperation.FREE, pointer: ordinary[2], requestId: 105 });
    expect(ask({ requestId: 106, other: URGENT }).pointer).toBe(ordinary[2]);
    expect(ask({ requestId: 107, other: URGENT }).pointer).toBe(pointer);
  });

  it('repeated gives the same block; another client, lane or later id gives another', () => {
    const { ask } = node(0);
    const requests = [
      { cid: 1, lane: 0, requestId: 7 },
      { cid: 2, lane: 0, requestId: 7 },
      { cid: 1, lane: 1, requestId: 7 },
      { cid: 1, lane: 2, requestId: 1 },
    ];
    const first = requests.map((r) => ask(r).pointer);
    expect(new Set(first).size).toBe(4);
    expect([3, 0, 2, 1, 0].map((i) => ask(requests[i]).pointer)).toEqual(
      [3, 0, 2, 1, 0].map((i) => first[i]),
    );
    expect(ask({ operation: RpcOperation.STATS }).value).toBe(4);
  });

  it('that comes again behind a newer request of its lane is STALE, and takes no block', () => {
    const { ask } = node(0);
    const [first, second] = [7, 8].map((requestId) => ask({ requestId }).pointer);
    expect(first).not.toBe(second);
    for (const requestId of [7, 6, 0]) {
      expect(ask({ requestId })).toEqual({ status: RpcStatus.STALE, requestId, pointer: 0, value: 0 });
    }
    expect(ask({ requestId: 8 }).pointer).toBe(second);
    expect(ask({ operation: RpcOperation.STATS }).value).toBe(2);
  });

  it('counts ids modulo 2^32', () => {
    const { ask } = node(0);
    const last = ask({ requestId: 0xffffffff }).pointer;
    expect(ask({ requestId: 0 }).pointer).not.toBe(last);
    expect(ask({ requestId: 0xffffffff }).status).toBe(RpcStatus.STALE);
  });

  it('that was refused is refused again, also when there are blocks again', () => {
    const { ask } = node(0);
    const pointers: number[] = [];
    for (let id = 1; ; id++) {
      const { status, pointer } = ask({ requestId: id });
      if (status === RpcStatus.NO_MEMORY) break;
      pointers.push(pointer);
    }
    const requestId = pointers.length + 1;
    const free = { operation: RpcOperation.FREE, lane: 1, requestId: 1, pointer: pointers[0] };
    expect(ask(free).status).toBe(RpcStatus.OK);
    expect(ask({ requestId }).status).toBe(RpcStatus.NO_MEMORY);
    expect(ask({ requestId: requestId + 1 }).pointer).toBe(pointers[0]);
  });

  it('never grants a block that its table says is taken', () => {
    const { memory, ask } = node(1);
    const regions = Array.from({ length: GEOMETRY.regions }, (_, g) => g);
    const region = regions.find((g) => VIEW.regionMn(g, 0) === 1) as number;
    new DataView(memory.buffer).setUint32(VIEW.tableOffset(region, 0) + 8, 9, true);
    const base = region * CONFIG.regionBytes;
    expect(ask({ requestId: 1 }).pointer).toBe(base);
    expect(ask({ requestId: 2 }).pointer).toBe(base + 2 * CONFIG.blockBytes);
  });
});

describe('a bad request', () => {
  it.each<[string, Partial<RpcRequest>]>([
    ['of no known operation', { operation: 77 }],
    ['of operation 0', { operation: 0 }],
    ['to ALLOC for no client', { cid: 0 }],
    ['to ALLOC for ORPHAN', { cid: ORPHAN }],
    ['of a lane that no client has', { lane: LANES_MAX }],
    ['to LIST the blocks of nobody', { operation: RpcOperation.LIST, argument: 0 }],
    ['to LIST from before the start', { operation: RpcOperation.LIST, argument: 1, pointer: -1 }],
    ['to LIST from between two blocks', { operation: RpcOperation.LIST, argument: 1, pointer: 0.5 }],
    ['to LIST from nowhere', { operation: RpcOperation.LIST, argument: 1, pointer: Number.NaN }],
    ['to ALLOC a class that does not exist', { argument: 56 }],
  ])('%s is answered so, and changes nothing', (_, request) => {
    const { memory, ask } = node(0);
    expect(ask({ requestId: 3, ...request })).toEqual({
      status: RpcStatus.BAD_REQUEST,
      requestId: 3,
      pointer: 0,
      value: 0,
    });
    expect(memory.every((b) => b === 0)).toBe(true);
    expect(ask({ requestId: 4, cid: 1, argument: 0 }).status).toBe(RpcStatus.OK);
  });

  it.each([0, 31, 33, 112])('of %i bytes is answered so', (lengthBytes) => {
    const { service } = node(0);
    const answer = service.handle(new Uint8Array(lengthBytes));
    expect(answer.length).toBe(RPC_FRAME_BYTES);
    expect(readResponse(answer, 0)).toEqual({
      status: RpcStatus.BAD_REQUEST,
      requestId: 0,
      pointer: 0,
      value: 0,
    });
  });

  it('to ALLOC a class of which no cell fits a block is answered so, and takes no block', () => {
    const config = smallPool({ blockBytes: 1 << 12 });
    const service = new NodeService(config, 0, { read: () => undefined, write: () => undefined });
    const largest = new Geometry(config).largestClass();
    const frame = new Uint8Array(RPC_FRAME_BYTES);
    const ask = (argument: number): number => {
      writeRequest(frame, 0, { operation: RpcOperation.ALLOC, cid: 1, requestId: argument, argument });
      return readResponse(service.handle(frame), 0).status;
    };
    expect([ask(largest), ask(largest + 1)]).toEqual([RpcStatus.OK, RpcStatus.BAD_REQUEST]);
  });
});
