/**
 * Lets a client process die at a point of the protocol.
 *
 * The batch that is to be cut short is cut short as data: it is posted with the verbs ahead of the point, and
 * with a WRITE that ends where the process is to die in it. WRITEs land in ascending order, so what then lies
 * in the node's memory is what a client leaves that dies there. When that has executed, the process sends
 * itself SIGKILL. So the addon and the fabrics know nothing of faults, and nobody pays for them.
 *
 * Its last words go to standard error, by a write that is over before the process is: they prove that the
 * death was this one, and tell where to look.
 */
import { writeSync } from 'node:fs';
import type { RequestSource } from '../../fusee/client/request-source.js';
import type { Fabric } from '../../fusee/fabric/contract.js';
import type { Coroutine } from '../../fusee/ops/index.js';
import {
  Field,
  formatWord,
  type Ledger,
  Opcode,
  type OpLoop,
  type VerbBatch,
} from '../../fusee/verbs/index.js';
import { stepOf } from './steps.js';
import { CRASH_OPERATIONS, type CrashPoint } from './timeline.js';

/** What a client says before it dies at a planned point. */
export interface LastWords {
  readonly atNs: number;
  readonly point: CrashPoint;
  readonly step: string;
  /** Verbs of the batch: what they are, where they go, and how many of them executed. */
  readonly verbs: readonly { opcode: string; node: number; offset: number; bytes: number }[];
  readonly executed: number;
  /** The slot that the request writes, primary first; of no meaning before it has been found. */
  readonly slot: readonly { node: number; offset: number }[];
  readonly vOld: string;
  readonly vNew: string;
  /** The client's counts up to its death; null when it has none. */
  readonly report: unknown;
  /** When it had said all this, and died: its counts are long, and whoever reads them may be slow. */
  readonly diedNs?: number;
}

const MARK = 'fusee-crash ';
const DIED = 'fusee-died ';

/** The last words in what a process said on standard error; null when it did not die by plan. */
export function lastWordsOf(stderr: string): LastWords | null {
  const said = (mark: string): string | undefined =>
    stderr
      .split('\n')
      .find((line) => line.startsWith(mark))
      ?.slice(mark.length);
  const words = said(MARK);
  if (words === undefined) return null;
  const diedNs = said(DIED);
  return { ...(JSON.parse(words) as LastWords), ...(diedNs === undefined ? {} : { diedNs: Number(diedNs) }) };
}

/** How a process ends itself, with its last words; a test looks on instead. */
type Die = (words: string) => void;
const die: Die = (words) => {
  writeSync(2, words);
  writeSync(2, `${DIED}${process.hrtime.bigint()}\n`);
  process.kill(process.pid, 'SIGKILL');
};

/** Watches the requests of one client, and lets it die at the first of its points that comes. */
export class Crasher {
  readonly #points: readonly CrashPoint[];
  readonly #seen: Uint32Array;
  readonly #coroutines: readonly Coroutine[];
  /** Kind of each coroutine's request, and how many batches it has posted. */
  readonly #kinds: Int32Array;
  readonly #posted: Int32Array;
  readonly #report: () => unknown;
  readonly #die: Die;

  /** @param options.report the client's counts so far. */
  constructor(
    points: readonly CrashPoint[],
    coroutines: readonly Coroutine[],
    options: { report: () => unknown; dies?: Die },
  ) {
    this.#points = points;
    this.#report = options.report;
    this.#seen = new Uint32Array(points.length);
    this.#coroutines = coroutines;
    this.#kinds = new Int32Array(coroutines.length).fill(-1);
    this.#posted = new Int32Array(coroutines.length);
    this.#die = options.dies ?? die;
  }

  /** The source, seen through: the crasher must know which request a batch belongs to. */
  watching(source: RequestSource): RequestSource {
    return {
      next: (coroutine: Coroutine): OpLoop | null => {
        const loop = source.next(coroutine);
        const { coroutine: i } = coroutine.cx;
        this.#kinds[i] = loop === null ? -1 : coroutine.loops.indexOf(loop);
        this.#posted[i] = 0;
        return loop;
      },
      ended: (coroutine: Coroutine, postedNs: number, completedNs: number): void => {
        source.ended(coroutine, postedNs, completedNs);
      },
      ledger: (coroutine: Coroutine): Ledger => source.ledger(coroutine),
    };
  }

  /**
   * Called before a batch is posted; does not return when it is the one.
   * @param fabric where the batch, cut short, is to be executed.
   */
  beforePost(batch: VerbBatch, fabric: Fabric, isInWindow: boolean): void {
    const i = batch.tag;
    // Background work is nobody's request.
    if (i >= this.#kinds.length || this.#kinds[i] < 0) return;
    const number = ++this.#posted[i];
    if (!isInWindow) return;
    for (const [p, point] of this.#points.entries()) {
      if (CRASH_OPERATIONS[this.#kinds[i]] !== point.operation) continue;
      const { write } = this.#coroutines[i].cx;
      if (typeof point.batch === 'number' ? point.batch !== number : point.batch !== stepOf(batch, write)) {
        continue;
      }
      if (!canDieAt(batch, point)) continue;
      if (++this.#seen[p] === point.occurrence) this.#crash(batch, fabric, point);
    }
  }

  #crash(batch: VerbBatch, fabric: Fabric, point: CrashPoint): void {
    const { write } = this.#coroutines[batch.tag].cx;
    const executed = verbsAhead(batch, point);
    const words: LastWords = {
      atNs: fabric.nowNs(),
      point,
      step: stepOf(batch, write),
      verbs: Array.from({ length: batch.count - batch.backgroundCount }, (_, v) => {
        const i = batch.backgroundCount + v;
        return {
          opcode: Object.keys(Opcode)[batch.opcode(i)],
          node: batch.mn(i),
          offset: batch.remote(i),
          bytes: batch.field(i, Field.LENGTH),
        };
      }),
      executed: executed - batch.backgroundCount,
      slot: Array.from({ length: write.slot.count }, (_, r) => ({
        node: write.slot.mn[r],
        offset: write.slot.offsetBytes[r],
      })),
      vOld: formatWord(write.vOld),
      vNew: formatWord(write.vNew),
      report: this.#report(),
    };
    if (point.bytes !== undefined) batch.setField(executed, Field.LENGTH, point.bytes);
    batch.count = executed + (point.bytes === undefined ? 0 : 1);
    executeLast(fabric, batch);
    this.#die(`${MARK}${JSON.stringify(words)}\n`);
  }
}

/** A torn WRITE must be one, and longer than what is to land of it. */
function canDieAt(batch: VerbBatch, { verb, bytes }: CrashPoint): boolean {
  if (bytes === undefined) return true;
  const i = batch.backgroundCount + verb;
  return i < batch.count && batch.opcode(i) === Opcode.WRITE && batch.field(i, Field.LENGTH) > bytes;
}

/** Verbs of the batch ahead of the point; background verbs lie ahead of all. */
const verbsAhead = (batch: VerbBatch, { verb }: CrashPoint): number =>
  Math.min(batch.count, batch.backgroundCount + verb);

/** Executes what has been posted so far and then this batch; whatever else completes is nobody's any more. */
function executeLast(fabric: Fabric, batch: VerbBatch): void {
  const done: VerbBatch[] = [];
  const isDone = (): boolean => done.slice(0, fabric.poll(done)).includes(batch);
  while (!fabric.post(batch)) isDone();
  while (!isDone());
}
