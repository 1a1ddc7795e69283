/**
 * Bounded exploration over the real generators and real memory (after CHESS, Musuvathi and Qadeer, 2007), for
 * what the specialised explorer beside it does not model: bitmaps, block tables, the client table, the
 * directory, several objects, background work.
 *
 * How to write a scenario:
 * 1. Make a {@link BoundedPool} once. Its `setUp` inserts keys, grants blocks to the clients (without one,
 *    their first object costs an RPC), and may write anything at all through `pool.nodes`.
 * 2. For clients with requests: `requestWorld(pool, 'U0 S0 | D0 I1', options)`. Naive ways come in through
 *    `loops`, background work through `background` (an {@link OpActor} of the client's group, a daemon if it
 *    never ends), further invariants through `wrongAtEnd`.
 * 3. Anything else: a function that calls `pool.begin()`, makes {@link Host}s and actors anew, and gives a
 *    {@link BoundedWorld}. What its checks remember beside memory goes into `addTo`; actors that share
 *    anything are of one `group`. Nothing else may outlive a run, or pruning and replay lie.
 * 4. Explore naive and ours with the same bounds: `explore(makeWorld, { preemptions: 2, ... })`; the naive one
 *    must fail, ours must be `complete` without. One or two preemptions find nearly everything; whatever
 *    needs more comes out of `exploreRandom`.
 * 5. Print `failure.told` when a test fails; `replay(makeWorld, failure.schedule)` repeats it.
 *
 * | hazard | scenario | bounds |
 * | --- | --- | --- |
 * | H4 | `U0 U0 | S0 | U0` with each client's reclaim behind it; naive: cells handed out without grace | 2 |
 * | H5 | one client of two coroutines, few cells, dies; the log walk recovers it | 2, 1 crash |
 * | H9 | an object written over an old one's trailer, torn | 1, 1 crash, tears: `torn.test.ts` |
 * | H12 | clients without blocks; naive: a service that forgets what it answered | 1, lost RPCs: `rpc.test.ts` |
 * | H13 | a splitter as {@link OpActor} beside `I0 U1 | D0 S1`; naive: buckets read ahead of headers | 2, 1 crash |
 * | H16 | two who free neighbouring cells while the owner clears; naive: a WRITE clears bits | 2 |
 * | H17 | `U0 | U0 U0` with reclaim, the first client dies idle; naive: free ahead of FINISHED | 2, 1 crash |
 */
export { ClientActor, Host, OpActor } from './actors.js';
export { explore } from './explore.js';
export { BoundedPool } from './pool.js';
export { exploreRandom } from './random.js';
export { HistoryRecorder } from './recorder.js';
export { ContentsReader, requestWorld } from './request-world.js';
export { replay } from './tell.js';
export type { Actor, BoundedWorld } from './world.js';
