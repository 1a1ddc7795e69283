/**
 * The smallest pool a scenario can live in: one subtable of two groups, keys that share their candidate
 * slots, and all candidates but the scenario's taken by words of nobody.
 *
 * Rules of this file: objects take one line, lie in region 0, and block c of it belongs to client c, so that
 * the order of blocks is the order of the clients' pointers. The blocks are there from the start: nothing
 * allocates.
 */
import { crc32cOver } from '../../../fusee/fabric/crc32c.js';
import type { MemoryNodes } from '../../../fusee/fabric/memory-nodes.js';
import { CANDIDATES, candidateSlot, keyMemory, keyPlace, locateKey } from '../../../fusee/index/index.js';
import {
  BUCKET_SLOTS,
  Geometry,
  HEADER_BYTES,
  LINE_BYTES,
  LogField,
  LogOperation,
  makeSlot,
  type PoolConfig,
  stageOldValue,
  View,
} from '../../../fusee/layout/index.js';
import { makeNodes } from '../../../fusee/node/in-process.js';
import { UsageError, type Word, word } from '../../../fusee/verbs/index.js';
import { initialValue, MAX_CLIENTS, MAX_KEYS, type Scenario } from './scenario.js';

const BLOCK_BYTES = 1024;
/** Block of the objects that are there from the start. */
const INITIAL_BLOCK = MAX_CLIENTS;

interface Key {
  readonly bytes: Uint8Array;
  readonly fingerprint: number;
}

/** Geometry, keys and first contents of a scenario's pool. */
export class TinyPool {
  readonly scenario: Scenario;
  readonly config: PoolConfig;
  readonly view: View;
  readonly keys: readonly Key[];
  /** Logical index offset of each candidate slot of the scenario, ascending. */
  readonly slotOffsets: readonly number[];
  /** Words of the scenario's slots at the start. */
  readonly initialWords: readonly Word[];
  /** Lines of a block that hold cells. */
  readonly cellsPerBlock: number;
  /** The MN that may die with a master there to mend it, or -1. */
  readonly dyingMn: number;
  /** The view in which it is dead; the first one when none may die. */
  readonly viewAfter: View;
  readonly #fillers: readonly { offset: number; word: Word }[];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.config = {
      poolId: 1,
      nodes: Math.max(2, scenario.replicas, scenario.dataReplicas),
      indexReplicas: scenario.replicas,
      dataReplicas: scenario.dataReplicas,
      regionBytes: 8 * BLOCK_BYTES,
      blockBytes: BLOCK_BYTES,
      subtables: 1,
      subtablesMax: 1,
      groupsPerSubtable: 2,
      regionsPerNode: 1,
    };
    const geometry = new Geometry(this.config);
    this.view = new View(geometry);
    this.cellsPerBlock = geometry.cellsPerBlock(0);
    this.keys = chooseKeys(scenario.sharesFingerprint);
    const place = placeOf(this.keys[0].bytes);
    // The main bucket of the first choice: an INSERT looks there first, and may take any of its free slots.
    const first = place.mainLast[0] * BUCKET_SLOTS;
    this.slotOffsets = scenario.slots.map((_, i) => candidateSlot(place, first + i));
    this.initialWords = scenario.slots.map((key) =>
      key < 0 ? word() : makeSlot(word(), this.initialPointer(key), 1, this.keys[key].fingerprint),
    );
    const strange = unusedFingerprint(this.keys);
    const fillers: { offset: number; word: Word }[] = [];
    for (let i = 0; i < CANDIDATES; i++) {
      if (i >= first && i < first + scenario.slots.length) continue;
      const filler = makeSlot(word(), (1 << 20) + i * LINE_BYTES, 1, strange);
      fillers.push({ offset: candidateSlot(place, i), word: filler });
    }
    this.#fillers = fillers;
    this.dyingMn = this.#findDying();
    this.viewAfter = this.viewWithout(this.dyingMn);
  }

  #findDying(): number {
    const { dying, replicas } = this.scenario;
    if (dying < replicas) return dying < 0 ? -1 : this.view.slotMn(this.slotOffsets[0], dying);
    const held = Array.from({ length: replicas }, (_, r) => this.view.slotMn(this.slotOffsets[0], r));
    for (let r = 0; r < this.config.dataReplicas; r++)
      if (!held.includes(this.view.dataMn(0, r))) return this.view.dataMn(0, r);
    throw new UsageError(
      `no MN holds replica ${dying} of ${replicas}, or objects only; use a lower one, or more data replicas`,
    );
  }

  /** A view for a client: the one that follows when node `mn` has died; without, the first one. */
  viewWithout(mn = -1): View {
    const view = new View(this.view.geometry, this.view);
    if (mn >= 0) view.change(2, [mn]);
    return view;
  }

  /** First byte of the block whose cells client `client` uses. */
  blockOf(client: number): number {
    const last = this.scenario.programs.length - 1;
    return (this.scenario.isReversed ? last - client : client) * BLOCK_BYTES;
  }

  /**
   * Which client's cell, and which of its cells, `pointer` names; client {@link MAX_CLIENTS}: there from the
   * start.
   */
  cellAt(pointer: number): { client: number; cell: number } {
    const block = Math.floor(pointer / BLOCK_BYTES);
    const cell = (pointer % BLOCK_BYTES) / LINE_BYTES - this.view.geometry.cellsOffset / LINE_BYTES;
    const last = this.scenario.programs.length - 1;
    if (block >= INITIAL_BLOCK) return { client: MAX_CLIENTS, cell };
    return { client: this.scenario.isReversed ? last - block : block, cell };
  }

  /**
   * The pointer that replica `replica` of region 0 keeps at `offset` of its MN; negative outside the region.
   */
  pointerAt(mn: number, offset: number): { pointer: number; replica: number } {
    for (let r = 0; r < this.config.dataReplicas; r++) {
      const pointer = offset - this.view.dataOffset(0, r);
      if (this.view.dataMn(0, r) === mn && pointer >= 0 && pointer < this.config.regionBytes)
        return { pointer, replica: r };
    }
    return { pointer: -1, replica: -1 };
  }

  /** The pointer of a cell's line; the inverse of {@link cellAt}. */
  pointerOf({ owner, place }: { owner: number; place: number }): number {
    const block = owner >= MAX_CLIENTS ? INITIAL_BLOCK * BLOCK_BYTES : this.blockOf(owner);
    return block + this.view.geometry.cellsOffset + Math.floor(place / this.config.dataReplicas) * LINE_BYTES;
  }

  initialPointer(key: number): number {
    return INITIAL_BLOCK * BLOCK_BYTES + this.view.geometry.cellsOffset + key * LINE_BYTES;
  }

  /** The object that holds a key's first value: whole, and its INSERT finished. */
  initialObject(key: number): Uint8Array {
    const buffer = new ArrayBuffer(LINE_BYTES);
    const bytes = new Uint8Array(buffer);
    const words = new Uint32Array(buffer);
    const keyBytes = this.keys[key].bytes;
    bytes.set(keyBytes, HEADER_BYTES);
    bytes[HEADER_BYTES + keyBytes.length] = initialValue(key);
    words[0] = keyBytes.length | (1 << 16);
    words[1] = crc32cOver(buffer)(HEADER_BYTES, keyBytes.length + 1, words[0]);
    stageOldValue(bytes, LINE_BYTES, word());
    bytes[LINE_BYTES + LogField.OPERATION] = (LogOperation.INSERT << 1) | 1;
    return bytes;
  }

  /** Real memory nodes with the scenario's first contents. */
  makeNodes(): MemoryNodes {
    const nodes = makeNodes(this.config);
    const { view } = this;
    const put = (offset: number, w: Word): void => {
      for (let r = 0; r < this.config.indexReplicas; r++)
        nodes.store(view.slotMn(offset, r), view.slotOffset(offset), w.lo, w.hi);
    };
    for (const filler of this.#fillers) put(filler.offset, filler.word);
    this.slotOffsets.forEach((offset, i) => {
      put(offset, this.initialWords[i]);
    });
    for (const key of this.scenario.slots) {
      if (key < 0) continue;
      for (let r = 0; r < this.config.dataReplicas; r++) {
        const pointer = this.initialPointer(key);
        nodes.write(
          view.dataMn(pointer, r),
          view.dataOffset(pointer, r),
          this.initialObject(key),
          0,
          LINE_BYTES,
        );
      }
    }
    return nodes;
  }
}

