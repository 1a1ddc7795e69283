/**
 * The view: which memory node holds which replica (FUSEE section 4.1).
 *
 * Static for now: it follows from the configuration alone, by the ring of its nodes. Every client and node
 * computes the same one. A node holds the regions placed on it one after another, in the order of their
 * numbers; a subtable has its offset on every node.
 */
import type { ReplicaRef } from '../verbs/index.js';
import { assertLayout } from './assert.js';
import type { Geometry } from './geometry.js';
import { CLIENTS_BASE } from './geometry.js';
import { Ring, Thing } from './ring.js';

/** Where every replica lies; asked for each address. */
export class View {
  /** Grows with every change of membership. */
  readonly number = 1;
  readonly geometry: Geometry;
  readonly #indexReplicas: number;
  readonly #dataReplicas: number;
  readonly #subtableBytes: number;
  readonly #indexBase: number;
  readonly #regionBytes: number;
  /** MN of subtable s, replica r at s x r_i + r. */
  readonly #subtableMn: Uint8Array;
  /** MN, and offset of the first block, of region g, replica r at g x r_d + r. */
  readonly #regionMn: Uint8Array;
  readonly #regionBase: Float64Array;
  /** By region: its first block that is set aside; as many as it has blocks when none is. */
  readonly #firstReserved: Uint32Array;

  constructor(geometry: Geometry) {
    const { nodes, indexReplicas, dataReplicas, subtablesMax, regionBytes, regionsPerNode } = geometry.config;
    this.geometry = geometry;
    this.#indexReplicas = indexReplicas;
    this.#dataReplicas = dataReplicas;
    this.#subtableBytes = geometry.subtableBytes;
    this.#indexBase = geometry.indexBase;
    this.#regionBytes = regionBytes;
    const ring = new Ring(Array.from({ length: nodes }, (_, mn) => mn));
    // Those that are still to come have their places from the start: a split moves half of one, no others.
    this.#subtableMn = ring.place(Thing.SUBTABLE, { count: subtablesMax, replicas: indexReplicas });
    this.#regionMn = ring.place(Thing.REGION, { count: geometry.regions, replicas: dataReplicas });
    this.#regionBase = new Float64Array(this.#regionMn.length);
    const held = new Uint32Array(nodes);
    this.#regionMn.forEach((mn, i) => {
      this.#regionBase[i] = geometry.dataBase + held[mn]++ * geometry.regionStride + geometry.tableBytes;
    });
    this.#firstReserved = this.#reserve();
    assertLayout(
      held.every((count) => count === regionsPerNode * dataReplicas),
      'every node holds as many replicas of regions as it has room for',
    );
  }

  /** The last blocks of each node, through its regions in the order of their numbers. */
  #reserve(): Uint32Array {
    const { regions, blocksPerRegion, reservedPerNode, config } = this.geometry;
    const first = new Uint32Array(regions).fill(blocksPerRegion);
    const left = new Uint32Array(config.nodes).fill(reservedPerNode);
    for (let region = regions - 1; region >= 0; region--) {
      const mn = this.regionMn(region, 0);
      const reserved = Math.min(left[mn], blocksPerRegion);
      first[region] -= reserved;
      left[mn] -= reserved;
    }
    return first;
  }

  /** All replicas of the index word at logical offset `slot`, primary first. */
  slotReplicas(slot: number, into: ReplicaRef): ReplicaRef {
    const first = Math.floor(slot / this.#subtableBytes) * this.#indexReplicas;
    into.count = this.#indexReplicas;
    for (let r = 0; r < into.count; r++) {
      into.mn[r] = this.#subtableMn[first + r];
      into.offsetBytes[r] = this.#indexBase + slot;
    }
    return into;
  }

  /** The MN of replica `replica` (0 = primary) of the index at logical offset `slot`. */
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

  /** All replicas of the byte that `pointer` names, primary first. */
  dataReplicas(pointer: number, into: ReplicaRef): ReplicaRef {
    const region = Math.floor(pointer / this.#regionBytes);
    const offset = pointer - region * this.#regionBytes;
    const first = region * this.#dataReplicas;
    into.count = this.#dataReplicas;
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

  /** The first block of a region that is set aside for DELETEs; as many as a region has blocks: none is. */
  firstReserved(region: number): number {
    return this.#firstReserved[region];
  }

  /** Is the block that `pointer` lies in set aside for DELETEs? It follows from its place, as all here does. */
  isReserved(pointer: number): boolean {
    const region = Math.floor(pointer / this.#regionBytes);
    const block = Math.floor((pointer - region * this.#regionBytes) / this.geometry.config.blockBytes);
    return block >= this.#firstReserved[region];
  }

  /** The MN of a region's replica. */
  regionMn(region: number, replica: number): number {
    return this.#regionMn[region * this.#dataReplicas + replica];
  }
}
