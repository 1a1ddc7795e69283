/** A small case to explore: who asks for what, in which order, over which pool, and what may go wrong. */
import type { View } from '../../../fusee/layout/index.js';
import { type Decisions, RequestKind } from '../../../fusee/ops/index.js';
import type { Op, OpLoop } from '../../../fusee/verbs/index.js';
import { UsageError } from '../../../fusee/verbs/index.js';
import type { ClientRun } from './client-run.js';
import type { MasterRun } from './master-run.js';
import type { RecoveryRun } from './recovery-run.js';

/** Most clients of a scenario; the checker packs its configurations by this and the next two. */
export const MAX_CLIENTS = 4;
/** Most keys of a scenario. */
export const MAX_KEYS = 3;
/** Most requests of one client. */
export const MAX_REQUESTS = 6;

/**
 * A bare slot write: READ the slot, then SNAPSHOT; no object, no buckets. It counts as an UPDATE of its key.
 */
export const BARE_WRITE = 5;

/** One request of a client's program. */
export interface Step {
  /** A {@link RequestKind}, or {@link BARE_WRITE}. */
  readonly kind: number;
  /** Index of the key. */
  readonly key: number;
}

/** A wrong way to do things, put in place of the product's by tests that must see it fail. */
export interface Variant {
  readonly name: string;
  /** Loops to serve requests with, by kind; absent ones are the product's. */
  readonly loops?: (run: ClientRun) => readonly (OpLoop | undefined)[];
  /** The recovery to use in place of the product's. */
  readonly recovery?: (run: RecoveryRun) => OpLoop;
  /** How an interrupted request goes on in the new view. */
  readonly continues?: (run: ClientRun, decided: Decisions) => OpLoop;
  /** How the master decides open slots, given as logical offsets. */
  readonly arbitrates?: (run: MasterRun, slots: readonly number[], before: View) => Op<Decisions>;
  /** Requests of this kind go on by themselves when a node is silent, in place of waiting for the master. */
  readonly ignoresSilence?: number;
  /** The master decides while clients are still at work, and they learn of it when they have to wait. */
  readonly stopsNobody?: boolean;
  /** A dead client's verbs in flight still execute when its recovery is at work. */
  readonly fencesNobody?: boolean;
  /** A request of this kind that meets a lost link goes on by itself, as if the node were dead. */
  readonly adoptsAlone?: number;
}

export interface Scenario {
  readonly name: string;
  /** r_i. */
  readonly replicas: number;
  /** r_d. */
  readonly dataReplicas: number;
  /** Key in each candidate slot at the start, -1 for EMPTY; its length is the number of candidate slots. */
  readonly slots: readonly number[];
  readonly programs: readonly (readonly Step[])[];
  /** Client crashes that may happen, those of recoverers included. */
  readonly crashes: number;
  /** Links of one client to one MN that may fail. */
  readonly cuts: number;
  /**
   * MNs that may die. Without a master nobody repairs what they leave: only what was answered is checked
   * then.
   */
  readonly mnCrashes: number;
  /**
   * The only MN that may die, by the replica of the slots that it holds (0: their primary; as many as there
   * are replicas: the one that holds objects only), and a master is there to mend it. -1: no master.
   */
  readonly dying: number;
  /** Pointer order of the clients reversed: Rule 3 prefers the last client in place of the first. */
  readonly isReversed: boolean;
  /** Clients begin with a warm index cache; without, every request is a miss. */
  readonly isCached: boolean;
  /** All keys share one fingerprint, so that objects must be read to tell them apart. */
  readonly sharesFingerprint: boolean;
  /** A crashed client is recovered; without, it stays dead, and others may wait for ever. */
  readonly recovers: boolean;
  /** Objects that one request may use before its branch is cut. */
  readonly objectsMax: number;
  readonly variant: Variant | undefined;
}

