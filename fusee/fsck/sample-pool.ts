/** A pool with something of everything in it, and ways to damage it: for tests. */
import { JANITOR_BYTES, Janitor, SplitResult } from '../background/index.js';
import { SequentialClient } from '../client/sequential.js';
import type { Fabric } from '../fabric/contract.js';
import { MemoryFabric } from '../fabric/memory.js';
import type { MemoryNodes } from '../fabric/memory-nodes.js';
import {
  CANDIDATES,
  candidateSlot,
  Directory,
  type KeyPlace,
  keyMemory,
  keyPlace,
  locateKey,
} from '../index/index.js';
import {
  BLOCK_HEADER_BYTES,
  classOfLines,
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  Geometry,
  getPointer,
  isKv,
  LINE_BYTES,
  MAX_REPLICAS,
  ownerPointer,
  type PoolConfig,
  putPointer,
  slotLines,
  View,
} from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { CONTEXT_BYTES, Outcome } from '../ops/index.js';
import { DONE, type Op, replicaRef, type VerbBatch, type Word, word } from '../verbs/index.js';
import { tableEntryOf } from './cells.js';
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

/** Two clients at work, which have written, replaced and deleted keys of several sizes. */
export class SamplePool {
  readonly config: PoolConfig;
  readonly nodes: MemoryNodes;
  readonly view: View;
  readonly clients: readonly SequentialClient[];
  readonly janitors: readonly Janitor[];

  constructor(options: Partial<PoolConfig> = {}) {
    this.config = smallPool({ indexReplicas: 2, regionsPerNode: 1, ...SMALL, ...options });
    this.nodes = makeNodes(this.config);
    this.view = new View(new Geometry(this.config));
    this.clients = [1, 2].map((cid) => {
      const fabric = new MemoryFabric(this.nodes, { localBytes: CONTEXT_BYTES + JANITOR_BYTES + (1 << 20) });
      return new SequentialClient(fabric, { view: this.view, cid });
    });
    this.janitors = this.clients.map(({ state }) => new Janitor(state));
    for (const c of [0, 1]) this.#run(c, this.janitors[c].enter());
  }

  #run<T>(c: number, op: Op<T>): T {
    return runOp(this.clients[c].fabric, op);
  }

  /** So many rounds of background work of both clients: they free, end periods, and take back. */
  tidy(rounds = 8): this {
    for (let i = 0; i < 2 * rounds; i++) this.#run(i % 2, onceThrough(this.janitors[i % 2]));
    return this;
  }

  /** Both clients rest: nobody is at work. */
  rest(): this {
    for (const c of [0, 1]) this.#run(c, this.clients[c].state.grace.rest());
    return this;
  }

  /** The first client splits a subtable while the other one rests. */
  split(subtable: number): this {
    const { state } = this.clients[0];
    const { splitter } = this.janitors[0];
    this.#run(1, this.clients[1].state.grace.rest());
    const result = this.#run(0, splitter.split(subtable, state.directory.depthOf(subtable)));
    if (result !== SplitResult.SPLIT) throw new Error(`the sample's split ended with ${result}`);
    this.#run(1, this.janitors[1].enter());
    return this.tidy(1);
  }

  /** {@link fill}, then keys replaced and deleted again and again, memory reclaimed, and a split. */
  churn(): this {
    this.fill();
    for (let i = 0; i < 400; i++) {
      const [client, key, length] = [this.clients[i % 2], `k${(i * 7) % 40}`, (i * 31) % 400];
      this.#expectOk(client.put(key, 'z'.repeat(length)));
      if (i % 9 === 8) this.#expectOk(client.delete(key));
      if (i % 4 === 3) this.tidy(1);
      if (i === 200) this.split(0);
    }
    return this.tidy();
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
    const place = keyPlace({ directory: this.#directory(), groups: this.config.groupsPerSubtable });
    locateKey(place, keyMemory(Buffer.from(key)), 0, key.length);
    return place;
  }

  #directory(): Directory {
    const { subtables, subtablesMax } = this.config;
    const mn = this.view.directoryMn(0);
    const directory = new Directory(subtables);
    const { lo: version, hi: depth } = this.nodes.load(mn, DIRECTORY_VERSION_OFFSET, word());
    const entries = Array.from({ length: subtablesMax }, (_, s) =>
      this.nodes.load(mn, directoryOffset(s), word()),
    );
    directory.load(version, depth, Uint32Array.from(entries.flatMap(({ lo, hi }) => [lo, hi])));
    return directory;
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

  /** Sets the free bit of the line at `pointer`. */
  setFreeBit(pointer: number, replicas?: number[]): void {
    const offset = pointer % this.config.blockBytes;
    const line = offset / LINE_BYTES;
    const byte = pointer - offset + BLOCK_HEADER_BYTES + (line >>> 3);
    this.change(byte, (bits) => bits | (1 << (line & 7)), replicas);
  }

  /** A log head that is in use, and the cell that both its words name; of one class, if told. */
  logHead(sizeClass?: number): { head: number; cell: number } {
    const { headsOffset } = this.view.geometry;
    for (const { state } of this.clients) {
      for (let c = sizeClass ?? 0; c <= (sizeClass ?? this.view.geometry.largestClass()); c++) {
        for (const { pointer } of state.slab.blocksOf(c)) {
          const bytes = this.data(pointer + headsOffset, 8);
          const cell = getPointer(bytes, 0);
          if (cell !== 0) return { head: pointer + headsOffset, cell };
        }
      }
    }
    throw new Error('no log head is in use');
  }

  /** Writes a pointer of 6 bytes into data, on the replicas given, or on all. */
  putPointer(at: number, pointer: number, replicas?: number[]): void {
    const bytes = new Uint8Array(6);
    putPointer(bytes, 0, pointer);
    this.putData(at, bytes, replicas);
  }

  /** Lets a log head name a cell, with both words, on the replicas given, or on all. */
  putHead(head: number, cell: number, replicas?: number[]): void {
    for (const at of [0, 8]) this.putPointer(head + at, cell, replicas);
  }

  /** Changes who owns a block, in the table of a replica; the size class stays. */
  setOwner(block: number, cid: number, replica: number): void {
    const { region, offset } = tableEntryOf(this.view.geometry, block);
    const [mn, at] = [this.view.regionMn(region, replica), this.view.tableOffset(region, replica) + offset];
    this.nodes.store(mn, at, cid, this.nodes.load(mn, at, word()).hi);
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

/** One round of a janitor. */
function* onceThrough({ loop }: Janitor): Op<void> {
  for (let batch = loop.next().value; batch !== DONE; batch = loop.next().value) yield batch;
}
