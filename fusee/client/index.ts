/** FUSEE's public API: a client of a running pool. */

export type {
  Category,
  ClassReport,
  Finding,
  FindingKind,
  IndexReport,
  NodeReport,
  PoolReport,
} from '../fsck/index.js';
export type { PoolConfig } from '../layout/index.js';
export { CorruptionError, FabricError, FuseeError, Ledger, UsageError } from '../verbs/index.js';
export {
  type Bytes,
  Client,
  type ClientStats,
  type DeleteResult,
  type InsertResult,
  type PoolStats,
  type PutResult,
  type SearchResult,
  type UpdateResult,
} from './client.js';
export { COROUTINES_MAX, type ConnectOptions, connect } from './connect.js';
export { fsck, type InspectOptions, memoryStats } from './fsck.js';
export { payloadLimit } from './limits.js';
