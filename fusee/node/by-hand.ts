/** One memory node in plain memory: for tests of its service. */
import { Geometry, View } from '../layout/index.js';
import {
  type ListedBlock,
  RPC_FRAME_BYTES,
  RpcOperation,
  type RpcRequest,
  type RpcResponse,
  readBlocks,
  readResponse,
  writeRequest,
} from '../memory/index.js';
import { smallPool } from './in-process.js';
import { NodeService } from './service.js';

/** Four nodes with two regions each of four blocks. */
export const CONFIG = smallPool({ nodes: 4, subtables: 8, groupsPerSubtable: 2, regionBytes: 1 << 18 });
/** The pool's geometry. */
export const GEOMETRY = new Geometry(CONFIG);
/** The pool's view. */
export const VIEW = new View(GEOMETRY);

/** One node of {@link CONFIG}, asked request by request: ALLOC of client 1 unless told otherwise. */
export function node(mn: number, config = CONFIG) {
  const memory = new Uint8Array(new Geometry(config).nodeBytes);
  const service = new NodeService(config, mn, {
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
  /** Everything that LIST tells, and how many blocks each of its answers held. */
  const listed = (firstId: number, who: { cid: number; argument: number }) => {
    const pages: number[] = [];
    const blocks: ListedBlock[] = [];
    const frame = new Uint8Array(RPC_FRAME_BYTES);
    for (let pointer = 0, requestId = firstId; pointer >= 0; ) {
      writeRequest(frame, 0, { operation: RpcOperation.LIST, ...who, requestId: ++requestId, pointer });
      const answer = service.handle(frame);
      const found = readBlocks(answer, 0);
      pages.push(found.length);
      blocks.push(...found);
      pointer = readResponse(answer, 0).value;
    }
    return { pages, blocks };
  };
  return { memory, service, ask, at, listed };
}
