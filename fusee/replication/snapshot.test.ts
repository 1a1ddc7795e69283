import { describe, expect, it } from 'vitest';
import { executeVerb } from '../fabric/execute-verb.js';
import { MemoryFabric } from '../fabric/memory.js';
import { MemoryNodes } from '../fabric/memory-nodes.js';
import { makeSlot, readOldValue } from '../layout/index.js';
import { CorruptionError, Ledger, Opcode, Stage, VerbBatch, type Word, word } from '../verbs/index.js';
import { Verdict } from './rules.js';
import { commitLoop, proposeLoop, SlotWrite } from './snapshot.js';

const SLOT = 4096;
const BUCKETS = 3968;
const LOG_END = 8192;
const DATA = 10;
const OLD = makeSlot(word(), 2 ** 20, 3, 7);
const values = [
  makeSlot(word(), 2 ** 21, 1, 7),
  makeSlot(word(), 2 ** 33, 1, 7),
  makeSlot(word(), 2 ** 34, 1, 7),
];

/** One slot whose replica r is on MN r; objects of writer i end on MNs 10, 11, ... */
function slotOf(replicas: number, writers: number, dataReplicas = 2) {
  const nodes = new MemoryNodes(new Array(DATA + 3).fill(1 << 16));
  for (let r = 0; r < replicas; r++) nodes.store(r, SLOT, OLD.lo, OLD.hi);
  const at = (mn: number): Word => nodes.load(mn, SLOT, word());
  return {
    nodes,
    at,
    all: (): Word[] => Array.from({ length: replicas }, (_, r) => at(r)),
    writers: Array.from({ length: writers }, (_, i) => new Writer(nodes, { i, replicas, dataReplicas })),
  };
}

/** One client's slot write, moved by hand: verb by verb or batch by batch. */
class Writer {
  readonly write: SlotWrite;
  readonly ledger = new Ledger();
  readonly #nodes: MemoryNodes;
  readonly #propose: Stage;
  readonly #commit: Stage;
  #running: Stage;
  batch: VerbBatch | undefined;

  constructor(nodes: MemoryNodes, options: { i: number; replicas: number; dataReplicas: number }) {
    const { local } = new MemoryFabric(nodes);
    this.#nodes = nodes;
    const w = new SlotWrite(new VerbBatch(local, 32));
    this.write = w;
    w.slot.count = options.replicas;
    for (let r = 0; r < options.replicas; r++) {
      w.slot.mn[r] = r;
      w.slot.offsetBytes[r] = SLOT;
    }
    w.objectEnd.count = options.dataReplicas;
    for (let r = 0; r < options.dataReplicas; r++) {
      w.objectEnd.mn[r] = DATA + r;
      w.objectEnd.offsetBytes[r] = LOG_END + 128 * options.i + 64 * r;
    }
    w.stagedEnd = local.reserve(128) + 128;
    w.bucketsLocal = local.reserve(256);
    w.bucketOffsets.set([BUCKETS, BUCKETS + 192]);
    Object.assign(w.vOld, OLD);
    Object.assign(w.vNew, values[options.i]);
    this.#propose = new Stage(proposeLoop(w));
    this.#commit = new Stage(commitLoop(w));
    this.#running = this.#propose;
  }

  propose(): this {
    this.#running = this.#propose;
    return this.#next();
  }

  commit(): this {
    this.#running = this.#commit;
    return this.#next();
  }

  /** Executes the given verbs of the batch only, or all of them, without telling the writer yet. */
  execute(verbs?: number[]): this {
    const b = this.batch as VerbBatch;
    for (const i of verbs ?? Array.from({ length: b.count }, (_, n) => n)) executeVerb(this.#nodes, b, i);
    return this;
  }

  /** Hands the executed batch back. */
  answer(): this {
    this.ledger.add(this.batch as VerbBatch);
    return this.#next();
  }

  step(): this {
    return this.execute().answer();
  }

  /** Runs the stage to its end. */
  finish(): this {
    for (let left = 50; this.batch !== undefined && left > 0; left--) this.step();
    expect(this.batch).toBeUndefined();
    return this;
  }

  #next(): this {
    const step = this.#running.next();
    this.batch = step.done ? undefined : step.value;
    return this;
  }
}

