import { recordCountMax } from './distributions.js';
import { requireInteger } from './errors.js';
import { RequestKind, type RequestStream, requestCountMax } from './requests.js';

/**
 * Which key is how new, for workload D, in one client process: its own acknowledged inserts in the order of
 * their acknowledgement, newest first, and then the loaded keys from the highest number down.
 *
 * A client knows its own acknowledgements only. YCSB has one counter for all threads of one process, and its
 * processes know nothing of each other either; a counter shared by all clients would put a round trip on the
 * measured path. Each client therefore reads its own newest keys, and all clients share the loaded ones.
 *
 * *Deviation:* YCSB stops at the lowest insert not yet acknowledged. Here an insert that failed, or is still
 * under way, is left out and later ones count, so that one failure does not freeze the frontier.
 */
export class LatestFrontier {
  readonly #recordCount: number;
  readonly #acknowledged: Float64Array;
  #count = 0;

  /** Takes 8 bytes for each of `insertCapacity` inserts, the most that will be acknowledged. */
  constructor(options: { recordCount: number; insertCapacity: number }) {
    const wayOut = 'the latest distribution needs a newest key and one before it';
    this.#recordCount = requireInteger('record count', options.recordCount, {
      min: 2,
      max: recordCountMax,
      wayOut,
    });
    const capacity = requireInteger('insert capacity', options.insertCapacity, {
      min: 0,
      max: requestCountMax,
    });
    this.#acknowledged = new Float64Array(capacity);
  }

  /** A frontier that has room for every INSERT of a client's streams. */
  static forStreams(recordCount: number, streams: readonly RequestStream[]): LatestFrontier {
    let insertCapacity = 0;
    for (const { kinds } of streams) {
      for (let i = 0; i < kinds.length; i++) if (kinds[i] === RequestKind.INSERT) insertCapacity++;
    }
    return new LatestFrontier({ recordCount, insertCapacity });
  }

  /** How many inserts have been acknowledged. */
  get acknowledgedCount(): number {
    return this.#count;
  }

  /**
   * Makes a key the newest one; false, and without effect, when more than `insertCapacity` were acknowledged.
   */
  acknowledge(keyNumber: number): boolean {
    if (this.#count === this.#acknowledged.length) return false;
    this.#acknowledged[this.#count++] = keyNumber;
    return true;
  }

  /**
   * The key number of a rank, 0 the newest. A rank beyond the oldest key, which failed inserts make possible,
   * gives key 0.
   */
  keyOf(rank: number): number {
    if (rank < this.#count) return this.#acknowledged[this.#count - 1 - rank];
    const key = this.#recordCount - 1 - (rank - this.#count);
    return key > 0 ? key : 0;
  }
}
