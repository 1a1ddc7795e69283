/** A pool with something of everything in it, and ways to damage it: for tests. */
import { SequentialClient } from '../client/sequential.js';
import type { Fabric } from '../fabric/contract.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import { CANDIDATES, candidateSlot, type KeyPlace, keyMemory, keyPlace, locateKey } from '../index/index.js';
import {
  classOfLines,
  Geometry,
  isKv,
  LINE_BYTES,
  MAX_REPLICAS,
  ownerPointer,
  type PoolConfig,
  slotLines,
  View,
} from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { CONTEXT_BYTES, Outcome } from '../ops/index.js';
import { type Op, replicaRef, type VerbBatch, type Word, word } from '../verbs/index.js';
import { bitmapByte } from './cells.js';
import { checkPool } from './check-pool.js';
import { WALK_BYTES } from './reader.js';
import type { Finding, PoolReport } from './report.js';
import type { WalkOptions } from './walk.js';

/** Runs a walk, or any operation, over a fabric that nothing else polls. */
export function runOp<T>(fabric: Fabric, op: Op<T>): T {
  const done: VerbBatch[] = [];
  for (let step = op.next(); ; step = op.next()) {
    if (step.done) return step.value;
    fabric.post(step.value);
    while (fabric.poll(done) === 0);
  }
}

/** A key's slot, the word in it, and the cell of its object, by the pointer of its last line. */
export interface Placed {
  readonly slot: number;
  readonly word: Word;
  readonly pointer: number;
  readonly cell: number;
  readonly lines: number;
  readonly sizeClass: number;
}

/** So small that a walk of it takes milliseconds. */
const SMALL = { blockBytes: 1 << 13, regionBytes: 1 << 17 };

/** Two clients have written, replaced and deleted keys of several sizes. */
export class SamplePool {
  readonly config: PoolConfig;
  readonly nodes: MemoryNodes;
  readonly view: View;
  readonly clients: readonly SequentialClient[];

  constructor(options: Partial<PoolConfig> = {}) {
    this.config = smallPool({ indexReplicas: 2, regionsPerNode: 1, ...SMALL, ...options });
    this.nodes = makeNodes(this.config);
    this.view = new View(new Geometry(this.config));
    this.clients = [1, 2].map((cid) => {
      const fabric = new MemoryFabric(this.nodes, { localBytes: CONTEXT_BYTES + (1 << 20) });
      return new SequentialClient(fabric, { view: this.view, cid });
    });
  }

  /** 40 keys k0 to k39; then every third is replaced, then every fifth deleted, each by the other client. */
  fill(): this {
    const of = (k: number): SequentialClient => this.clients[k % 2];
    const value = (k: number, letter: string): string => letter.repeat((k % 4) * 90);
    for (let k = 0; k < 40; k++) this.#expectOk(of(k).insert(`k${k}`, value(k, 'x')));
    for (let k = 0; k < 40; k += 3) this.#expectOk(of(k + 1).update(`k${k}`, value(k, 'y')));
    for (let k = 0; k < 40; k += 5) this.#expectOk(of(k + 1).delete(`k${k}`));
    return this;
  }