const costs = ({ ledger }: Writer): object => ({
  rtts: ledger.rtts,
  polls: ledger.polls,
  verbs: ledger.verbs,
  casFailures: ledger.casFailures,
});

describe.each([2, 3, 4])('a writer alone on a slot of %i replicas', (replicas) => {
  it.each([1, 2, 3])('wins by Rule 1 in one round trip, and commits in two with %i logs', (dataReplicas) => {
    const slot = slotOf(replicas, 1, dataReplicas);
    const [a] = slot.writers;
    a.propose().finish();
    expect(a.write.verdict).toBe(Verdict.RULE_1);
    expect(costs(a)).toEqual({ rtts: 1, polls: 0, verbs: replicas - 1, casFailures: 0 });
    expect(slot.all()).toEqual([OLD, ...new Array(replicas - 1).fill(values[0])]);

    a.commit();
    expect(a.batch?.count).toBe(dataReplicas);
    a.execute();
    // The log is on every data replica while the primary still has the old value.
    const log = new Uint8Array(64);
    for (let r = 0; r < dataReplicas; r++) {
      slot.nodes.read(DATA + r, LOG_END + 64 * r - 64, log, 0, 64);
      const old = word();
      expect([readOldValue(log, 64, old), old]).toEqual([true, OLD]);
      expect(log.filter((byte, i) => (i < 54 || i > 62) && byte !== 0)).toEqual(new Uint8Array());
    }
    expect(slot.at(0)).toEqual(OLD);
    a.answer();
    expect([a.batch?.count, a.batch?.opcode(0), a.batch?.mn(0)]).toEqual([1, Opcode.CAS, 0]);
    a.finish();
    expect(a.write.verdict).toBe(Verdict.RULE_1);
    expect(slot.all()).toEqual(new Array(replicas).fill(values[0]));
    expect(costs(a)).toEqual({ rtts: 3, polls: 0, verbs: replicas + dataReplicas, casFailures: 0 });
    expect(a.ledger.bytes).toBe(8 * replicas + 9 * dataReplicas);
  });

  it('fails when any backup is silent, and leaves the primary alone', () => {
    for (let dead = 1; dead < replicas; dead++) {
      const slot = slotOf(replicas, 1);
      slot.nodes.kill(dead);
      slot.writers[0].propose().finish();
      expect(slot.writers[0].write.verdict).toBe(Verdict.FAIL);
      expect(slot.at(0)).toEqual(OLD);
    }
  });

  it('fails in its commit when a log or the primary is silent; the primary moves after every log', () => {
    for (const dead of [DATA, DATA + 1, 0]) {
      const slot = slotOf(replicas, 1);
      const [a] = slot.writers;
      a.propose().finish();
      slot.nodes.kill(dead);
      a.commit().finish();
      expect(a.write.verdict).toBe(Verdict.FAIL);
      expect(a.ledger.rtts).toBe(dead === 0 ? 3 : 2);
      expect(slot.at(0)).toEqual(OLD);
    }
  });

  it('that finds all backups taken loses, polls the primary until it changes, and tells what won', () => {
    const slot = slotOf(replicas, 2);
    const [a, b] = slot.writers;
    a.propose().finish();
    b.propose().step().step().step();
    expect(b.batch?.isPoll).toBe(true);
    a.commit().step();
    b.step();
    expect(b.batch?.isPoll).toBe(true);
    a.step();
    b.step();
    expect(b.batch).toBeUndefined();
    expect([b.write.verdict, b.write.lost]).toEqual([Verdict.LOSE, values[0]]);
    expect(costs(b)).toEqual({ rtts: 1, polls: 4, verbs: replicas - 1 + 4, casFailures: replicas - 1 });
    expect(slot.all()).toEqual(new Array(replicas).fill(values[0]));
  });

  it('that loses gives up at its deadline while the winner is silent, but not when it shows', () => {
    const slot = slotOf(replicas, 2);
    const [a, b] = slot.writers;
    a.propose().finish();
    b.propose().step().step();
    b.write.expired = true;
    b.step();
    expect([b.batch, b.write.verdict]).toEqual([undefined, Verdict.EXPIRED]);

    const other = slotOf(replicas, 2);
    const [c, d] = other.writers;
    c.propose().finish();
    d.propose().step();
    d.write.expired = true;
    c.commit().finish();
    d.step();
    expect([d.batch, d.write.verdict, d.write.lost]).toEqual([undefined, Verdict.LOSE, values[0]]);
  });

  it('that loses fails when the primary falls silent', () => {
    const slot = slotOf(replicas, 2);
    const [a, b] = slot.writers;
    a.propose().finish();
    b.propose().step();
    slot.nodes.kill(0);
    b.step();
    expect([b.batch, b.write.verdict]).toEqual([undefined, Verdict.FAIL]);
  });
});

