import { describe, expect, it } from 'vitest';
import { BUCKET_BYTES, Geometry, readSuperblock, View } from '../layout/index.js';
import {
  RPC_FRAME_BYTES,
  RpcOperation,
  type RpcRequest,
  type RpcResponse,
  RpcStatistic,
  RpcStatus,
  readResponse,
  writeRequest,
} from '../memory/index.js';
import { smallPool } from './in-process.js';
import { NodeService } from './service.js';

const CONFIG = smallPool({ nodes: 4, subtables: 8, groupsPerSubtable: 2, regionBytes: 1 << 18 });
const GEOMETRY = new Geometry(CONFIG);
const VIEW = new View(GEOMETRY);

function node(mn: number) {
  const memory = new Uint8Array(GEOMETRY.nodeBytes);
  const service = new NodeService(CONFIG, mn, {
    read: (offset, into, at, lengthBytes) => into.set(memory.subarray(offset, offset + lengthBytes), at),
    write: (offset, from, at, lengthBytes) => memory.set(from.subarray(at, at + lengthBytes), offset),
  });
  const ask = (request: Partial<RpcRequest>): RpcResponse => {
    const frame = new Uint8Array(RPC_FRAME_BYTES);
    writeRequest(frame, 0, { operation: RpcOperation.ALLOC, cid: 1, requestId: 1, argument: 0, ...request });
    return readResponse(service.handle(frame), 0);
  };
  const at = (offset: number): [number, number] => {
    const view = new DataView(memory.buffer);
    return [view.getUint32(offset, true), view.getUint32(offset + 4, true)];
  };
  return { memory, service, ask, at };
}

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

describe('JOIN', () => {
  it('grants every client an id of its own, never 0, and the same one when the request is repeated', () => {
    const { ask } = node(0);
    const join = (requestId: number): number =>
      ask({ operation: RpcOperation.JOIN, cid: 0, requestId }).value;
    expect([join(11), join(12), join(11), join(13), join(12)]).toEqual([1, 2, 1, 3, 2]);
    expect(ask({ operation: RpcOperation.JOIN, cid: 0, requestId: 14 })).toEqual({
      status: RpcStatus.OK,
      requestId: 14,
      pointer: 0,
      value: 4,
    });
  });
});

describe('ALLOC', () => {
  it('grants each block of the regions whose primary is this node once, and enters its owner', () => {
    const { ask, at } = node(2);
    const pointers: number[] = [];
    const blocks = CONFIG.regionsPerNode * GEOMETRY.blocksPerRegion;
    for (let i = 0; i < blocks; i++) {
      const answer = ask({ cid: 5, requestId: 100 + i, argument: i });
      expect(answer).toMatchObject({ status: RpcStatus.OK, requestId: 100 + i, value: 0 });
      pointers.push(answer.pointer);
      const region = Math.floor(answer.pointer / CONFIG.regionBytes);
      const block = (answer.pointer % CONFIG.regionBytes) / CONFIG.blockBytes;
      expect(VIEW.regionMn(region, 0)).toBe(2);
      expect(at(VIEW.tableOffset(region, 0) + 8 * block)).toEqual([5, i + 1]);
    }
    expect(new Set(pointers).size).toBe(blocks);
    expect(ask({ cid: 5, requestId: 999 }).status).toBe(RpcStatus.NO_MEMORY);
    expect(ask({ operation: RpcOperation.STATS, requestId: 1 }).value).toBe(blocks);
  });

  it('repeated under one id gives the same block; another client or id gives another', () => {
    const { ask } = node(0);
    const [a, b, c] = [
      { cid: 1, requestId: 7 },
      { cid: 2, requestId: 7 },
      { cid: 1, requestId: 8 },
    ];
    const first = [a, b, c].map((r) => ask(r).pointer);
    expect(new Set(first).size).toBe(3);
    expect([c, a, b, a].map((r) => ask(r).pointer)).toEqual([first[2], first[0], first[1], first[0]]);
    expect(ask({ operation: RpcOperation.STATS, requestId: 1 }).value).toBe(3);
    const clients = { operation: RpcOperation.STATS, requestId: 1, argument: RpcStatistic.CLIENTS };
    expect(ask(clients).value).toBe(0);
    ask({ operation: RpcOperation.JOIN, cid: 0, requestId: 9 });
    expect(ask(clients).value).toBe(1);
  });

  it('is remembered for the last 64 requests of a client, whatever the others ask', () => {
    const { ask } = node(0);
    // No more blocks than this: JOINs fill the memory of answers.
    const first = ask({ cid: 1, requestId: 1 }).pointer;
    for (let i = 0; i < 63; i++) ask({ operation: RpcOperation.JOIN, cid: 1, requestId: 1000 + i });
    for (let i = 0; i < 100; i++) ask({ operation: RpcOperation.JOIN, cid: 2, requestId: 1000 + i });
    expect(ask({ cid: 1, requestId: 1 }).pointer).toBe(first);
    ask({ operation: RpcOperation.JOIN, cid: 1, requestId: 5000 });
    expect(ask({ cid: 1, requestId: 1 }).pointer).not.toBe(first);
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
    expect(ask({ requestId: 3, cid: 1, argument: 0 }).status).toBe(RpcStatus.OK);
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
