/** What the parts of one walk share. */
import { Directory } from '../index/index.js';
import { type Geometry, MAX_REPLICAS, type View } from '../layout/index.js';
import { type LocalMemory, type Op, type ReplicaRef, replicaRef } from '../verbs/index.js';
import { Names } from './names.js';
import { CHUNK_BYTES, Reader } from './reader.js';
import { type ClientReport, Findings, NodeAccount } from './report.js';

/** What a walk is told. */
export interface WalkOptions {
  readonly view: View;
  /** Registered memory of a fabric that reaches all nodes; `WALK_BYTES` of it are taken. */
  readonly local: LocalMemory;
  /**
   * `words`: the words of the index, of block tables, of bitmaps, and of cells that neither speaks of, of
   * primaries only: counts, and no findings but of superblocks and directory. `bytes`: every byte of every
   * node.
   */
  readonly depth: 'words' | 'bytes';
  /** Hears how many bytes have been accounted for. */
  readonly onProgress?: (doneBytes: number) => void;
  /** Data whose names are held at once, whole blocks. @default 1 GiB, which takes 4 MiB of bits */
  readonly stretchBytes?: number;
}

/** A walk's memory, findings and counts. */
export class Walk {
  readonly view: View;
  readonly geometry: Geometry;
  readonly readsBytes: boolean;
  readonly reader: Reader;
  readonly findings = new Findings();
  /** Indexed by MN. */
  readonly accounts: readonly NodeAccount[];
  readonly names: Names;
  /** Bytes of one stretch: whole blocks. */
  readonly stretchBytes: number;
  readonly index = { live: 0, tombstones: 0 };
  /** Clients at work, once their table has been read. */
  readonly clients: ClientReport[] = [];
  /** Cells that log lists end with, once they have been followed: by the pointer of their last line. */
  readonly listEnds = new Set<number>();
  /** As the primary has it, once it has been read. */
  readonly directory: Directory;
  readonly #replicas: ReplicaRef = replicaRef(MAX_REPLICAS);
  readonly #onProgress: (doneBytes: number) => void;
  #doneBytes = 0;

  constructor(options: WalkOptions) {
    const { blockBytes } = options.view.geometry.config;
    this.view = options.view;
    this.geometry = options.view.geometry;
    this.readsBytes = options.depth === 'bytes';
    this.directory = new Directory(this.geometry.config.subtables);
    this.reader = new Reader(options.local);
    this.accounts = Array.from({ length: this.geometry.config.nodes }, () => new NodeAccount());
    this.stretchBytes = Math.max(blockBytes, Math.min(options.stretchBytes ?? 2 ** 30, this.dataBytes));
    this.names = new Names(this.stretchBytes);
    this.#onProgress = options.onProgress ?? (() => {});
  }

  /** Bytes that pointers can name. */
  get dataBytes(): number {
    return this.geometry.regions * this.geometry.config.regionBytes;
  }

  /** Replicas of the index at logical offset `slot`, as many as the walk looks at; until the next call. */
  indexReplicas(slot: number): ReplicaRef {
    return this.#limit(this.view.slotReplicas(slot, this.#replicas));
  }

  /** Replicas of the data that `pointer` names, as many as the walk looks at. Good until the next call. */
  dataReplicas(pointer: number): ReplicaRef {
    return this.#limit(this.view.dataReplicas(pointer, this.#replicas));
  }

  #limit(to: ReplicaRef): ReplicaRef {
    if (!this.readsBytes) to.count = 1;
    return to;
  }

  /** Notes that so many bytes, on all nodes together, have found their category. */
  progress(bytes: number): void {
    this.#doneBytes += bytes;
    this.#onProgress(this.#doneBytes);
  }

  /** Every byte of a stretch of a node is zero, or a finding says where not. */
  *requireZero(mn: number, range: { from: number; bytes: number }, what: string): Op<void> {
    const { reader, findings } = this;
    for (let done = 0; done < range.bytes; done += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, range.bytes - done);
      const at = reader.begin().read(mn, range.from + done, length);
      yield* reader.run();
      const i = reader.firstNonZero(at, length);
      if (i >= 0) {
        const offset = range.from + done + i;
        const found = reader.local.bytes[at + i].toString(16);
        findings.add('not-zero', mn, `offset ${offset}`, `the byte is ${found}, but ${what} is all zero`);
      }
      this.progress(length);
    }
  }
}