describe('three backups, two writers', () => {
  it.each([
    [[0, 1], [2]],
    [[0, 2], [1]],
    [[1, 2], [0]],
  ])('the one with backups %j wins by Rule 2 in two round trips; the one with %j loses', (most, least) => {
    const slot = slotOf(4, 2);
    // The winner has the larger pointer: a majority needs no comparison.
    const [b, a] = slot.writers;
    a.propose().execute(most);
    b.propose().execute(least);
    a.execute(least).answer();
    b.execute(most).answer();
    // The fix repairs exactly what is not the winner's, expecting what it saw there.
    expect(a.batch?.count).toBe(least.length);
    expect(a.batch?.mn(0)).toBe(least[0] + 1);
    a.finish();
    expect(a.write.verdict).toBe(Verdict.RULE_2);
    expect(slot.all()).toEqual([OLD, values[1], values[1], values[1]]);
    expect(costs(a)).toEqual({ rtts: 2, polls: 0, verbs: 4, casFailures: 1 });
    a.commit().finish();
    b.finish();
    expect([b.write.verdict, b.write.lost]).toEqual([Verdict.LOSE, values[1]]);
    expect(costs(b)).toEqual({ rtts: 1, polls: 1, verbs: 4, casFailures: 2 });
  });

  it('a fix that finds another word than the vote is corruption, and names the place and both words', () => {
    const slot = slotOf(4, 2);
    const [a, b] = slot.writers;
    a.propose().execute([0, 2]);
    b.propose().execute([1]);
    a.execute([1]).answer();
    slot.nodes.store(2, SLOT, 0x42, 0);
    const fix = (): unknown => a.finish();
    expect(fix).toThrow(CorruptionError);
  });
});

describe('two backups, one each', () => {
  /** A, with the lesser pointer, has backup `aHas`; B the other. */
  function tied(aHas: number) {
    const slot = slotOf(3, 2);
    const [a, b] = slot.writers;
    a.propose().execute([aHas]);
    b.propose().execute([1 - aHas]);
    a.execute([1 - aHas]).answer();
    b.execute([aHas]).answer();
    return { slot, a, b };
  }

  it.each([0, 1])('the lesser pointer wins by Rule 3 in three round trips, having backup %i', (aHas) => {
    const { slot, a, b } = tied(aHas);
    for (const w of [a, b]) expect([w.batch?.count, w.batch?.mn(0), w.batch?.isPoll]).toEqual([1, 0, false]);
    b.step();
    expect(b.batch?.isPoll).toBe(true);
    a.step().step();
    expect([a.batch, a.write.verdict]).toEqual([undefined, Verdict.RULE_3]);
    expect(slot.all()).toEqual([OLD, values[0], values[0]]);
    expect(costs(a)).toEqual({ rtts: 3, polls: 0, verbs: 4, casFailures: 1 });
    a.commit().finish();
    b.finish();
    expect([b.write.verdict, b.write.lost]).toEqual([Verdict.LOSE, values[0]]);
    expect(costs(b)).toEqual({ rtts: 2, polls: 1, verbs: 4, casFailures: 1 });
  });

  it('a tie whose primary has changed is over: FINISH, without a poll, for the lesser pointer too', () => {
    const { slot, a, b } = tied(0);
    // Somebody has won this round: only the changed primary tells, the votes still say "mine is least".
    const winner = values[2];
    slot.nodes.store(0, SLOT, winner.lo, winner.hi);
    for (const w of [a, b]) {
      w.finish();
      expect([w.write.verdict, w.write.lost]).toEqual([Verdict.FINISH, winner]);
      expect(costs(w)).toEqual({ rtts: 2, polls: 0, verbs: 3, casFailures: 1 });
    }
    expect(slot.at(1)).toEqual(values[0]);
  });

  it('a tie whose primary is silent fails', () => {
    const { slot, a } = tied(0);
    slot.nodes.kill(0);
    a.finish();
    expect(a.write.verdict).toBe(Verdict.FAIL);
    expect(a.ledger.rtts).toBe(2);
  });

  it('a fix that meets a silent backup fails', () => {
    const { slot, a } = tied(0);
    a.step();
    slot.nodes.kill(2);
    a.finish();
    expect([a.write.verdict, slot.at(0)]).toEqual([Verdict.FAIL, OLD]);
  });

  it('three writers: the one without a vote loses at once', () => {
    const slot = slotOf(3, 3);
    const [a, b, c] = slot.writers;
    a.propose().execute([0]);
    b.propose().execute([1]);
    c.propose().step();
    expect(c.batch?.isPoll).toBe(true);
    a.execute([1]).answer().finish();
    a.commit().finish();
    b.execute([0]).answer().finish();
    c.finish();
    expect([a, b, c].map((w) => w.write.verdict)).toEqual([Verdict.RULE_3, Verdict.FINISH, Verdict.LOSE]);
    expect(slot.all()).toEqual(new Array(3).fill(values[0]));
  });
});

