/**
 * Which nodes hold what: consistent hashing with virtual nodes and bounded loads (FUSEE section 4.1; Karger
 * 1997, Mirrokni 2018).
 *
 * Every node has many points on a ring of 2^32, every thing (region, subtable) has one, and its replicas lie
 * on the nodes that come next. A node that has its share is passed over, and the share is the average itself:
 * counts of two nodes differ by one at most, of primaries and of replicas. So a pool needs no spare memory,
 * and what a node must hold is known from the configuration.
 *
 * The price: things that were passed on may move when nodes come or go. A join must move 1/(n + 1) of the
 * replicas and a leave what the node held; with k things per node, 1 / (2 sqrt k) of all replicas at most
 * move besides: the more things, the less chance leaves to pass on. (ring.test.ts measures it.)
 */
import { assertLayout } from './assert.js';

/** Points of a node: more of them hardly lessen what moves, and every client sorts them. */
const VIRTUAL_NODES = 64;
/** Node ids are below this: a point is hash x ID_LIMIT + id, a whole number of 40 bits. */
const ID_LIMIT = 256;

/** What a ring places; each kind has hashes of its own. */
export const Thing = { REGION: 1, SUBTABLE: 2 } as const;
export type Thing = (typeof Thing)[keyof typeof Thing];
/** Virtual nodes are hashed apart from things. */
const NODE = 0;

/** The finalizer of MurmurHash3: every bit of the result depends on every bit of `x`. */
function mix(x: number): number {
  let h = x;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Where `number` of a kind lies on the ring; 32 bits of whole numbers throughout, so alike everywhere. */
const pointOf = (kind: number, number: number): number => mix(mix(kind + 0x9e3779b9) ^ mix(number + 1));

/** Per node: how many more it takes, and the latest thing it has taken. */
interface Seats {
  readonly room: Uint32Array;
  readonly latest: Int32Array;
}

const isFree = ({ room, latest }: Seats, node: number, thing: number): boolean =>
  room[node] > 0 && latest[node] !== thing;

/** The nodes of a pool on their ring; made from their ids alone, in any order. */
export class Ring {
  /** Ascending. Below, a node is its place in here. */
  readonly #ids: Uint8Array;
  /** Points of all nodes, ascending, and whose they are. */
  readonly #points: Float64Array;
  readonly #owners: Uint8Array;

  constructor(ids: readonly number[]) {
    assertLayout(
      ids.every((id) => Number.isInteger(id) && id >= 0 && id < ID_LIMIT) && new Set(ids).size === ids.length,
      `node ids differ and are below ${ID_LIMIT}`,
    );
    this.#ids = Uint8Array.from(ids).sort();
    const points = new Float64Array(ids.length * VIRTUAL_NODES);
    for (let node = 0; node < ids.length; node++) {
      for (let v = 0; v < VIRTUAL_NODES; v++) {
        const point = pointOf(NODE, this.#ids[node] * VIRTUAL_NODES + v);
        points[node * VIRTUAL_NODES + v] = point * ID_LIMIT + this.#ids[node];
      }
    }
    this.#points = points.sort();
    this.#owners = new Uint8Array(points.length);
    for (let i = 0; i < points.length; i++) this.#owners[i] = this.#ids.indexOf(points[i] % ID_LIMIT);
  }

  /**
   * Places things 0 to `count` - 1, each on `replicas` different nodes.
   * @returns the node id of thing t, replica r at t x replicas + r, primary first.
   */
  place(kind: Thing, options: { count: number; replicas: number }): Uint8Array {
    const { count, replicas } = options;
    assertLayout(replicas <= this.#ids.length, 'there is a node for each replica');
    const placed = new Uint8Array(count * replicas);
    const primaries = this.#shares(count);
    const seats: Seats = { room: primaries.slice(), latest: new Int32Array(this.#ids.length).fill(-1) };
    for (let thing = 0; thing < count; thing++) {
      placed[thing * replicas] = this.#seat(seats, thing, this.#next(seats, kind, thing));
    }
    if (replicas > 1) this.#placeBackups(kind, { placed, replicas, primaries });
    return placed.map((node) => this.#ids[node]);
  }

  /**
   * Backups get what is left of each node's share. A node with room for as many as there are things left that
   * it is not the primary of must take this one, or its share could not be filled any more with different
   * things. Such nodes are never too many: a way to fill all shares exists at the start (a share is at most
   * `count`, primaries included), and no step closes the last one.
   */
  #placeBackups(kind: Thing, state: { placed: Uint8Array; replicas: number; primaries: Uint32Array }): void {
    const { placed, replicas, primaries } = state;
    const count = placed.length / replicas;
    const room = this.#shares(placed.length).map((share, node) => share - primaries[node]);
    const seats: Seats = { room, latest: new Int32Array(room.length).fill(-1) };
    /** Per node: the things left whose primary it is. */
    const ahead = primaries.slice();
    for (let thing = 0; thing < count; thing++) {
      const primary = placed[thing * replicas];
      seats.latest[primary] = thing;
      const left = count - thing;
      for (let r = 1; r < replicas; r++) {
        let node = 0;
        while (node < room.length && !(room[node] === left - ahead[node] && isFree(seats, node, thing)))
          node++;
        if (node === room.length) node = this.#next(seats, kind, thing);
        placed[thing * replicas + r] = this.#seat(seats, thing, node);
      }
      ahead[primary]--;
    }
  }

  #seat({ room, latest }: Seats, thing: number, node: number): number {
    room[node]--;
    latest[node] = thing;
    return node;
  }

  /** `total` in equal parts, whole ones: the first nodes get one more when it does not divide. */
  #shares(total: number): Uint32Array {
    const nodes = this.#ids.length;
    return new Uint32Array(nodes).map((_, n) => Math.floor(total / nodes) + (n < total % nodes ? 1 : 0));
  }

  /** The first node from a thing's point on that is free for it. */
  #next(seats: Seats, kind: Thing, thing: number): number {
    const point = pointOf(kind, thing) * ID_LIMIT;
    const count = this.#points.length;
    let low = 0;
    for (let high = count; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle] < point) low = middle + 1;
      else high = middle;
    }
    for (let i = 0; i < count; i++) {
      const node = this.#owners[(low + i) % count];
      if (isFree(seats, node, thing)) return node;
    }
    throw new RangeError('the ring has no room for a thing that was promised some');
  }
}