const KINDS: Readonly<Record<string, number>> = {
  S: RequestKind.SEARCH,
  I: RequestKind.INSERT,
  U: RequestKind.UPDATE,
  D: RequestKind.DELETE,
  W: BARE_WRITE,
};

/**
 * Makes a scenario from its short form: `slots` such as `K0 -` (key 0 in slot 0, slot 1 EMPTY), `mix` such as
 * `I0 D0 | I1`: clients apart by bars, their requests by blanks; a request without a digit is on key 0.
 */
export function makeScenario(
  slots: string,
  mix: string,
  options: Partial<Omit<Scenario, 'slots' | 'programs'>> = {},
): Scenario {
  const programs = mix.split('|').map((client) => client.trim().split(/\s+/).map(parseStep));
  if (programs.length > MAX_CLIENTS || programs.some((p) => p.length > MAX_REQUESTS)) {
    throw new UsageError(
      `mix "${mix}": at most ${MAX_CLIENTS} clients of ${MAX_REQUESTS} requests; use a smaller mix`,
    );
  }
  const { replicas = 2, dataReplicas = 2, dying = -1 } = options;
  if (dying >= 0 && (dataReplicas === 1 || (replicas === 1 && dying === 0))) {
    throw new UsageError(
      `replica ${dying} of ${replicas} cannot die: the last copy of slots, or of objects, would; use more replicas`,
    );
  }
  return {
    name: `${slots.trim()}: ${mix.trim()}`,
    replicas: 2,
    dataReplicas: 2,
    crashes: 0,
    cuts: 0,
    mnCrashes: (options.dying ?? -1) < 0 ? 0 : 1,
    dying: -1,
    isReversed: false,
    isCached: false,
    sharesFingerprint: false,
    recovers: true,
    objectsMax: 4,
    variant: undefined,
    ...options,
    slots: slots.trim().split(/\s+/).map(parseSlot),
    programs,
  };
}

/** Makes a scenario from its name, `slots: mix`. */
export function parseScenario(name: string, options: Parameters<typeof makeScenario>[2] = {}): Scenario {
  const [slots, mix, ...rest] = name.split(':');
  if (mix === undefined || rest.length > 0) {
    throw new UsageError(`scenario "${name}": name slots and requests, such as 'K0 -: D I | U'`);
  }
  return makeScenario(slots, mix, options);
}

/** The options with which `fusee verify` makes this scenario again; variants live in tests only. */
export function scenarioFlags(scenario: Scenario): string {
  const flags = [`--scenario '${scenario.name}'`, `--r ${scenario.replicas}`];
  if (scenario.dataReplicas !== 2) flags.push(`--r-d ${scenario.dataReplicas}`);
  if (scenario.dying >= 0) flags.push(`--dies ${scenario.dying}`);
  if (scenario.isReversed) flags.push('--reversed');
  if (scenario.isCached) flags.push('--cached');
  if (scenario.sharesFingerprint) flags.push('--one-fingerprint');
  return flags.join(' ');
}

function parseSlot(text: string): number {
  const key = text === '-' ? -1 : Number(/^K(\d+)$/.exec(text)?.[1] ?? Number.NaN);
  if (!(key < MAX_KEYS)) {
    throw new UsageError(`slot "${text}": use - for a free one, or a key from K0 to K${MAX_KEYS - 1}`);
  }
  return key;
}

function parseStep(text: string): Step {
  const kind = KINDS[text[0]];
  const key = text.length > 1 ? Number(text.slice(1)) : 0;
  if (kind === undefined || !(key >= 0 && key < MAX_KEYS)) {
    throw new UsageError(`request "${text}": use S, I, U, D or W, and a key from 0 to ${MAX_KEYS - 1}`);
  }
  return { kind, key };
}

/** The value that request `request` of client `client` writes, as one byte; 0 is no value. */
export const writtenValue = (client: number, request: number): number => 1 + client * MAX_REQUESTS + request;
/** The value that a key has at the start. */
export const initialValue = (key: number): number => 1 + MAX_CLIENTS * MAX_REQUESTS + key;