describe('the duplicate check of an INSERT', () => {
  const marks = (nodes: MemoryNodes, mn: number, n: number): void => {
    nodes.store(mn, BUCKETS, n, 0);
    nodes.store(mn, BUCKETS + 192 + 120, n + 1, 0);
  };
  const seen = (w: Writer): number[] => {
    const at = w.write.bucketsLocal >>> 2;
    return [w.write.local.words[at], w.write.local.words[at + 62]];
  };

  it('reads both buckets on the first backup, behind the CAS to it, in the same batch', () => {
    const slot = slotOf(4, 1);
    const [a] = slot.writers;
    marks(slot.nodes, 1, 50);
    a.write.checksDuplicates = true;
    a.propose();
    const b = a.batch as VerbBatch;
    const verbs = Array.from({ length: b.count }, (_, i) => [b.opcode(i), b.mn(i), b.remote(i)]);
    expect(verbs).toEqual([
      [Opcode.CAS, 1, SLOT],
      [Opcode.CAS, 2, SLOT],
      [Opcode.CAS, 3, SLOT],
      [Opcode.READ, 1, BUCKETS],
      [Opcode.READ, 1, BUCKETS + 192],
    ]);
    a.finish();
    expect(a.write.verdict).toBe(Verdict.RULE_1);
    expect(seen(a)).toEqual([50, 51]);
    expect([a.ledger.rtts, a.ledger.bytes]).toEqual([1, 24 + 256]);
  });

  it("is repeated behind the fix when the first backup was another writer's, and only then", () => {
    for (const firstIsMine of [true, false]) {
      const slot = slotOf(3, 2);
      const [a, b] = slot.writers;
      marks(slot.nodes, 1, 50);
      a.write.checksDuplicates = true;
      const mine = firstIsMine ? 0 : 1;
      a.propose().execute([mine]);
      b.propose().execute([1 - mine]);
      a.execute([0, 1, 2, 3]).answer().step();
      marks(slot.nodes, 1, 60);
      const fix = a.batch as VerbBatch;
      const opcodes = Array.from({ length: fix.count }, (_, i) => [fix.opcode(i), fix.mn(i)]);
      const reads = firstIsMine
        ? []
        : [
            [Opcode.READ, 1],
            [Opcode.READ, 1],
          ];
      expect(opcodes).toEqual([[Opcode.CAS, firstIsMine ? 2 : 1], ...reads]);
      a.finish();
      expect(a.write.verdict).toBe(Verdict.RULE_3);
      expect(seen(a)).toEqual(firstIsMine ? [50, 51] : [60, 61]);
    }
  });
});

it('the last writer whose CAS of the primary fails stops, and the message says where and why', () => {
  const slot = slotOf(2, 1);
  const [a] = slot.writers;
  a.propose().finish();
  slot.nodes.store(0, SLOT, 0xabc, 0);
  const finish = (): unknown => a.commit().finish();
  expect(finish).toThrow(CorruptionError);
  const again = slotOf(2, 1);
  again.writers[0].propose().finish();
  again.nodes.store(0, SLOT, 0xabc, 0);
  expect(() => again.writers[0].commit().finish()).toThrow(
    /the last writer's CAS of the primary on node 0 at 4096 failed: expected 10:00000307, found abc/,
  );
});
