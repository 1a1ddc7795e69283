/** What a master tells of itself. */
import type { CacheCounts } from '../control/messages.js';
import type { Geometry, View } from '../layout/index.js';
import type { FillProgress, MasterView } from '../master/index.js';
import { Recovered } from '../recovery/index.js';

/** Recoveries and changes that are told: a status is one line of the control channel, which has a bound. */
const KEPT_MAX = 1000;

/**
 * What became of requests that a dead client may have had in flight: of each log list the latest, and the one
 * before it where that had not been proposed. `dropped`: c0, or c1 that was nowhere; `over`: c3, or
 * overwritten; `finished`: c1 or c2, by its recovery; `undone`: an INSERT that was not acknowledged.
 */
export interface RecoveredRequests {
  dropped: number;
  over: number;
  finished: number;
  undone: number;
}

/** None of each, to be counted up. */
export const noRequests = (): RecoveredRequests => ({ dropped: 0, over: 0, finished: 0, undone: 0 });

const WHAT_BECAME: Readonly<Record<number, keyof RecoveredRequests>> = {
  [Recovered.DROPPED]: 'dropped',
  [Recovered.NOTHING_TO_DO]: 'over',
  [Recovered.FINISHED]: 'finished',
  [Recovered.UNDONE]: 'undone',
};

/** Counts one more, unless a replica was silent and it is to be looked at again. */
export function countRequest(counts: RecoveredRequests, became: Recovered): void {
  const name = WHAT_BECAME[became];
  if (name !== undefined) counts[name]++;
}

/** A client that stays fenced, and is not recovered: its log contradicts itself. */
export interface TornClient {
  readonly cid: number;
  readonly why: string;
}

/** One recovery: what it found, and how long each step took. */
export interface RecoveryReport {
  readonly cid: number;
  /** When the loss was known, by the host's monotonic clock. */
  readonly lostAtNs: number;
  /** From the loss of the client to its fence. */
  readonly fenceMs: number;
  /** Milliseconds of each step. */
  readonly steps: Readonly<Record<string, number>>;
  readonly totalMs: number;
  /** Log entries looked at. */
  readonly entries: number;
  readonly requests: Readonly<RecoveredRequests>;
  /** Times that it began again. */
  readonly attempts: number;
}

/** One change of the view. */
export interface ChangeReport {
  readonly number: number;
  readonly dead: readonly number[];
  /** When the first client was told to stop, by the host's monotonic clock. */
  readonly stopAtNs: number;
  /** From the first stop to the notice. */
  readonly milliseconds: number;
  readonly decided: number;
}

/** What {@link MasterHost.status} tells. */
export interface MasterStatus {
  readonly pool: string;
  /** Of this master: above that of all masters before it. */
  readonly term: number;
  readonly leaseMs: number;
  readonly view: MasterView;
  /** How far a place is filled, if one is. */
  readonly filling?: FillProgress;
  /** Processes that wait for any place. */
  readonly spares: number;
  /** Data that has no replica left: regions and subtables. */
  readonly lost: { readonly regions: number; readonly subtables: number };
  readonly clients: number;
  readonly recoveries: readonly RecoveryReport[];
  readonly torn: readonly TornClient[];
  readonly changes: readonly ChangeReport[];
  /** Look-ups in the index caches of all clients that this master has known, as they last told. */
  readonly cache: CacheCounts;
  /** Connections that could not prove themselves, or sent nonsense. */
  readonly refused: number;
}

/** A view, as it is sent. */
export const copyOf = (view: MasterView): MasterView & { dead: number[] } => ({
  ...view,
  dead: [...view.dead],
});

/** What went wrong with a pool that has lost too much. */
export const describeLoss = ({ lost }: MasterStatus): string | undefined =>
  lost.regions + lost.subtables === 0
    ? undefined
    : `${lost.regions} regions and ${lost.subtables} subtables have no replica left: ` +
      'writes there are refused, and nothing of them can be read';

/** Counts what has no replica left. */
export function lossOf(view: View, { config, regions, subtableBytes }: Geometry): MasterStatus['lost'] {
  const count = (things: number, isLost: (i: number) => boolean): number =>
    Array.from({ length: things }, (_, i) => isLost(i)).filter(Boolean).length;
  return {
    regions: count(regions, (region) => view.isDead(view.regionMn(region, 0))),
    subtables: count(config.subtablesMax, (s) => view.isDead(view.slotMn(s * subtableBytes, 0))),
  };
}

