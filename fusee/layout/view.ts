/**
 * The view: which memory node holds which replica (FUSEE section 4.1), and which nodes are dead (section
 * 5.2).
 *
 * Placement follows from the configuration alone, by the ring of its nodes: every client and node computes
 * the same one. A node holds the regions placed on it one after another, in the order of their numbers; a
 * subtable has its offset on every node. What changes is who is alive: replicas on dead nodes are left out,
 * the first that is left is the primary. Of what has no replica left the dead one is named, so that every
 * verb to it FAILs and nothing is ever invented.
 */
import type { ReplicaRef } from '../verbs/index.js';
import { assertLayout } from './assert.js';
import type { Geometry } from './geometry.js';
import { BLOCK_ENTRY_BYTES, CLIENTS_BASE } from './geometry.js';
import { Ring, Thing } from './ring.js';

/** An address on one memory node. */
export interface NodeAddress {
  readonly mn: number;
  readonly offset: number;
}

/**
 * Where every replica lies; asked for each address. Each client and node has one of its own, and changes it.
 */
export class View {
  readonly geometry: Geometry;
  #number = 1;
  readonly #indexReplicas: number;
  readonly #dataReplicas: number;
  readonly #subtableBytes: number;
  readonly #indexBase: number;
  readonly #regionBytes: number;
  /** As placed, the dead included: MN of subtable s, replica r at s x r_i + r; region g at g x r_d + r. */
  readonly #subtablesPlaced: Uint8Array;
  readonly #regionsPlaced: Uint8Array;
  readonly #basesPlaced: Float64Array;
  /** The living, in the same order, at the same stride; and how many they are. */
  readonly #subtableMn: Uint8Array;
  readonly #subtableLive: Uint8Array;
  readonly #regionMn: Uint8Array;
  readonly #regionBase: Float64Array;
  readonly #regionLive: Uint8Array;
  /** Per subtable: the view that last changed its replicas. */
  readonly #changedIn: Uint32Array;
  readonly #isDead: Uint8Array;
  /** The view in which a node has joined last, or may have; 0: none has. */
  #joinedIn = 0;
  /** By region: its first block that is set aside; as many as it has blocks when none is. */
  readonly #firstReserved: Uint32Array;

