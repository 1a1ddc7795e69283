/** The explorer against an enumeration that shares nothing with it: small programs, all orders of verbs. */
import { expect, it } from 'vitest';
import { LocalMemory, VerbBatch, word } from '../../../fusee/verbs/index.js';
import { Random } from '../strategies/seeded.js';
import { explore } from './explore.js';
import { HashedNodes } from './hashed-nodes.js';
import type { Actor, BoundedWorld } from './world.js';

/** `double`: FAA of the word's own size class; `set`: a WRITE; `get`: a READ, which its program remembers. */
interface Step {
  readonly does: 'add' | 'set' | 'get';
  readonly mn: number;
  readonly value: number;
}

/** Batches of steps, for each actor. */
type Programs = readonly (readonly (readonly Step[])[])[];

/** Memory of two MNs of one word, and what each actor has found, as text. */
type End = string;

function randomPrograms(random: Random): Programs {
  const step = (): Step => ({
    does: random.pick(['add', 'set', 'get'] as const),
    mn: random.below(2),
    value: 1 + random.below(3),
  });
  const batch = (): Step[] => Array.from({ length: 1 + random.below(3) }, step);
  return Array.from({ length: 2 }, () => Array.from({ length: 1 + random.below(2) }, batch));
}

/** All ends, by trying each order in which verbs of a batch to one MN stay in order. */
function allEnds(programs: Programs): Set<End> {
  const ends = new Set<End>();
  const visit = (memory: number[], at: number[], done: boolean[][], found: string[][]): void => {
    let isEnd = true;
    programs.forEach((program, a) => {
      const batch = program[at[a]];
      batch?.forEach((step, i) => {
        const waits = batch.some((other, j) => j < i && other.mn === step.mn && !done[a][j]);
        if (done[a][i] || waits) return;
        isEnd = false;
        const nextMemory = [...memory];
        const nextFound = found.map((list) => [...list]);
        const nextDone = done.map((list) => [...list]);
        const nextAt = [...at];
        if (step.does !== 'set') nextFound[a].push(`${at[a]}.${i}=${memory[step.mn]}`);
        if (step.does === 'set') nextMemory[step.mn] = step.value;
        if (step.does === 'add') nextMemory[step.mn] += step.value;
        nextDone[a][i] = true;
        if (batch.every((_, j) => nextDone[a][j])) {
          nextAt[a]++;
          nextDone[a] = [];
        }
        visit(nextMemory, nextAt, nextDone, nextFound);
      });
    });
    if (isEnd) ends.add(endOf(memory, found));
  };
  visit(
    [0, 0],
    programs.map(() => 0),
    programs.map(() => []),
    programs.map(() => []),
  );
  return ends;
}

const endOf = (memory: readonly number[], found: readonly (readonly string[])[]): End =>
  `${memory} ${found.map((list) => [...list].sort().join())}`;

class Program implements Actor {
  readonly name: string;
  readonly found: string[] = [];
  readonly #batches: Programs[number];
  readonly #batch: VerbBatch;
  readonly #source: number;
  #at = -1;

  constructor(name: string, batches: Programs[number]) {
    this.name = name;
    this.#batches = batches;
    const local = new LocalMemory(new ArrayBuffer(4096), () => 0);
    this.#batch = new VerbBatch(local, 8);
    this.#source = local.reserve(64);
    for (let value = 0; value < 8; value++) local.words[(this.#source >>> 2) + 2 * value] = value;
  }

  next(): VerbBatch | null {
    const b = this.#batch;
    this.#batches[this.#at]?.forEach(({ does }, i) => {
      if (does !== 'set') this.found.push(`${this.#at}.${i}=${b.foundLo(i)}`);
    });
    const steps = this.#batches[++this.#at];
    if (steps === undefined) return null;
    b.reset();
    for (const { does, mn, value } of steps) {
      if (does === 'add') b.faa(mn, 0, word(0, value));
      else if (does === 'get') b.read8(mn, 0);
      else b.write(mn, 0, this.#source + 8 * value, 8);
    }
    return b;
  }
}

function exploredEnds(programs: Programs, preemptions: number, prunes: boolean): Set<End> {
  const ends = new Set<End>();
  const nodes = new HashedNodes([4096, 4096]);
  nodes.mark();
  const makeWorld = (): BoundedWorld => {
    nodes.rollback();
    const actors = programs.map((program, a) => new Program(`actor ${a}`, program));
    const wrongAtEnd = (): undefined => {
      const memory = [0, 1].map((mn) => nodes.load(mn, 0, word()).lo);
      ends.add(
        endOf(
          memory,
          actors.map(({ found }) => found),
        ),
      );
    };
    return { nodes, actors, wrongAtEnd };
  };
  expect(explore(makeWorld, { preemptions, prunes })).toMatchObject({ complete: true });
  return ends;
}

it('with enough preemptions every order is reached, and no other; pruning changes nothing', () => {
  let most = 0;
  for (let seed = 0; seed < 60; seed++) {
    const programs = randomPrograms(new Random(seed));
    const all = [...allEnds(programs)].sort();
    most = Math.max(most, all.length);
    for (const preemptions of [Number.POSITIVE_INFINITY, 12])
      expect([seed, ...[...exploredEnds(programs, preemptions, true)].sort()]).toEqual([seed, ...all]);
    for (const preemptions of [0, 1, 2])
      expect([seed, ...[...exploredEnds(programs, preemptions, true)].sort()]).toEqual([
        seed,
        ...[...exploredEnds(programs, preemptions, false)].sort(),
      ]);
  }
  expect(most).toBeGreaterThan(100);
});

it('more preemptions reach more, and two reach nearly all', () => {
  const programs = randomPrograms(new Random(7));
  const counts = [0, 1, 2, 3].map((preemptions) => exploredEnds(programs, preemptions, true).size);
  expect(counts).toEqual([...counts].sort((a, b) => a - b));
  expect(counts[0]).toBeLessThan(counts[2]);
});
