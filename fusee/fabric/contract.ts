/** What carries batches between one client and the memory nodes. */
import type { LocalMemory, VerbBatch } from '../verbs/index.js';

export type FabricKind = 'shm' | 'tcp' | 'verbs' | 'sim' | 'memory';

/**
 * The contract, which `conformance.ts` checks on every kind:
 *
 * 1. Every posted verb gets exactly one status, OK or FAIL. FAIL means "no answer from this path"; whether
 * the node is dead only the view says.
 * 2. Verbs to one MN execute in posting order, also across batches; verbs to different MNs in any order.
 * 3. Aligned 8-byte READ, CAS and FAA are mutually atomic; unaligned atomics are refused before posting.
 * 4. A WRITE lands in ascending address order, may be seen half done at 8-byte steps, and never changes a
 * byte outside its range, also at unaligned edges; a READ over 8 bytes may mix old and new at 8-byte steps.
 * 5. If the client dies, any per-MN prefix of what it posted may have executed.
 * 6. Nothing posted before an acknowledged fence executes after it.
 * 7. On shared memory a verb is OK only if the node's dead flag is still clear after it executed.
 *
 * Not promised: order across MNs, or atomicity of a READ or WRITE longer than 8 bytes; over verbs, that a
 * READ under way brings nothing of a WRITE to the same bytes that a later batch has posted. Two READs under
 * way to the same registered memory bring nothing that can be told; over verbs either may FAIL.
 */
export interface Fabric {
  readonly kind: FabricKind;
  /** Registered memory, shared by every coroutine of this client; verbs name it by offset. */
  readonly local: LocalMemory;
  /** How many memory nodes this client can reach; verbs name them 0 to mnCount - 1. */
  readonly mnCount: number;
  /** Batches posted and not yet handed back by {@link poll}. */
  readonly outstanding: number;
  /**
   * Posts a batch without waiting; its descriptors must not change until {@link poll} hands it back.
   * @returns false when the queue is full: poll, then post again.
   * @throws UsageError for a verb outside an MN's or the registered memory, or an unaligned atomic; nothing
   * of the batch is posted then.
   */
  post(batch: VerbBatch): boolean;
  /**
   * Moves posted verbs on, writes whole completed batches to `done` from index 0; returns how many. Never
   * blocks.
   */
  poll(done: VerbBatch[]): number;
  /**
   * Why verbs to an MN FAIL, in the transport's own words, where it has some; undefined while they do not.
   */
  reasonOf?(mn: number): string | undefined;
  /**
   * The pool goes on without an MN: all verbs to it FAIL from the next {@link poll} on, those under way too,
   * until its place is another process's. They may have executed, or execute later. Absent where FAILs come
   * by themselves as soon as an MN is out.
   */
  cut?(mn: number): void;
  /**
   * Told of every batch that is posted; null or absent: nobody. Clients note so what they write to, while a
   * node's place is filled.
   */
  onPost?: ((batch: VerbBatch) => void) | null;
  /** Monotonic nanoseconds, the same clock for all clients of one host; virtual under sim. */
  nowNs(): number;
  /** Detaches. Outstanding batches are abandoned; nothing of them executes afterwards. */
  close(): void;
}