  /** @param like a view of the same geometry, whose placement need not be computed again. */
  constructor(geometry: Geometry, like?: View) {
    const { nodes, indexReplicas, dataReplicas, subtablesMax, regionBytes, regionsPerNode } = geometry.config;
    this.geometry = geometry;
    this.#indexReplicas = indexReplicas;
    this.#dataReplicas = dataReplicas;
    this.#subtableBytes = geometry.subtableBytes;
    this.#indexBase = geometry.indexBase;
    this.#regionBytes = regionBytes;
    this.#isDead = new Uint8Array(nodes);
    this.#changedIn = new Uint32Array(subtablesMax);
    this.#subtableLive = new Uint8Array(subtablesMax).fill(indexReplicas);
    this.#regionLive = new Uint8Array(geometry.regions).fill(dataReplicas);
    if (like !== undefined) {
      this.#subtablesPlaced = like.#subtablesPlaced;
      this.#regionsPlaced = like.#regionsPlaced;
      this.#basesPlaced = like.#basesPlaced;
    } else {
      const ring = new Ring(Array.from({ length: nodes }, (_, mn) => mn));
      // Those that are still to come have their places from the start: a split moves half of one, no others.
      this.#subtablesPlaced = ring.place(Thing.SUBTABLE, { count: subtablesMax, replicas: indexReplicas });
      this.#regionsPlaced = ring.place(Thing.REGION, { count: geometry.regions, replicas: dataReplicas });
      this.#basesPlaced = new Float64Array(this.#regionsPlaced.length);
      const held = new Uint32Array(nodes);
      this.#regionsPlaced.forEach((mn, i) => {
        this.#basesPlaced[i] = geometry.dataBase + held[mn]++ * geometry.regionStride + geometry.tableBytes;
      });
      assertLayout(
        held.every((count) => count === regionsPerNode * dataReplicas),
        'every node holds as many replicas of regions as it has room for',
      );
    }
    this.#subtableMn = this.#subtablesPlaced.slice();
    this.#regionMn = this.#regionsPlaced.slice();
    this.#regionBase = this.#basesPlaced.slice();
    this.#firstReserved = like === undefined ? this.#reserve() : like.#firstReserved;
    if (like === undefined) return;
    if (like.#number > 1) this.change(like.#number, like.dead());
    this.#joinedIn = like.#joinedIn;
  }

  /** The last blocks of each node, through its regions in the order of their numbers. */
  #reserve(): Uint32Array {
    const { regions, blocksPerRegion, reservedPerNode, config } = this.geometry;
    const first = new Uint32Array(regions).fill(blocksPerRegion);
    const left = new Uint32Array(config.nodes).fill(reservedPerNode);
    for (let region = regions - 1; region >= 0; region--) {
      const mn = this.#regionsPlaced[region * this.#dataReplicas];
      const reserved = Math.min(left[mn], blocksPerRegion);
      first[region] -= reserved;
      left[mn] -= reserved;
    }
    return first;
  }

  /** Grows with every change of membership. */
  get number(): number {
    return this.#number;
  }

  /** The dead nodes, ascending. */
  dead(): number[] {
    return [...this.#isDead.keys()].filter((mn) => this.#isDead[mn] !== 0);
  }

  /** The node that grants client ids and places in the client table: the first that is alive. */
  get grantingMn(): number {
    return Math.max(0, this.#isDead.indexOf(0));
  }

  /** Has the node been declared dead? */
  isDead(mn: number): boolean {
    return this.#isDead[mn] !== 0;
  }

  /**
   * Becomes view `number`, in which these nodes, and no others, are dead.
   * @param isWhole everything counts as changed, as it does when a node comes back: what requests remember of
   *   replicas lacks one.
   */
  change(number: number, dead: readonly number[], isWhole = false): void {
    this.#number = number;
    const isJoined = isWhole || this.dead().some((mn) => !dead.includes(mn));
    if (isJoined) this.#joinedIn = number;
    this.#isDead.fill(0);
    for (const mn of dead) this.#isDead[mn] = 1;
    const before = new Uint8Array(this.#indexReplicas);
    for (let s = 0; s < this.#subtableLive.length; s++) {
      const first = s * this.#indexReplicas;
      const count = this.#subtableLive[s];
      before.set(this.#subtableMn.subarray(first, first + count));
      const live = this.#keepLiving(this.#subtablesPlaced, first, this.#indexReplicas, (from, to) => {
        this.#subtableMn[to] = this.#subtablesPlaced[from];
      });
      this.#subtableLive[s] = live;
      let isSame = live === count;
      for (let r = 0; r < live && isSame; r++) isSame = before[r] === this.#subtableMn[first + r];
      if (!isSame || isJoined) this.#changedIn[s] = number;
    }
    for (let g = 0; g < this.#regionLive.length; g++) {
      this.#regionLive[g] = this.#keepLiving(
        this.#regionsPlaced,
        g * this.#dataReplicas,
        this.#dataReplicas,
        (from, to) => {
          this.#regionMn[to] = this.#regionsPlaced[from];
          this.#regionBase[to] = this.#basesPlaced[from];
        },
      );
    }
  }

  /** Keeps what is on living nodes, in order; the first of all when nothing is. Returns how many. */
  #keepLiving(
    placed: Uint8Array,
    first: number,
    replicas: number,
    keep: (from: number, to: number) => void,
  ): number {
    let count = 0;
    for (let from = first; from < first + replicas; from++) {
      if (this.#isDead[placed[from]] === 0) keep(from, first + count++);
    }
    if (count > 0) return count;
    keep(first, first);
    return 1;
  }

  /** The view in which a node has joined last: it serves regions that another one served. 0: none has. */
  get joinedIn(): number {
    return this.#joinedIn;
  }

  /**
   * What has a replica on a node as placed, whether it lives or not: subtables, and regions with the offset
   * of their blocks there.
   */
  placedOn(mn: number): { subtables: number[]; regions: { region: number; base: number }[] } {
    const subtables: number[] = [];
    this.#subtablesPlaced.forEach((on, i) => {
      if (on === mn) subtables.push(Math.floor(i / this.#indexReplicas));
    });
    const regions: { region: number; base: number }[] = [];
    this.#regionsPlaced.forEach((on, i) => {
      const region = Math.floor(i / this.#dataReplicas);
      if (on === mn) regions.push({ region, base: this.#basesPlaced[i] });
    });
    return { subtables, regions };
  }

  /** Did the latest change of the view change the replicas of the index at logical offset `slot`? */
  hasChanged(slot: number): boolean {
    return this.#number > 1 && this.#changedIn[Math.floor(slot / this.#subtableBytes)] === this.#number;
  }

  /** Living replicas of the index at logical offset `slot`: at least 1, see the head of this file. */
  slotCount(slot: number): number {
    return this.#subtableLive[Math.floor(slot / this.#subtableBytes)];
  }

  /** Living replicas of the byte that `pointer` names: at least 1. */
  dataCount(pointer: number): number {
    return this.#regionLive[Math.floor(pointer / this.#regionBytes)];
  }

  /** Living replicas of the directory: at least 1. */
  get directoryCount(): number {
    return this.#subtableLive[0];
  }

  /** All living replicas of the index word at logical offset `slot`, primary first. */
  slotReplicas(slot: number, into: ReplicaRef): ReplicaRef {
    const subtable = Math.floor(slot / this.#subtableBytes);
    const first = subtable * this.#indexReplicas;
    into.count = this.#subtableLive[subtable];
    for (let r = 0; r < into.count; r++) {
      into.mn[r] = this.#subtableMn[first + r];
      into.offsetBytes[r] = this.#indexBase + slot;
    }
    return into;
  }

  /** The MN of living replica `replica` (0 = primary) of the index at logical offset `slot`. */
  slotMn(slot: number, replica: number): number {
    return this.#subtableMn[Math.floor(slot / this.#subtableBytes) * this.#indexReplicas + replica];
  }

  /** Where the logical index offset `slot` lies on each of its MNs. */
  slotOffset(slot: number): number {
    return this.#indexBase + slot;
  }

  /**
   * The MN that has the client table in use, and the primary of the directory: what orders the two is there.
   */
  get controlMn(): number {
    return this.#subtableMn[0];
  }

  /** Offset, on the control node, of a client's word in the client table. */
  clientOffset(client: number): number {
    return CLIENTS_BASE + 8 * client;
  }

  /** The MN of replica `replica` of the directory; its offset is the same on each. */
  directoryMn(replica: number): number {
    return this.#subtableMn[replica];
  }

  /** All living replicas of the byte that `pointer` names, primary first. */
  dataReplicas(pointer: number, into: ReplicaRef): ReplicaRef {
    const region = Math.floor(pointer / this.#regionBytes);
    const offset = pointer - region * this.#regionBytes;
    const first = region * this.#dataReplicas;
    into.count = this.#regionLive[region];
    for (let r = 0; r < into.count; r++) {
      into.mn[r] = this.#regionMn[first + r];
      into.offsetBytes[r] = this.#regionBase[first + r] + offset;
    }
    return into;
  }

  /** The MN of replica `replica` of the byte that `pointer` names. */
  dataMn(pointer: number, replica: number): number {
    return this.#regionMn[Math.floor(pointer / this.#regionBytes) * this.#dataReplicas + replica];
  }

  /** The offset, on that MN, of replica `replica` of the byte that `pointer` names. */
  dataOffset(pointer: number, replica: number): number {
    const region = Math.floor(pointer / this.#regionBytes);
    return this.#regionBase[region * this.#dataReplicas + replica] + (pointer - region * this.#regionBytes);
  }

  /** The offset, on its MN, of the block table of a region's replica. */
  tableOffset(region: number, replica: number): number {
    return this.#regionBase[region * this.#dataReplicas + replica] - this.geometry.tableBytes;
  }

  /** May another node be, or have been, in the place of the region's first primary? */
  isTakenOver(region: number): boolean {
    const first = region * this.#dataReplicas;
    return this.#joinedIn > 0 || this.#regionMn[first] !== this.#regionsPlaced[first];
  }

  /** The offset, on its MN, of a block's entry in a replica of its table. */
  entryOffset(block: number, replica: number): number {
    const region = Math.floor(block / this.#regionBytes);
    const index = (block - region * this.#regionBytes) / this.geometry.config.blockBytes;
    return this.tableOffset(region, replica) + index * BLOCK_ENTRY_BYTES;
  }

  /** The first block of a region that is set aside for DELETEs; as many as a region has blocks: none is. */
  firstReserved(region: number): number {
    return this.#firstReserved[region];
  }

  /**
   * Is the block that `pointer` lies in set aside for DELETEs? It follows from its place, as all here does.
   */
  isReserved(pointer: number): boolean {
    const region = Math.floor(pointer / this.#regionBytes);
    const block = Math.floor((pointer - region * this.#regionBytes) / this.geometry.config.blockBytes);
    return block >= this.#firstReserved[region];
  }

  /** The MN of a region's replica. */
  regionMn(region: number, replica: number): number {
    return this.#regionMn[region * this.#dataReplicas + replica];
  }

  /**
   * Where what lies at an address is found now that its node has died: on the first living replica; undefined
   * when there is none, or the address is of none of the kinds that have replicas.
   */
  elsewhere(mn: number, offset: number): NodeAddress | undefined {
    const { geometry } = this;
    if (offset < geometry.dataBase) {
      // Client table and directory, then subtables: one offset on all of their nodes.
      const subtable =
        offset < this.#indexBase ? 0 : Math.floor((offset - this.#indexBase) / this.#subtableBytes);
      const to = this.#subtableMn[subtable * this.#indexReplicas];
      return this.#isDead[to] === 0 ? { mn: to, offset } : undefined;
    }
    const held = Math.floor((offset - geometry.dataBase) / geometry.regionStride);
    const base = geometry.dataBase + held * geometry.regionStride + geometry.tableBytes;
    const i = this.#basesPlaced.findIndex((placed, k) => placed === base && this.#regionsPlaced[k] === mn);
    if (i < 0) return undefined;
    const first = Math.floor(i / this.#dataReplicas) * this.#dataReplicas;
    const to = this.#regionMn[first];
    if (this.#isDead[to] !== 0) return undefined;
    return { mn: to, offset: this.#regionBase[first] + (offset - base) };
  }
}
