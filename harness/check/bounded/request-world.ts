/** Worlds of clients with programs of requests, judged by their history and by what they leave. */

import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import { executeVerb } from '../../../fusee/fabric/execute-verb.js';
import type { CacheOptions } from '../../../fusee/index/index.js';
import { directoryOffset, type View } from '../../../fusee/layout/index.js';
import { Outcome, RequestKind } from '../../../fusee/ops/index.js';
import { CorruptionError, DONE, LocalMemory, word } from '../../../fusee/verbs/index.js';
import { type Contents, NO_VALUE } from '../linearizability/index.js';
import { makeScenario } from '../scenario/scenario.js';
import { ClientActor, type ClientOptions, Host, type Request, recoveryOf } from './actors.js';
import { type BoundedPool, CLIENT_BYTES } from './pool.js';
import { HistoryRecorder } from './recorder.js';
import type { Actor, BoundedWorld } from './world.js';

/** Clients and what they do. */
export interface RequestWorldOptions extends Pick<ClientOptions, 'loops' | 'mayCrash'> {
  /** Which free slot each client's INSERTs take. @default as the key's hash says */
  readonly vacancies?: readonly number[];
  readonly cache?: CacheOptions;
  /** False: nobody takes a dead client's place. @default true */
  readonly recovers?: boolean;
  /** More actors of a client, such as its background work. */
  readonly background?: (host: Host) => readonly Actor[];
  /** More that must hold at the end. */
  readonly wrongAtEnd?: (hosts: readonly Host[]) => string | undefined;
}

/**
 * Makes worlds in which client 1, 2, ... have the programs of a mix such as `I0 D0 | I1`: clients apart by
 * bars, requests by blanks, each a letter of SEARCH, INSERT, UPDATE, DELETE and the index of a key.
 * At the end the history must be linearizable, and index replicas must agree.
 */
export function requestWorld(
  pool: BoundedPool,
  mix: string,
  options: RequestWorldOptions = {},
): () => BoundedWorld {
  const programs = makeScenario('-', mix).programs.map((steps, client) =>
    steps.map(
      ({ kind, key }, i): Request => ({ kind: kind as RequestKind, key, value: 1 + client * 16 + i }),
    ),
  );
  const contents = new ContentsReader(pool);
  return () => {
    pool.begin();
    const recorder = new HistoryRecorder({ initial: pool.contents, verdicts: pool.verdicts });
    const hosts = programs.map((_, i) => new Host(pool, { cid: i + 1, cache: options.cache }));
    const actors = hosts.flatMap((host, i): Actor[] => {
      const { loops, mayCrash } = options;
      const vacancy = options.vacancies?.[i];
      const client = new ClientActor(host, { program: programs[i], recorder, loops, mayCrash, vacancy });
      return [client, ...(options.background?.(host) ?? [])];
    });
    const hostOf = new Map(hosts.map((host) => [host.group, host]));
    let isOrphaned = false;
    return {
      nodes: pool.nodes,
      actors,
      forgetsEnded: options.wrongAtEnd === undefined,
      addTo: (digest) => {
        recorder.addTo(digest);
        digest.add(isOrphaned ? 1 : 0);
      },
      describe: (mn, offset) => pool.describe(mn, offset),
      onCrash: (actor) => {
        const dead = hostOf.get(actor.group ?? '');
        if (options.recovers === false || dead === undefined) {
          isOrphaned = true;
          return undefined;
        }
        // Recoverers may die too: the next one begins from the top.
        const recovery = recoveryOf(dead, { mayCrash: true });
        hostOf.set(recovery.group, dead);
        return recovery;
      },
      wrongAtEnd: () => {
        const differ = isOrphaned ? undefined : replicasDiffer(pool);
        return differ ?? contents.wrong(recorder) ?? options.wrongAtEnd?.(hosts);
      },
    };
  };
}

/** The first word of the index that differs between replicas, told; undefined: all agree. */
export function replicasDiffer(pool: BoundedPool): string | undefined {
  const { view, nodes, config } = pool;
  const first = word();
  const other = word();
  const { subtableBytes } = view.geometry;
  for (let slot = 0; slot < config.subtablesMax * subtableBytes; slot += 8) {
    // Of a subtable that no entry leads to nobody knows anything.
    nodes.load(view.directoryMn(0), directoryOffset(Math.floor(slot / subtableBytes)), first);
    if (first.lo === 0) continue;
    nodes.load(view.slotMn(slot, 0), view.slotOffset(slot), first);
    for (let r = 1; r < config.indexReplicas; r++) {
      nodes.load(view.slotMn(slot, r), view.slotOffset(slot), other);
      if (first.lo === other.lo && first.hi === other.hi) continue;
      return `the replicas of ${pool.describe(view.slotMn(slot, 0), view.slotOffset(slot))} differ at the end`;
    }
  }
  return undefined;
}

/** Batches after which a SEARCH at the end is said to go on for ever. */
const BATCHES_MAX = 200;

/** Reads a pool's contents by the product's SEARCH, with one client for all runs. */
export class ContentsReader {
  readonly #pool: BoundedPool;
  readonly #view: View;
  #reader: Host | undefined;

  /** @param view what is alive. @default all */
  constructor(pool: BoundedPool, view: View = pool.view) {
    this.#pool = pool;
    this.#view = view;
  }

  /** Why the history and the contents that it has led to do not fit. */
  wrong(recorder: HistoryRecorder): string | undefined {
    try {
      return recorder.wrong(this.read());
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#reader = undefined;
      return `a SEARCH at the end stops: ${error.message}`;
    }
  }

  /** Value of each key, by index. @throws CorruptionError when a SEARCH finds no whole object, or no end. */
  read(): Contents {
    const { keys } = this.#pool;
    // What it knows of splits may be of another run.
    if (this.#reader?.state.directory.version !== 0) this.#reader = undefined;
    return new Map(keys.map((_, key) => [key, this.#search(key)]));
  }

  #search(key: number): number {
    const host = this.#host();
    const [{ cx, loops }] = host.coroutines;
    const bytes = this.#pool.keyBytes(key);
    host.local.bytes.set(bytes, cx.keyAt);
    cx.keyBytes = bytes.length;
    const loop = loops[RequestKind.SEARCH];
    let batches = 0;
    for (let batch = loop.next().value; batch !== DONE; batch = loop.next().value) {
      if (++batches > BATCHES_MAX) throw new CorruptionError(`no end after ${BATCHES_MAX} batches`);
      for (let i = 0; i < batch.count; i++) executeVerb(this.#pool.nodes, batch, i);
    }
    return cx.outcome === Outcome.OK ? host.local.bytes[cx.foundAt] : NO_VALUE;
  }

  /** A client of its own memory: it outlives runs, since every SEARCH ends where the next begins. */
  #host(): Host {
    if (this.#reader === undefined) {
      const buffer = new ArrayBuffer(CLIENT_BYTES);
      const local = new LocalMemory(buffer, crc32cOver(buffer));
      this.#reader = new Host(this.#pool, { cid: 99, local, view: this.#view });
    }
    return this.#reader;
  }
}
