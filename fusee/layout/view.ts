/**
 * The view: which memory node holds which replica (FUSEE section 4.1).
 *
 * Static for now: it follows from the configuration alone, primary first, replicas on the following nodes.
 * Every client and node computes the same one.
 */
import type { ReplicaRef } from '../verbs/index.js';
import type { Geometry } from './geometry.js';
import { INDEX_BASE } from './geometry.js';

/** Where every replica lies; asked for each address. */
export class View {
  /** Grows with every change of membership. */
  readonly number = 1;
  readonly geometry: Geometry;
  readonly #indexReplicas: number;
  readonly #dataReplicas: number;
  readonly #subtableBytes: number;
  readonly #regionBytes: number;
  /** MN of subtable s, replica r at s x r_i + r. */
  readonly #subtableMn: Uint8Array;
  /** MN, and offset of the first block, of region g, replica r at g x r_d + r. */
  readonly #regionMn: Uint8Array;
  readonly #regionBase: Float64Array;

  constructor(geometry: Geometry) {
    const { nodes, indexReplicas, dataReplicas, subtables, regionBytes } = geometry.config;
    this.geometry = geometry;
    this.#indexReplicas = indexReplicas;
    this.#dataReplicas = dataReplicas;
    this.#subtableBytes = geometry.subtableBytes;
    this.#regionBytes = regionBytes;
    this.#subtableMn = new Uint8Array(subtables * indexReplicas);
    for (let s = 0; s < subtables; s++) {
      for (let r = 0; r < indexReplicas; r++) this.#subtableMn[s * indexReplicas + r] = (s + r) % nodes;
    }
    this.#regionMn = new Uint8Array(geometry.regions * dataReplicas);
    this.#regionBase = new Float64Array(geometry.regions * dataReplicas);
    for (let g = 0; g < geometry.regions; g++) {
      const row = Math.floor(g / nodes);
      for (let r = 0; r < dataReplicas; r++) {
        this.#regionMn[g * dataReplicas + r] = (g + r) % nodes;
        this.#regionBase[g * dataReplicas + r] =
          geometry.dataBase + (row * dataReplicas + r) * geometry.regionStride + geometry.tableBytes;
      }
    }
  }

  /** All replicas of the index word at logical offset `slot`, primary first. */
  slotReplicas(slot: number, into: ReplicaRef): ReplicaRef {
    const first = Math.floor(slot / this.#subtableBytes) * this.#indexReplicas;
    into.count = this.#indexReplicas;
    for (let r = 0; r < into.count; r++) {
      into.mn[r] = this.#subtableMn[first + r];
      into.offsetBytes[r] = INDEX_BASE + slot;
    }
    return into;
  }

  /** The MN of replica `replica` (0 = primary) of the index at logical offset `slot`. */
  slotMn(slot: number, replica: number): number {
    return this.#subtableMn[Math.floor(slot / this.#subtableBytes) * this.#indexReplicas + replica];
  }

  /** Where the logical index offset `slot` lies on each of its MNs. */
  slotOffset(slot: number): number {
    return INDEX_BASE + slot;
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

  /** The MN of a region's replica. */
  regionMn(region: number, replica: number): number {
    return this.#regionMn[region * this.#dataReplicas + replica];
  }
}
