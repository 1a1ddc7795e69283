/**
 * A run told verb by verb: who executed what, when, on what, and what was found there. It watches the memory
 * nodes, so it sees verbs in the order in which they took effect, and changes nothing of the run.
 */
import type { SimWorld } from '../../fusee/fabric/sim/index.js';
import type { View } from '../../fusee/layout/index.js';
import { Field, Opcode, Status, type VerbBatch } from '../../fusee/verbs/index.js';
import { Addresses } from './addresses.js';
import type { MemoryWatch } from './watched-memory.js';

/** Whose verbs: one coroutine, or a recovery, and what it is at. */
export interface Teller {
  /** `client 2.1` is coroutine 1 of client 2. */
  readonly name: string;
  request: string;
  /** Number of the request's key; -1 when it has none, {@link BEHIND} for background work. */
  key: number;
}

/** The key of background work: a trace that tells one key leaves it out. */
export const BEHIND = -2;

interface Line {
  readonly timeNs: number;
  readonly teller: Teller | undefined;
  readonly request: string;
  readonly key: number;
  readonly text: string;
  /** A poll that found the same again: how often, and when last. */
  times: number;
  lastNs: number;
}

/** Lines kept of a run without end. */
const KEPT_MAX = 40_000;
/** Lines shown. */
const SHOWN_MAX = 100;

/** What one run did. */
export class Trace implements MemoryWatch {
  #world: SimWorld | undefined;
  #addresses: Addresses | undefined;
  readonly #lines: Line[] = [];
  #dropped = 0;
  /** Who has posted each batch last. */
  readonly #posted = new Map<VerbBatch, Teller>();
  /** The batches of each client's registered memory. */
  readonly #batches = new Map<ArrayBufferLike, Set<VerbBatch>>();
  readonly #last = new Map<Teller, Line>();

  /** The run begins. */
  attach(world: SimWorld, view: View, keys: readonly string[]): void {
    this.#world = world;
    this.#addresses = new Addresses(view, keys);
  }

  /** A batch is about to be posted. */
  posted(batch: VerbBatch, teller: Teller): void {
    this.#posted.set(batch, teller);
    const { buffer } = batch.local.bytes;
    const batches = this.#batches.get(buffer) ?? new Set();
    this.#batches.set(buffer, batches.add(batch));
  }

  /** A batch is back: calls, and verbs that brought no answer, are told now. */
  completed(batch: VerbBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const isRpc = batch.opcode(i) === Opcode.RPC;
      const isFailed = batch.status(i) === Status.FAIL;
      if (isRpc) this.#verb(batch, `RPC MN ${batch.mn(i)}: ${isFailed ? 'FAIL, no answer' : 'answered'}`);
      else if (isFailed) {
        const opcode = Object.keys(Opcode)[batch.opcode(i)];
        this.#verb(batch, `${opcode} MN ${batch.mn(i)}, offset ${batch.remote(i)}: FAIL, no answer`);
      }
    }
  }

  /** Something else that happened; without a teller it concerns everybody. */
  note(text: string, teller?: Teller): void {
    this.#add(text, teller);
  }

  /** The memory nodes: a verb has executed. */
  executed(batch: VerbBatch, i: number): void {
    this.#verb(batch, this.#addresses?.tell(batch, i) ?? '');
  }

  /** The memory nodes: so many bytes went to or from registered memory, as part of a verb. */
  moved(place: { mn: number; remote: number; lengthBytes: number }, bytes: Uint8Array, at: number): void {
    for (const batch of this.#batches.get(bytes.buffer) ?? []) {
      for (let i = 0; i < batch.count; i++) {
        const fromBytes = place.remote - batch.remote(i);
        const isPart =
          batch.opcode(i) <= Opcode.WRITE &&
          batch.mn(i) === place.mn &&
          batch.field(i, Field.LOCAL) + fromBytes === at &&
          fromBytes >= 0 &&
          fromBytes + place.lengthBytes <= batch.field(i, Field.LENGTH);
        if (!isPart) continue;
        this.#verb(
          batch,
          this.#addresses?.tell(batch, i, { fromBytes, lengthBytes: place.lengthBytes }) ?? '',
        );
        return;
      }
    }
  }

  /**
   * The trace as lines; of a long one the end.
   * @param options.key tells the requests on this key alone, when not everything can be shown.
   */
  format(options: { readonly key?: number; readonly linesMax?: number } = {}): string[] {
    const linesMax = options.linesMax ?? SHOWN_MAX;
    const { key } = options;
    const isLong = this.#lines.length + this.#dropped > linesMax;
    const isRestricted = isLong && key !== undefined;
    const concerned = this.#lines.filter((line) => !isRestricted || line.key === key || line.key === -1);
    const shown = concerned.slice(-linesMax);
    const others = isRestricted ? this.#lines.length - concerned.length : 0;
    const earlier = concerned.length - shown.length + this.#dropped;
    const [whoWidth, requestWidth] = [
      Math.max(0, ...shown.map(({ teller }) => teller?.name.length ?? 0)),
      Math.max(0, ...shown.map(({ request }) => request.length)),
    ];
    return [
      ...(others > 0 ? [`(${others} lines of requests on other keys than ${key} left out)`] : []),
      ...(earlier > 0 ? [`(${earlier} earlier lines left out)`] : []),
      ...shown.map(({ timeNs, teller, request, text, times, lastNs }) => {
        const again = times > 1 ? ` (${times} times, until ${lastNs} ns)` : '';
        const who = (teller?.name ?? '').padEnd(whoWidth);
        return `${String(timeNs).padStart(9)} ns  ${who}  ${request.padEnd(requestWidth)}  ${text}${again}`;
      }),
    ];
  }

  #verb(batch: VerbBatch, text: string): void {
    const teller = this.#posted.get(batch);
    if (teller === undefined) return;
    const last = this.#last.get(teller);
    // Who polls says the same again and again.
    if (batch.isPoll && last?.text === text) {
      last.times++;
      last.lastNs = this.#world?.nowNs ?? 0;
    } else this.#add(text, teller);
  }

  #add(text: string, teller: Teller | undefined): void {
    const timeNs = this.#world?.nowNs ?? 0;
    const { request = '', key = -1 } = teller ?? {};
    const line = { timeNs, teller, request, key, text, times: 1, lastNs: timeNs };
    if (teller !== undefined) this.#last.set(teller, line);
    this.#lines.push(line);
    if (this.#lines.length < KEPT_MAX) return;
    this.#dropped += KEPT_MAX >> 1;
    this.#lines.splice(0, KEPT_MAX >> 1);
  }
}