const NO_LOOKUPS: CacheCounts = { hits: 0, misses: 0, bypassed: 0 };

/** What a master remembers of what it has done; told as {@link MasterStatus}. */
export class Chronicle {
  readonly #recoveries: RecoveryReport[] = [];
  readonly #torn = new Map<number, string>();
  readonly #changes: ChangeReport[] = [];
  refused = 0;
  readonly #nowNs: () => number;
  readonly #lostNs = new Map<number, number>();
  readonly #fencedNs = new Map<number, number>();
  #stopNs: number | undefined;
  readonly #cacheOf = new Map<number, CacheCounts>();
  /** Of clients that are gone. */
  #cacheOfGone = NO_LOOKUPS;

  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
  }

  /** A client is lost, if that was not known. */
  lost(cid: number): void {
    if (!this.#lostNs.has(cid)) this.#lostNs.set(cid, this.#nowNs());
  }

  fenced(cid: number): void {
    this.#fencedNs.set(cid, this.#nowNs());
  }

  recovered(
    cid: number,
    times: StepTimes,
    { entries, attempts, requests }: Pick<RecoveryReport, 'entries' | 'attempts' | 'requests'>,
  ): void {
    const { steps, totalMs } = times;
    const lostAtNs = this.#lostNs.get(cid) ?? 0;
    const fenceMs = ((this.#fencedNs.get(cid) ?? lostAtNs) - lostAtNs) / 1e6;
    this.#recoveries.push({ cid, lostAtNs, fenceMs, steps, totalMs, entries, attempts, requests });
    if (this.#recoveries.length > KEPT_MAX) this.#recoveries.shift();
    this.#torn.delete(cid);
    this.#lostNs.delete(cid);
    this.#fencedNs.delete(cid);
  }

  /** A client's log contradicts itself. */
  torn(cid: number, why: string): void {
    this.#torn.set(cid, why);
  }

  /** Clients are told to stop for a change of the view. */
  stopping(): void {
    this.#stopNs ??= this.#nowNs();
  }

  changed({ number, dead }: { number: number; dead: readonly number[] }, decided: number): void {
    const nowNs = this.#nowNs();
    const stopAtNs = this.#stopNs ?? nowNs;
    this.#changes.push({ number, dead, stopAtNs, milliseconds: (nowNs - stopAtNs) / 1e6, decided });
    this.#stopNs = undefined;
    if (this.#changes.length > KEPT_MAX) this.#changes.shift();
  }

  /** What a client's index cache has counted by now. */
  told(cid: number, cache: CacheCounts): void {
    this.#cacheOf.set(cid, cache);
  }

  /** Nothing more will be heard of a client. */
  gone(cid: number): void {
    this.#cacheOfGone = sumOf([this.#cacheOfGone, this.#cacheOf.get(cid) ?? NO_LOOKUPS]);
    this.#cacheOf.delete(cid);
  }

  get report(): Pick<MasterStatus, 'recoveries' | 'torn' | 'changes' | 'cache' | 'refused'> {
    const cache = sumOf([this.#cacheOfGone, ...this.#cacheOf.values()]);
    const torn = [...this.#torn].map(([cid, why]) => ({ cid, why }));
    return { recoveries: this.#recoveries, torn, changes: this.#changes, cache, refused: this.refused };
  }
}

const sumOf = (all: readonly CacheCounts[]): CacheCounts =>
  all.reduce((sum, { hits, misses, bypassed }) => ({
    hits: sum.hits + hits,
    misses: sum.misses + misses,
    bypassed: sum.bypassed + bypassed,
  }));

/** How long each step of something takes. */
export class StepTimes {
  /** Milliseconds of each step that has ended. */
  readonly steps: Record<string, number> = {};
  readonly #nowNs: () => number;
  readonly #beginNs: number;
  #step: string | undefined;
  #stepNs: number;

  constructor(nowNs: () => number) {
    this.#nowNs = nowNs;
    this.#beginNs = nowNs();
    this.#stepNs = this.#beginNs;
  }

  /** A step begins, and the one before ends. */
  begin(step: string | undefined): void {
    const nowNs = this.#nowNs();
    if (this.#step !== undefined) this.steps[this.#step] = (nowNs - this.#stepNs) / 1e6;
    this.#step = step;
    this.#stepNs = nowNs;
  }

  /** The last step ends. */
  end(): void {
    this.begin(undefined);
  }

  /** Milliseconds from the start to the end of the last step. */
  get totalMs(): number {
    return (this.#stepNs - this.#beginNs) / 1e6;
  }
}
