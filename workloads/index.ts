/** Workloads: which requests a benchmark makes, with which keys and values. */
export {
  type Flavour,
  flavours,
  type KeyChooser,
  type KeyChooserOptions,
  recordCountMax,
} from './distributions.js';
export { WorkloadError } from './errors.js';
export {
  clientCountMax,
  coroutineCountMax,
  type KeyRange,
  loadShare,
  type StrideOwner,
  strideKeyCount,
  strideOf,
} from './key-space.js';
export {
  type KeySource,
  KeyTable,
  type KeyTableOptions,
  keyName,
  keyStrideBytes,
  keyStrideWords,
  writeKey,
} from './keys.js';
export { LatestFrontier } from './latest-frontier.js';
export { type RandomIdentity, RandomStream } from './random.js';
export {
  hashStreams,
  RequestKind,
  type RequestStream,
  valueBytesDefault,
  valueBytesMax,
} from './requests.js';
export {
  type Distribution,
  type RequestShares,
  type WorkloadName,
  type WorkloadSpec,
  type WorkloadSpecOptions,
  workloadNames,
  workloadSpec,
} from './spec.js';
export { generateStream, type StreamOptions } from './streams.js';
export { type ReadTraceOptions, readTrace, type Trace, type TraceShare, traceStream } from './trace.js';
export { TraceKeys, traceKeyBytesMax } from './trace-keys.js';
export {
  checkValue,
  checkWholeValue,
  fillValue,
  headBytes,
  readStamp,
  stampValue,
  type ValueStamp,
  ValueVerdict,
} from './values.js';
export { thetaDefault } from './zipf.js';
