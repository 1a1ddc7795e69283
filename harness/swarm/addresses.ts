/** What the addresses and words of verbs mean, for a person: slots, objects, log entries, block tables. */
import {
  BUCKET_BYTES,
  CLIENTS_BASE,
  DIRECTORY_BASE,
  DIRECTORY_VERSION_OFFSET,
  directoryOffset,
  HEADER_BYTES,
  isKv,
  isTent,
  isTomb,
  LINE_BYTES,
  LogField,
  LogOperation,
  ownerPointer,
  type View,
} from '../../fusee/layout/index.js';
import { Field, Opcode, type VerbBatch, type Word, word } from '../../fusee/verbs/index.js';

/** An object that some WRITE of the run has brought. */
interface Named {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** A place in the data part of an MN: `pointer` is -1 in a region's block table. */
interface DataPlace {
  readonly region: number;
  readonly replica: number;
  readonly pointer: number;
}

/** Words of one READ that are told at most. */
const WORDS_MAX = 4;
const OPERATIONS = Object.entries(LogOperation);

/** What lies ahead of the index. */
function headName(remote: number): string {
  if (remote < CLIENTS_BASE) return 'the superblock';
  if (remote < DIRECTORY_BASE) return `the client table from place ${(remote - CLIENTS_BASE) / 8} on`;
  if (remote === DIRECTORY_VERSION_OFFSET) return "the directory's version";
  return `the directory from subtable ${(remote - directoryOffset(0)) / 8} on`;
}

/** What lies where in each MN's regions: the view, backwards. */
function heldRegions(view: View): number[][] {
  const { config, dataBase, regions, regionStride } = view.geometry;
  const held: number[][] = Array.from({ length: config.nodes }, () => []);
  for (let region = 0; region < regions; region++) {
    for (let r = 0; r < config.dataReplicas; r++) {
      const strip = (view.tableOffset(region, r) - dataBase) / regionStride;
      held[view.regionMn(region, r)][strip] = region * config.dataReplicas + r;
    }
  }
  return held;
}

/** Tells verbs in words; objects are numbered in the order in which they are first written. */
export class Addresses {
  readonly #view: View;
  /** Per MN, in the order in which they lie there: region x r_d + replica. */
  readonly #held: readonly number[][];
  readonly #keys: ReadonlyMap<string, number>;
  /** By pointer and checksum: the same object on its replicas, another one when the cell is used again. */
  readonly #known = new Map<string, string>();
  /** The newest last. */
  readonly #objects: Named[] = [];

  constructor(view: View, keys: readonly string[]) {
    this.#view = view;
    this.#held = heldRegions(view);
    this.#keys = new Map(keys.map((key, number) => [key, number]));
  }

  /** Verb `i` as it was executed, or its first `partBytes` bytes from `fromBytes` on. */
  tell(batch: VerbBatch, i: number, part?: { fromBytes: number; lengthBytes: number }): string {
    const opcode = batch.opcode(i);
    const mn = batch.mn(i);
    const remote = batch.remote(i);
    const name = Object.keys(Opcode)[opcode];
    if (opcode === Opcode.RPC) return `${name} MN ${mn}`;
    const lengthBytes = opcode >= Opcode.CAS ? 8 : batch.field(i, Field.LENGTH);
    const torn =
      part === undefined
        ? ''
        : ` bytes ${part.fromBytes} to ${part.fromBytes + part.lengthBytes - 1} of ${lengthBytes} (torn)`;
    const local = { bytes: batch.local.bytes, at: batch.field(i, Field.LOCAL) };
    if (opcode === Opcode.WRITE)
      return `${name} MN ${mn}:${torn} ${this.#written(mn, remote, lengthBytes, local)}`;
    const where = `${name} MN ${mn}:${torn} ${this.#placeOf(mn, remote, lengthBytes)}`;
    if (opcode === Opcode.READ) return `${where}${this.#found(remote, lengthBytes, local)}`;
    const found = batch.found(i, word());
    const expect = word(batch.field(i, Field.EXPECT_HI), batch.field(i, Field.EXPECT_LO));
    if (opcode === Opcode.FAA) return `${where} += ${expect.lo}: found ${found.lo}`;
    const swap = word(batch.field(i, Field.SWAP_HI), batch.field(i, Field.SWAP_LO));
    const change = `${this.wordName(expect)} -> ${this.wordName(swap)}`;
    const isDone = found.lo === expect.lo && found.hi === expect.hi;
    return `${where}, ${change}: ${isDone ? 'done' : `FAILS, found ${this.wordName(found)}`}`;
  }

  /** A slot's word by the object that it names. */
  wordName(w: Word): string {
    if ((w.lo | w.hi) === 0) return 'EMPTY';
    const pointer = ownerPointer(w);
    const kind = isKv(w) ? 'KV' : isTent(w) ? 'TENT' : isTomb(w) ? 'TOMB' : 'word';
    return `${kind}(${this.#objectAt(pointer)?.name ?? `object at ${pointer}`})`;
  }

