/**
 * Replays requests recorded elsewhere: reads a trace file and deals its requests out to the coroutines of a
 * run.
 */
import { createReadStream } from 'node:fs';
import { extname } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { requireInteger, WorkloadError } from './errors.js';
import {
  hashedStream,
  RequestKind,
  type RequestStream,
  valueBytesDefault,
  valueBytesMax,
} from './requests.js';
import type { TraceKeys } from './trace-keys.js';
import { TraceParser, type TraceRequests } from './trace-parser.js';

/** A trace in memory. */
export interface Trace {
  readonly path: string;
  /** The count of requests. */
  readonly length: number;
  readonly kinds: Uint8Array;
  /** The key number of each request: a row of `table`. */
  readonly keys: Uint32Array;
  /**
   * The size of each request's value in bytes, when any line gives one; lines without one have `valueBytes`.
   */
  readonly valueSizes: Uint32Array | undefined;
  readonly valueBytes: number;
  readonly table: TraceKeys;
  /**
   * The keys a run loads first: those that the trace reads, changes or deletes before any INSERT or PUT of
   * them.
   */
  readonly loadKeys: Float64Array;
  /** The sizes to load them with, in bytes: the first size the trace gives for the key, else `valueBytes`. */
  readonly loadSizes: Uint32Array;
}

/** How a trace is read. */
export interface ReadTraceOptions {
  /** The size of values on lines that give none, in bytes; `valueBytesDefault` unless told. */
  readonly valueBytes?: number;
}

/**
 * Reads a trace: lines of `OP key [bytes]` (see `TraceParser`), compressed when the name ends in `.gz`, `.br`
 * or
 * `.zst`. The file is streamed; in memory a request takes 9 bytes and the keys what `TraceKeys` says.
 * Throws `WorkloadError` for a file that cannot be read, and for bad text, as `file:line: what is wrong`.
 */
export async function readTrace(path: string, options: ReadTraceOptions = {}): Promise<Trace> {
  const valueBytes = options.valueBytes ?? valueBytesDefault;
  requireInteger('value size in bytes', valueBytes, { min: 1, max: valueBytesMax });
  const decompressor = decompressorOf(path);
  const parser = new TraceParser(path);
  const parse = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) parser.push(chunk);
  };
  try {
    const source = createReadStream(path);
    await (decompressor === undefined ? pipeline(source, parse) : pipeline(source, decompressor, parse));
  } catch (error) {
    if (error instanceof WorkloadError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new WorkloadError(`trace ${path} cannot be read: ${reason}`, { cause: error });
  }
  return completeTrace(path, parser.finish(), valueBytes);
}

function decompressorOf(path: string): Duplex | undefined {
  switch (extname(path)) {
    case '.gz':
      return zlib.createGunzip();
    case '.br':
      return zlib.createBrotliDecompress();
    case '.zst': {
      // Node has zstd since 22.15; the types of an older Node do not know it.
      const create = (zlib as { createZstdDecompress?: () => Duplex }).createZstdDecompress;
      if (create !== undefined) return create();
      throw new WorkloadError(
        `trace ${path} is compressed with zstd, which Node ${process.versions.node} cannot read: ` +
          'use Node 22.15 or later, or compress the trace with gzip',
      );
    }
    default:
      return undefined;
  }
}

function completeTrace(path: string, requests: TraceRequests, valueBytes: number): Trace {
  const { kinds, keys, sizes, table } = requests;
  const anySize = sizes.some((size) => size > 0);
  const firstSizes = new Uint32Array(table.rowCount);
  const seen = new Uint8Array(table.rowCount);
  const load: number[] = [];
  for (let i = 0; i < kinds.length; i++) {
    const key = keys[i];
    if (firstSizes[key] === 0) firstSizes[key] = sizes[i];
    if (seen[key] === 1) continue;
    seen[key] = 1;
    if (kinds[i] !== RequestKind.INSERT && kinds[i] !== RequestKind.PUT) load.push(key);
  }
  return {
    path,
    length: kinds.length,
    kinds,
    keys,
    valueSizes: anySize ? sizes.map((size) => size || valueBytes) : undefined,
    valueBytes,
    table,
    loadKeys: Float64Array.from(load),
    loadSizes: Uint32Array.from(load, (key) => firstSizes[key] || valueBytes),
  };
}

/** Which requests of a trace a coroutine plays. */
export interface TraceShare {
  /** The index of the coroutine among all `laneCount` coroutines of the run, all clients together. */
  readonly lane: number;
  readonly laneCount: number;
  /**
   * `interleaved`, the default: request i goes to lane i mod `laneCount`, which keeps the order in time
   * roughly.
   * `contiguous`: each lane plays one slice of the file, as the scripts of FUSEE's authors split theirs.
   * Either way requests of different lanes overtake each other, those for one key too.
   */
  readonly split?: 'interleaved' | 'contiguous';
}

/** The requests of one coroutine of a replay. Throws `WorkloadError` when the trace leaves it without any. */
export function traceStream(trace: Trace, share: TraceShare): RequestStream {
  const { laneCount, split = 'interleaved' } = share;
  requireInteger('lane count', laneCount, {
    min: 1,
    max: trace.length,
    wayOut: `${trace.path} has ${trace.length} requests, and every coroutine needs one: use fewer`,
  });
  const lane = requireInteger('lane', share.lane, { min: 0, max: laneCount - 1 });
  const step = split === 'interleaved' ? laneCount : 1;
  const start = split === 'interleaved' ? lane : Math.floor((trace.length * lane) / laneCount);
  const end = split === 'interleaved' ? trace.length : Math.floor((trace.length * (lane + 1)) / laneCount);
  const length = Math.ceil((end - start) / step);
  const kinds = new Uint8Array(length);
  const keys = new Float64Array(length);
  const valueSizes = trace.valueSizes === undefined ? undefined : new Uint32Array(length);
  for (let i = 0, at = start; i < length; i++, at += step) {
    kinds[i] = trace.kinds[at];
    keys[i] = trace.keys[at];
    if (valueSizes !== undefined && trace.valueSizes !== undefined) valueSizes[i] = trace.valueSizes[at];
  }
  const fromLatest = new Uint8Array(length);
  return hashedStream({ kinds, keys, fromLatest, valueBytes: trace.valueBytes, valueSizes });
}