function placeOf(bytes: Uint8Array): ReturnType<typeof keyPlace> {
  const place = keyPlace({ subtables: 1, groups: 2 });
  locateKey(place, keyMemory(bytes), 0, bytes.length);
  return place;
}

const chosen = new Map<boolean, Key[]>();

/** Keys of two letters with the same candidates: by different fingerprints, or all by the same one. */
function chooseKeys(sharesFingerprint: boolean): Key[] {
  const before = chosen.get(sharesFingerprint);
  if (before !== undefined) return before;
  const groups = new Map<string, Key[]>();
  for (let n = 0; n < 26 ** 3; n++) {
    const bytes = Uint8Array.of(97 + (n % 26), 97 + (Math.floor(n / 26) % 26), 97 + Math.floor(n / 676));
    const place = placeOf(bytes);
    const { fingerprint } = place;
    const group = `${place.combined}/${place.mainLast}/${sharesFingerprint ? fingerprint : ''}`;
    const keys = groups.get(group) ?? [];
    groups.set(group, keys);
    if (sharesFingerprint || keys.every((k) => k.fingerprint !== fingerprint))
      keys.push({ bytes, fingerprint });
    if (keys.length === MAX_KEYS) {
      chosen.set(sharesFingerprint, keys);
      return keys;
    }
  }
  throw new Error('no keys of three letters share their candidates');
}

function unusedFingerprint(keys: readonly Key[]): number {
  for (let f = 1; ; f++) if (keys.every((k) => k.fingerprint !== f)) return f;
}
