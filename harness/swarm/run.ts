/** What the parts of one run share, and what tests put in their way. */
import type { SimWorld } from '../../fusee/fabric/sim/index.js';
import type { View } from '../../fusee/layout/index.js';
import type { StopReport } from '../../fusee/master/index.js';
import type { Coroutine } from '../../fusee/ops/index.js';
import type { recoverRequest } from '../../fusee/recovery/index.js';
import type { OpLoop, VerbBatch } from '../../fusee/verbs/index.js';
import type { History } from '../check/linearizability/index.js';
import type { SwarmClient } from './client.js';
import type { Load } from './load.js';
import type { SwarmPlan } from './plan.js';
import type { Trace } from './trace.js';

/** What all clients of one run share. */
export interface Run {
  readonly plan: SwarmPlan;
  readonly world: SimWorld;
  readonly view: View;
  readonly load: Load;
  readonly history: History;
  readonly hooks: SwarmHooks;
  /** Tells what happens, when somebody is to read it. */
  readonly trace: Trace | undefined;
  /** Requests answered, by product outcome. */
  readonly outcomes: Float64Array;
  /** Coroutines that have not made all their requests. */
  active: number;
  /** When a request was answered last. */
  lastAnswerNs: number;
  /** Writing requests under way, those of the dead until they are recovered; and how many ever began. */
  writesActive: number;
  writesBegun: number;
  /** Requests that met no writer, and so were held to the cost tables. */
  quietRequests: number;
  /** Cells that a client has handed back, and may use again. */
  readonly freeCells: Set<number>;
  fail(kind: string, message: string): void;
  /** Somebody posts a batch on the master's behalf. */
  readonly note: (batch: VerbBatch) => void;
  /** A client lost a link and has answered UNAVAILABLE: it must go. */
  lost(client: SwarmClient): void;
  /** A client has stopped for a change of the view. */
  stopped(client: SwarmClient, report: StopReport): void;
}

/** What tests put in the way of the product; the product's own path has none of it. */
export interface SwarmHooks {
  /** Replaces loops of a coroutine, by request kind. */
  readonly loops?: (coroutine: Coroutine) => readonly (OpLoop | undefined)[];
  /** Looks at, or changes, a batch about to be posted. */
  readonly posting?: (batch: VerbBatch, coroutine: Coroutine) => void;
  /** Recovers one request in place of the product. */
  readonly recover?: typeof recoverRequest;
}
