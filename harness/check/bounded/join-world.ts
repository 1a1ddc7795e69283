/**
 * Worlds in which a dead node's place is filled while clients write, verb by verb: the product's own master,
 * repairs, `Filler` and `Usher` over real memory, in two views (`fusee/master/fill.ts`), and clients that
 * stop, report, note what they write to, and go on (`joining-client.ts`).
 *
 * Rules of this file:
 * - The place is dead by the view from the start, and its memory fresh: no client has a verb for it before it
 *   has its vote. So the fresh memory is the place's own, and nothing changes places.
 * - What actors tell each other past the nodes' memory is a {@link Channel}. All of it is taken into a state's
 *   digest, and so is what each has heard when: two states that differ in it do not count as one.
 * - Copying and repairs are one thread: in a process the one waits for the other behind a batch, not at all.
 */
import type { PoolConfig, View } from '../../../fusee/layout/index.js';
import { NodeService } from '../../../fusee/node/index.js';
import type { RequestKind } from '../../../fusee/ops/index.js';
import { VerbBatch, word } from '../../../fusee/verbs/index.js';
import { makeScenario } from '../scenario/scenario.js';
import { ClientActor, Host, type Request } from './actors.js';
import { JoinMaster, type JoinWorldOptions, withoutNode } from './join-master.js';
import { Channel, JoiningClient } from './joining-client.js';
import { BoundedPool } from './pool.js';
import { HistoryRecorder } from './recorder.js';
import { ContentsReader } from './request-world.js';
import type { Actor, BoundedWorld } from './world.js';

/** Makes worlds of clients with the programs of a mix (`requestWorld`), in a pool made by {@link joinPool}. */
export function joinWorld(pool: BoundedPool, mix: string, options: JoinWorldOptions): () => BoundedWorld {
  const programs = makeScenario('-', mix).programs.map((steps, client) =>
    steps.map(
      ({ kind, key }, i): Request => ({ kind: kind as RequestKind, key, value: 1 + client * 16 + i }),
    ),
  );
  return () => {
    pool.begin();
    const recorder = new HistoryRecorder({ initial: pool.contents, verdicts: pool.verdicts });
    const viewOf = (): View => withoutNode(pool, options.mn);
    const clients = programs.map((program, i) => {
      const host = new Host(pool, { cid: i + 1, view: viewOf() });
      const channel = new Channel(pool.nodes);
      return new JoiningClient(new ClientActor(host, { program, recorder }), host, channel);
    });
    const master = new JoinMaster(pool, clients, options, viewOf());
    const actors: Actor[] = [master, ...clients];
    if (options.dies !== undefined) actors.push(new Death(pool, master, options.dies));
    return {
      nodes: pool.nodes,
      actors,
      describe: (mn, offset) => pool.describe(mn, offset),
      addTo: (digest) => {
        recorder.addTo(digest);
        for (const { channel } of clients) digest.addDigest(channel.digest);
        digest.addDigest(master.heard);
      },
      onCrash: (actor) => {
        master.lose((actor as JoiningClient).host.cid);
        return undefined;
      },
      wrongAtEnd: () => {
        const final = withoutNode(pool, ...master.view.dead);
        const isVacant = options.dies !== options.mn && final.isDead(options.mn);
        if (isVacant && master.filler.isBereft === false) return `node ${options.mn} has never joined`;
        return replicasDiffer(pool, final) ?? contentsWrong(pool, recorder, { final, mn: options.mn });
      },
    };
  };
}

/** A node dies, and the master hears of it. */
class Death implements Actor {
  readonly name = 'death of a node';
  readonly #pool: BoundedPool;
  readonly #master: JoinMaster;
  readonly #mn: number;
  readonly #batch: VerbBatch;
  #isDue = false;

  constructor(pool: BoundedPool, master: JoinMaster, mn: number) {
    this.#pool = pool;
    this.#master = master;
    this.#mn = mn;
    this.#batch = new VerbBatch(pool.memory(256), 1);
  }

  next(): VerbBatch | null {
    if (this.#isDue) {
      this.#pool.nodes.kill(this.#mn);
      this.#master.nodeDied(this.#mn);
      return null;
    }
    this.#isDue = true;
    this.#batch.reset().read8(this.#mn, 0);
    return this.#batch;
  }
}

/** The first index word that differs between living replicas, told. */
function replicasDiffer(pool: BoundedPool, view: View): string | undefined {
  const { nodes } = pool;
  const [first, other] = [word(), word()];
  for (let slot = 0; slot < view.geometry.subtableBytes; slot += 8) {
    nodes.load(view.slotMn(slot, 0), view.slotOffset(slot), first);
    for (let r = 1; r < view.slotCount(slot); r++) {
      nodes.load(view.slotMn(slot, r), view.slotOffset(slot), other);
      if (first.lo !== other.lo || first.hi !== other.hi)
        return `the replicas of ${pool.describe(view.slotMn(slot, 0), view.slotOffset(slot))} differ at the end`;
    }
  }
  return undefined;
}

/** Read by the node that has joined, as if all others were gone, and by all: either explains the history. */
function contentsWrong(
  pool: BoundedPool,
  recorder: HistoryRecorder,
  { final, mn }: { final: View; mn: number },
): string | undefined {
  const others = [...Array(pool.config.nodes).keys()].filter((other) => other !== mn);
  const hasAll =
    pool.config.indexReplicas === pool.config.nodes && pool.config.dataReplicas === pool.config.nodes;
  const views = final.isDead(mn) || !hasAll ? [final] : [final, withoutNode(pool, ...others)];
  for (const view of views) {
    const wrong = new ContentsReader(pool, view).wrong(recorder);
    if (wrong !== undefined) return `${view === final ? '' : `node ${mn} alone: `}${wrong}`;
  }
  return undefined;
}

/**
 * A pool that has lost node `mn`, and whose place a fresh process has taken: formatted, and nothing else.
 * Clients 1 and 2 have blocks, keys 0 and 1 share their buckets, of which key 0 is there.
 */
export function joinPool(mn: number, config: Partial<PoolConfig> = {}): BoundedPool {
  return new BoundedPool({
    config: { nodes: 2, indexReplicas: 2, dataReplicas: 2, ...config },
    setUp: (pool) => {
      pool.leaveFree(2);
      pool.insert(0, 200);
      for (const cid of [1, 2]) pool.grant(cid);
      wipe(pool, mn);
    },
  });
}

function wipe(pool: BoundedPool, mn: number): void {
  const { nodes, config, view } = pool;
  const zeros = new Uint8Array(view.geometry.nodeBytes);
  nodes.write(mn, 0, zeros, 0, zeros.length);
  new NodeService(config, mn, {
    read: (offset, into, at, lengthBytes) => nodes.read(mn, offset, into, at, lengthBytes),
    write: (offset, from, at, lengthBytes) => nodes.write(mn, offset, from, at, lengthBytes),
  }).format();
}