  /** Where in the regions an offset of an MN lies; undefined outside of them. */
  dataPlace(mn: number, remote: number): DataPlace | undefined {
    const { geometry } = this.#view;
    const { dataReplicas, regionBytes } = geometry.config;
    const at = remote - geometry.dataBase;
    // The memory of a fresh process, before it has a place, is nobody's replica.
    if (at < 0 || remote >= geometry.nodeBytes || mn >= geometry.config.nodes) return undefined;
    const strip = Math.floor(at / geometry.regionStride);
    const region = Math.floor(this.#held[mn][strip] / dataReplicas);
    const replica = this.#held[mn][strip] % dataReplicas;
    const inRegion = at - strip * geometry.regionStride - geometry.tableBytes;
    return { region, replica, pointer: inRegion < 0 ? -1 : region * regionBytes + inRegion };
  }

  #placeOf(mn: number, remote: number, lengthBytes: number): string {
    const { geometry } = this.#view;
    if (remote < geometry.indexBase) return headName(remote);
    if (remote < geometry.dataBase) {
      const slot = remote - geometry.indexBase;
      const on = this.#replicaName(mn, slot);
      if (lengthBytes === 8) return `slot ${slot} on ${on}`;
      return `buckets ${slot / BUCKET_BYTES} to ${(slot + lengthBytes) / BUCKET_BYTES - 1} on ${on}`;
    }
    const place = this.dataPlace(mn, remote);
    if (place === undefined) return `offset ${remote}, outside of every region`;
    if (place.pointer < 0) return `block table of region ${place.region}, replica ${place.replica}`;
    const { blockBytes } = geometry.config;
    const inBlock = place.pointer % blockBytes;
    const block = place.pointer - inBlock;
    if (inBlock < geometry.cellsOffset) return `head of block ${block}, replica ${place.replica}`;
    const object = this.#objectAt(place.pointer);
    if (object === undefined) return `the cell at ${place.pointer}, replica ${place.replica}`;
    const isLog = place.pointer >= object.to + LogField.NEXT;
    return `${isLog ? 'log entry of ' : ''}object ${object.name}, replica ${place.replica}`;
  }

  #replicaName(mn: number, slot: number): string {
    const { indexReplicas } = this.#view.geometry.config;
    for (let r = 0; r < indexReplicas; r++) {
      if (this.#view.slotMn(slot, r) === mn) return r === 0 ? 'the primary' : `backup ${r}`;
    }
    return 'no replica of it';
  }

  /** What a READ of index words brought. */
  #found(remote: number, lengthBytes: number, local: { bytes: Uint8Array; at: number }): string {
    const { indexBase, dataBase } = this.#view.geometry;
    if (remote < indexBase || remote >= dataBase) return '';
    const view = new DataView(local.bytes.buffer, local.bytes.byteOffset);
    const at = (offset: number): Word =>
      word(view.getUint32(local.at + offset + 4, true), view.getUint32(local.at + offset, true));
    if (lengthBytes === 8) return `: ${this.wordName(at(0))}`;
    const words: string[] = [];
    for (let offset = 0; offset < lengthBytes; offset += 8) {
      const slot = remote - indexBase + offset;
      const w = at(offset);
      if (slot % BUCKET_BYTES !== 0 && (w.lo | w.hi) !== 0) words.push(`slot ${slot} ${this.wordName(w)}`);
    }
    if (words.length === 0) return ': all EMPTY';
    const more = words.length > WORDS_MAX ? `, and ${words.length - WORDS_MAX} more` : '';
    return `: ${words.slice(0, WORDS_MAX).join(', ')}${more}`;
  }

  #written(
    mn: number,
    remote: number,
    lengthBytes: number,
    local: { bytes: Uint8Array; at: number },
  ): string {
    const place = this.dataPlace(mn, remote);
    const isObject =
      place !== undefined && place.pointer >= 0 && remote % 8 === 0 && lengthBytes >= LINE_BYTES;
    if (!isObject) {
      const what = lengthBytes === 1 ? ', its used bit' : lengthBytes > 8 ? ', the old value: committed' : '';
      return this.#placeOf(mn, remote, lengthBytes) + what;
    }
    const name = this.#nameObject(place.pointer, lengthBytes, local);
    const view = new DataView(local.bytes.buffer, local.bytes.byteOffset + local.at, lengthBytes);
    const operation = view.getUint8(lengthBytes + LogField.OPERATION) >> 1;
    const logged = OPERATIONS.find(([, value]) => value === operation)?.[0] ?? 'no operation';
    return `object ${name} for ${logged}${this.#contentOf(local, view)}, replica ${place.replica}`;
  }

  #contentOf({ bytes, at }: { bytes: Uint8Array; at: number }, view: DataView): string {
    const keyBytes = view.getUint16(0, true);
    const valueBytes = view.getUint16(2, true);
    const from = at + HEADER_BYTES;
    const key = Buffer.from(bytes.slice(from, from + keyBytes)).toString('latin1');
    const number = this.#keys.get(key);
    // Longer values begin with their number; shorter ones are nothing but bytes.
    const isLong = valueBytes >= 4;
    const what = isLong ? view.getUint32(HEADER_BYTES + keyBytes, true) : `of ${valueBytes} bytes`;
    const value = valueBytes > 0 ? `, value ${what}` : '';
    return ` (${number === undefined ? 'a key of nobody' : `key ${number}`}${value})`;
  }

  #nameObject(
    pointer: number,
    lengthBytes: number,
    { bytes, at }: { bytes: Uint8Array; at: number },
  ): string {
    const header = Buffer.from(bytes.slice(at, at + HEADER_BYTES)).toString('hex');
    const id = `${pointer}/${header}`;
    const known = this.#known.get(id);
    const name = known ?? `o${this.#known.size + 1}`;
    this.#known.set(id, name);
    if (known === undefined) this.#objects.push({ name, from: pointer, to: pointer + lengthBytes });
    return name;
  }

  #objectAt(pointer: number): Named | undefined {
    return this.#objects.findLast(({ from, to }) => pointer >= from && pointer < to);
  }
}
