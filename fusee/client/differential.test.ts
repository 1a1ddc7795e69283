/**
 * The same seeded requests over every fabric end in the same key to value map, by the same round trips, verbs
 * and bytes. A fabric joins by one more entry in {@link ENDS}. Verbs need RDMA devices: `npm run test:rdma`
 * runs this in a guest that has them, over all fabrics.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { Fabric } from '../fabric/contract.js';
import { MemoryFabric } from '../fabric/memory.js';
import { ShmFabric } from '../fabric/shm.js';
import type { ShmNode } from '../fabric/shm-node.js';
import { ConstantLatency, SimFabric, SimMemory, SimWorld } from '../fabric/sim/index.js';
import { openTcpFabric } from '../fabric/tcp.js';
import { VerbsFabric } from '../fabric/verbs.js';
import { VerbsService } from '../fabric/verbs-node.js';
import { IndexCache } from '../index/index.js';
import { Geometry, type PoolConfig, View } from '../layout/index.js';
import { makeNodes, serveNodes, smallPool } from '../node/in-process.js';
import { startShmNode } from '../node/index.js';
import { ClientState, CONTEXT_BYTES, makeCoroutine, Outcome, RequestKind } from '../ops/index.js';
import { DONE, Ledger } from '../verbs/index.js';
import { complete } from './call.js';
import { stage } from './sequential.js';

const CONFIG: PoolConfig = smallPool({ nodes: 3, indexReplicas: 2, dataReplicas: 2 });
const SECRET = Buffer.from('the secret of this test');
const LOCAL_BYTES = CONTEXT_BYTES + (2 << 20);
const isGuest = process.env.FUSEE_GUEST !== undefined;
/** The guest's processors are emulated. */
const REQUESTS = isGuest ? 150 : 600;
const KEYS = 40;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0).reverse()) one.close();
});

let pools = 0;
const startNodes = (): ShmNode[] => {
  const pool = `test-${process.pid}-differential-${pools++}`;
  const nodes = Array.from({ length: CONFIG.nodes }, (_, mn) =>
    startShmNode({ pool, mn, config: CONFIG, prefault: false }),
  );
  open.push(...nodes);
  return nodes;
};

/** Packets go over the wire between the guest's two devices. */
async function reachByVerbs(): Promise<Fabric> {
  const addresses = startNodes().map(({ name }) => {
    const service = new VerbsService({ region: name, host: '10.1.0.1', secret: SECRET });
    open.push(service);
    return `10.1.0.1:${service.port}`;
  });
  return new VerbsFabric({ addresses, secret: SECRET, device: 'rxe1', localBytes: LOCAL_BYTES });
}

/** Each makes a formatted pool of its own, and reaches it. */
const ENDS: Readonly<Record<string, () => Promise<Fabric>>> = {
  memory: async () => new MemoryFabric(makeNodes(CONFIG), { localBytes: LOCAL_BYTES }),
  sim: async () => {
    const { nodeBytes } = new Geometry(CONFIG);
    const memory = serveNodes(new SimMemory(Array(CONFIG.nodes).fill(nodeBytes)), CONFIG);
    const latency = new ConstantLatency({ rttNs: 2000, serviceNs: 500 });
    return new SimFabric(new SimWorld(memory, { seed: 1, latency }), { localBytes: LOCAL_BYTES });
  },
  shm: async () => {
    const regions = startNodes().map(({ name }) => name);
    return new ShmFabric({ regions, localBytes: LOCAL_BYTES, prefault: false });
  },
  tcp: async () => {
    const listening = { address: '127.0.0.1:0', secret: SECRET };
    const addresses = startNodes().map((node) => `127.0.0.1:${node.listen(listening, () => {})}`);
    return await openTcpFabric({ addresses, secret: SECRET, localBytes: LOCAL_BYTES });
  },
  ...(isGuest ? { verbs: reachByVerbs } : {}),
};

/** A request as drawn from the seed. */
interface Drawn {
  readonly kind: RequestKind;
  readonly key: string;
  readonly value: string;
}

function draw(seed: number): Drawn[] {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const { SEARCH, INSERT, UPDATE, DELETE, PUT } = RequestKind;
  const kinds = [SEARCH, SEARCH, INSERT, INSERT, UPDATE, UPDATE, DELETE, PUT];
  return Array.from({ length: REQUESTS }, (_, i) => ({
    kind: kinds[below(kinds.length)],
    key: `key-${below(KEYS)}`,
    value: `${i}-`.padEnd(8 + below(900), 'v'),
  }));
}

/** Plays the requests, then reads every key: what each came to, what is there, and what all of it cost. */
async function play(fabric: Fabric, requests: readonly Drawn[]) {
  const view = new View(new Geometry(CONFIG));
  const cache = new IndexCache({ bytes: 1 << 14, keyBytes: 32, threshold: 1 });
  const state = new ClientState({ view, local: fabric.local, cache, cid: 1, coroutines: 1 });
  const coroutine = makeCoroutine(state, 0);
  const ledger = new Ledger();
  const run = async (kind: RequestKind, key: string, value: string): Promise<Outcome> => {
    stage(coroutine, Buffer.from(key), Buffer.from(value));
    const loop = coroutine.loops[kind];
    for (let batch = loop.next().value; batch !== DONE; batch = loop.next().value) {
      await complete(fabric, batch);
      ledger.add(batch);
    }
    return coroutine.cx.outcome;
  };
  const outcomes: Outcome[] = [];
  for (const { kind, key, value } of requests) outcomes.push(await run(kind, key, value));
  const map = new Map<string, string>();
  for (let i = 0; i < KEYS; i++) {
    const key = `key-${i}`;
    if ((await run(RequestKind.SEARCH, key, '')) !== Outcome.OK) continue;
    const { foundAt, foundBytes } = coroutine.cx;
    map.set(key, Buffer.from(fabric.local.bytes.slice(foundAt, foundAt + foundBytes)).toString());
  }
  return { outcomes, map, ledger: { ...ledger } };
}

/** What the map has to be, by the outcomes that requests had. */
function expected(requests: readonly Drawn[], outcomes: readonly Outcome[]): Map<string, string> {
  const map = new Map<string, string>();
  requests.forEach(({ kind, key, value }, i) => {
    if (outcomes[i] !== Outcome.OK || kind === RequestKind.SEARCH) return;
    if (kind === RequestKind.DELETE) map.delete(key);
    else map.set(key, value);
  });
  return map;
}

describe('requests drawn from a seed', () => {
  it.each(isGuest ? [3] : [1, 2])(`end alike over ${Object.keys(ENDS).join(', ')}: seed %i`, async (seed) => {
    const requests = draw(seed);
    const played: Record<string, Awaited<ReturnType<typeof play>>> = {};
    for (const [name, reach] of Object.entries(ENDS)) {
      const fabric = await reach();
      open.push(fabric);
      played[name] = await play(fabric, requests);
    }
    const { memory } = played;
    expect(memory.map).toEqual(expected(requests, memory.outcomes));
    expect(memory.map.size).toBeGreaterThan(5);
    expect(memory.ledger.rtts).toBeGreaterThan(REQUESTS);
    for (const [name, one] of Object.entries(played)) expect({ name, ...one }).toEqual({ name, ...memory });
  });
});
