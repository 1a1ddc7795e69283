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
 * 4. Explore naive and ours with the same bounds: `explore(makeWorld, { preemptions: 2, ... })`; the naive
 * one
 *    must fail, ours must be `complete` without. One or two preemptions find nearly everything; whatever
 *    needs more comes out of `exploreRandom`.
 * 5. Print `failure.told` when a test fails; `replay(makeWorld, failure.schedule)` repeats it.
 *
 * The hazards stand in `hazards.ts`, as scripts of `reclaim-world.ts` and `grants-world.ts`; those of the
 * index in `bounded.test.ts`, RPCs of one ALLOC in `rpc.test.ts`, a torn object by hand in `torn.test.ts`.
 * What they take, ours explored to the end (states in thousands, seconds of CPU):
 *
 * | hazard | scenarios | naive ways, found with preemptions | ours: preemptions | schedules | states | s |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | H4 | 7: SEARCH, UPDATE, cached hits of both | 8: 1 | 2, once 1 | 5,523 | 22 | 5 |
 * | H5 | 4, 1 crash; once 2 | 4: 0 or 1 | 1; with 2 crashes 0 | 8,360 | 113 | 5 |
 * | H9 | 1, 1 crash, tears | 2: 0 | 1 | 2,101 | 20 | 1.4 |
 * | H12 | 7, 1 to 3 RPCs lost | 3: 0 | 1; with 2 or 3 lost 0 | 7,667 | 46 | 4 |
 * | H13 | 4, 1 with a crash, 1 with torn READs | 7: 0 or 1 | 1; with a crash 0 | 15,705 | 283 | 10 |
 * | H16 | 2 | 2: 0 | 2 | 914 | 2 | 0.5 |
 * | H17 | 1, 1 crash | 1: 0 | 1 | 992 | 6 | 0.5 |
 * | H24 | 1, 1 crash | 1: 0 | 1 | 1,573 | 14 | 3 |
 */
export { ClientActor, Host, OpActor } from './actors.js';
export { explore } from './explore.js';
export { BoundedPool } from './pool.js';
export { exploreRandom } from './random.js';
export { HistoryRecorder } from './recorder.js';
export { ContentsReader, requestWorld } from './request-world.js';
export { replay } from './tell.js';
export type { Actor, BoundedWorld } from './world.js';
