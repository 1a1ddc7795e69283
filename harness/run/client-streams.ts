/** The streams of one client process: what it loads, what it measures, what it reads back. */
import {
  generateStream,
  hashStreams,
  type KeySource,
  KeyTable,
  LatestFrontier,
  loadShare,
  RequestKind,
  type RequestStream,
  readTrace,
  strideOf,
  traceStream,
  workloadSpec,
} from '../../workloads/index.js';
import type { ClientPlan } from './messages.js';

export interface ClientStreams {
  /** One per coroutine, each. */
  readonly load: readonly RequestStream[];
  readonly measured: readonly RequestStream[];
  readonly keys: KeySource;
  /** Which key is the newest, for workload D. */
  readonly frontier: LatestFrontier | null;
  readonly hash: string;
  /** INSERTs among the measured requests: whose keys only their client knows to be acknowledged. */
  readonly inserts: number;
  /** False when the requests' outcomes decide what must be there at the end, and nobody can know it. */
  readonly canReadBack: boolean;
}

/** A stream of one kind of request over given keys; `valueSizes` where values have sizes of their own. */
function plainStream(
  kind: number,
  keys: Float64Array,
  valueBytes: number,
  valueSizes?: Uint32Array,
): RequestStream {
  return {
    length: keys.length,
    kinds: new Uint8Array(keys.length).fill(kind),
    keys,
    fromLatest: new Uint8Array(keys.length),
    valueBytes,
    ...(valueSizes === undefined ? {} : { valueSizes }),
    hash: '',
  };
}

/** Splits keys over coroutines, in turn. */
function split(keys: ArrayLike<number>, coroutines: number, coroutine: number): Float64Array {
  const part: number[] = [];
  for (let i = coroutine; i < keys.length; i += coroutines) part.push(keys[i]);
  return Float64Array.from(part);
}

const range = (first: number, count: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => first + i);

/** Makes a client's streams, the same for the same plan. */
export async function buildStreams(plan: ClientPlan): Promise<ClientStreams> {
  const { searchRatio } = plan.workload;
  const spec = workloadSpec(plan.workload.name, searchRatio === undefined ? {} : { searchRatio });
  if (spec.keySpace === 'trace') return traceStreams(plan);
  const isPrivate = spec.keySpace === 'private';
  const perCoroutine = Math.ceil(plan.requests / plan.coroutines);
  // Micro workloads but INSERT work on keys that each coroutine has inserted itself.
  const preloaded =
    isPrivate && spec.shares.insert === 0
      ? Math.max(
          Math.ceil(plan.records / plan.clients / plan.coroutines),
          spec.shares.remove > 0 ? perCoroutine : 1,
        )
      : 0;
  const records = isPrivate ? 0 : plan.records;
  const measured = Array.from({ length: plan.coroutines }, (_, coroutine) =>
    generateStream(spec, {
      recordCount: records,
      requestCount: perCoroutine,
      flavour: plan.flavour,
      seed: plan.seed,
      host: 0,
      process: plan.clientIndex,
      coroutine,
      clientIndex: plan.clientIndex,
      clientCount: Math.max(plan.clients, plan.clientIndex + 1),
      valueBytes: plan.valueBytes,
      insertedBefore: preloaded,
    }),
  );
  // Who joins later finds everything loaded.
  const loadsNothing = isPrivate || plan.clientIndex >= plan.clients;
  const share = loadsNothing
    ? { first: 0, count: 0 }
    : loadShare(records, { index: plan.clientIndex, count: plan.clients });
  const load = Array.from({ length: plan.coroutines }, (_, coroutine) => {
    const own = strideOf({ recordCount: records, clientIndex: plan.clientIndex, coroutine });
    const keys = isPrivate
      ? range(own.first, preloaded)
      : split(range(share.first, share.count), plan.coroutines, coroutine);
    return plainStream(RequestKind.INSERT, keys, plan.valueBytes);
  });
  const inserts = measured.map((s) => s.kinds.reduce((n, k) => n + (k === RequestKind.INSERT ? 1 : 0), 0));
  return {
    load,
    measured,
    keys: new KeyTable({
      recordCount: records,
      clientIndex: plan.clientIndex,
      coroutineCount: plan.coroutines,
      insertsPerCoroutine: preloaded + Math.max(0, ...inserts),
    }),
    frontier: spec.distribution === 'latest' ? LatestFrontier.forStreams(records, measured) : null,
    hash: hashStreams(measured),
    inserts: inserts.reduce((sum, count) => sum + count, 0),
    canReadBack: spec.shares.remove === 0,
  };
}

async function traceStreams(plan: ClientPlan): Promise<ClientStreams> {
  const trace = await readTrace(plan.workload.tracePath ?? '', { valueBytes: plan.valueBytes });
  const lanes = plan.clients * plan.coroutines;
  const measured = Array.from({ length: plan.coroutines }, (_, coroutine) =>
    traceStream(trace, { lane: plan.clientIndex * plan.coroutines + coroutine, laneCount: lanes }),
  );
  const load = Array.from({ length: plan.coroutines }, (_, coroutine) => {
    const lane = plan.clientIndex * plan.coroutines + coroutine;
    const sizes = Uint32Array.from(split(trace.loadSizes, lanes, lane));
    return plainStream(RequestKind.INSERT, split(trace.loadKeys, lanes, lane), plan.valueBytes, sizes);
  });
  const adds = measured.map((s) => s.kinds.filter((k) => k === RequestKind.INSERT || k === RequestKind.PUT));
  const deletes = measured.some((s) => s.kinds.includes(RequestKind.DELETE));
  return {
    load,
    measured,
    keys: trace.table,
    frontier: null,
    hash: hashStreams(measured),
    inserts: adds.reduce((sum, { length }) => sum + length, 0),
    canReadBack: !deletes,
  };
}

/** SEARCHes for every key that must be there, or null when nobody can know which. */
export function readBackStreams(
  plan: ClientPlan,
  streams: ClientStreams,
  inserted: Float64Array,
): RequestStream[] | null {
  if (!streams.canReadBack) return null;
  // A trace may add a key again and again; lost, it is one lost key.
  const added = plan.workload.name === 'trace' ? Float64Array.from(new Set(inserted)) : inserted;
  return streams.load.map((load, coroutine) => {
    const own = split(added, plan.coroutines, coroutine);
    const keys = new Float64Array(load.length + own.length);
    keys.set(load.keys);
    keys.set(own, load.length);
    return plainStream(RequestKind.SEARCH, keys, plan.valueBytes);
  });
}