  #expectOk(outcome: Outcome): void {
    if (outcome !== Outcome.OK) throw new Error(`a request of the sample ended with outcome ${outcome}`);
  }

  /** A key whose first object an UPDATE has replaced; gives where that was. */
  garbage(key = 'g'): Placed {
    const [client] = this.clients;
    this.#expectOk(client.insert(key, 'x'.repeat(200)));
    const placed = this.find(key);
    this.#expectOk(client.update(key, 'y'.repeat(200)));
    return placed;
  }

  /** Walks the pool. */
  check(options: Partial<WalkOptions> = {}): PoolReport {
    const fabric = new MemoryFabric(this.nodes, { localBytes: WALK_BYTES });
    return runOp(fabric, checkPool({ view: this.view, local: fabric.local, depth: 'bytes', ...options }));
  }

  /** What a walk finds, as kinds. */
  kinds(): string[] {
    return this.check().findings.map(({ kind }) => kind);
  }

  /** The one thing that a walk finds. @throws when it is not the only one. */
  onlyFinding(): Finding {
    const { findings } = this.check();
    if (findings.length !== 1) throw new Error(`${findings.length} findings: ${JSON.stringify(findings)}`);
    return findings[0];
  }

  /** Where a key belongs. */
  placeOf(key: string): KeyPlace {
    const { subtables, groupsPerSubtable } = this.config;
    const place = keyPlace({ subtables, groups: groupsPerSubtable });
    locateKey(place, keyMemory(Buffer.from(key)), 0, key.length);
    return place;
  }

  /** Candidate slots of a key that hold nothing. */
  freeSlots(key: string): number[] {
    const place = this.placeOf(key);
    const slots = Array.from({ length: CANDIDATES }, (_, q) => candidateSlot(place, q));
    return slots.filter((slot) => {
      const { hi, lo } = this.load(slot);
      return (hi | lo) === 0;
    });
  }

  /** Where a visible key is. */
  find(key: string): Placed {
    const place = this.placeOf(key);
    for (let q = 0; q < CANDIDATES; q++) {
      const slot = candidateSlot(place, q);
      const w = this.load(slot);
      if (!isKv(w) || (w.lo & 255) !== place.fingerprint) continue;
      const [pointer, lines] = [ownerPointer(w), slotLines(w)];
      const cell = pointer + (lines - 1) * LINE_BYTES;
      return { slot, word: w, pointer, cell, lines, sizeClass: classOfLines(lines) };
    }
    throw new Error(`${key} is not there`);
  }

  /** A slot's word on a replica. */
  load(slot: number, replica = 0): Word {
    return this.nodes.load(this.view.slotMn(slot, replica), this.view.slotOffset(slot), word());
  }

  /** Sets a slot on the replicas given, or on all. */
  store(slot: number, w: Word, replicas = [...Array(this.config.indexReplicas).keys()]): void {
    for (const r of replicas)
      this.nodes.store(this.view.slotMn(slot, r), this.view.slotOffset(slot), w.lo, w.hi);
  }

  /** Reads data of a replica. */
  data(pointer: number, lengthBytes: number, replica = 0): Uint8Array {
    const to = this.view.dataReplicas(pointer, replicaRef(MAX_REPLICAS));
    const bytes = new Uint8Array(lengthBytes);
    this.nodes.read(to.mn[replica], to.offsetBytes[replica], bytes, 0, lengthBytes);
    return bytes;
  }

  /** Writes data on the replicas given, or on all. */
  putData(pointer: number, bytes: Uint8Array, replicas = [...Array(this.config.dataReplicas).keys()]): void {
    const to = this.view.dataReplicas(pointer, replicaRef(MAX_REPLICAS));
    for (const r of replicas) this.nodes.write(to.mn[r], to.offsetBytes[r], bytes, 0, bytes.length);
  }

  /** Changes one byte of data on the replicas given, or on all. */
  change(pointer: number, to: (byte: number) => number, replicas?: number[]): void {
    for (const r of replicas ?? [...Array(this.config.dataReplicas).keys()])
      this.putData(pointer, Uint8Array.of(to(this.data(pointer, 1, r)[0])), [r]);
  }

  /** Sets the bit that frees a cell. */
  setFreeBit(cell: number, replicas?: number[]): void {
    const offset = cell % this.config.blockBytes;
    const byte = cell - offset + bitmapByte(offset);
    this.change(byte, (bits) => bits | (1 << ((offset / LINE_BYTES) & 7)), replicas);
  }

  /** Writes bytes to one node's own memory. */
  poke(mn: number, offset: number, ...bytes: number[]): void {
    this.nodes.write(mn, offset, Uint8Array.from(bytes), 0, bytes.length);
  }

  /** The pointer of the first block that is nobody's. */
  get unowned(): number {
    const { blockBytes, regionBytes } = this.config;
    for (let block = 0; ; block += blockBytes) {
      const region = Math.floor(block / regionBytes);
      const at = this.view.tableOffset(region, 0) + ((block % regionBytes) / blockBytes) * 8;
      if (this.nodes.load(this.view.regionMn(region, 0), at, word()).lo === 0) return block;
    }
  }
}
