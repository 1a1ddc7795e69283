/**
 * The search for saturation: the highest offered load that keeps a bound, by bisection.
 *
 * A load is judged by repetitions, each of which keeps the bound or does not. Wald's sequential test decides,
 * between "keeps it in at most a fifth of the repetitions" and "in at least four fifths", each with an error
 * below 2 %: as soon as one kind of repetition leads by three. A load for which none does, within as many
 * repetitions as are allowed, is near the edge or too noisy: it is named as undecided, never guessed. A
 * repetition that cannot be relied on speaks for neither side, and is one of those allowed.
 */

/** What one repetition says of its load. */
export type Repetition = 'kept' | 'broken' | 'unreliable';

/** What is known of one offered load. */
export interface Judged {
  readonly offeredOps: number;
  readonly verdict: 'under' | 'over' | 'undecided';
  readonly kept: number;
  readonly broken: number;
  /** Repetitions that could not be relied on. */
  readonly unreliable: number;
}

/** What a search brought. */
export interface Saturation {
  /** The highest load that surely keeps the bound; null when none was found. */
  readonly underOps: number | null;
  /** The lowest load that surely does not; null when none was found. */
  readonly overOps: number | null;
  /** The two lie within the tolerance of each other. */
  readonly isSure: boolean;
  /** Every load that was looked at, in order. */
  readonly judged: readonly Judged[];
}

/** How to search. */
export interface SearchOptions {
  /** Where to begin, and the limits. */
  readonly fromOps: number;
  readonly leastOps: number;
  readonly mostOps: number;
  /** How close the search is to come: 0.1 means 10 %. */
  readonly tolerance: number;
  /** Repetitions of one load, at most. */
  readonly repetitionsMax: number;
}

/** So far must one kind of repetition lead: (0.2 / 0.8) ** 3 is below 0.02. */
const LEAD = 3;

/**
 * Searches. Doubles or halves from the start until the edge lies between two loads, then bisects, by ratio.
 * @param repeat runs one repetition of a load, and tells whether it kept the bound.
 */
export async function findSaturation(
  repeat: (offeredOps: number, repetition: number) => Promise<Repetition>,
  options: SearchOptions,
): Promise<Saturation> {
  const { leastOps, mostOps, tolerance } = options;
  const judged: Judged[] = [];
  const judgeAt = async (offeredOps: number): Promise<boolean> => {
    judged.push(await judge(offeredOps, repeat, options.repetitionsMax));
    return judged.at(-1)?.verdict === 'under';
  };
  let under: number | null = null;
  let above: number | null = null;
  for (let at = options.fromOps; ; ) {
    if (await judgeAt(at)) {
      under = at;
      if (at >= mostOps || above !== null) break;
      at = Math.min(mostOps, at * 2);
    } else {
      above = at;
      if (at <= leastOps || under !== null) break;
      at = Math.max(leastOps, at / 2);
    }
  }
  while (under !== null && above !== null && above / under > 1 + tolerance) {
    const middle = roundRate(Math.sqrt(under * above));
    if (await judgeAt(middle)) under = middle;
    else above = middle;
  }
  const over = judged.filter(({ verdict }) => verdict === 'over').map(({ offeredOps }) => offeredOps);
  const overOps = over.length === 0 ? null : Math.min(...over);
  const isSure = under !== null && overOps !== null && overOps / under <= 1 + tolerance;
  return { underOps: under, overOps, isSure, judged };
}

async function judge(
  offeredOps: number,
  repeat: (offeredOps: number, repetition: number) => Promise<Repetition>,
  repetitionsMax: number,
): Promise<Judged> {
  const count = { kept: 0, broken: 0, unreliable: 0 };
  for (let repetition = 0; repetition < repetitionsMax; repetition++) {
    const lead = Math.abs(count.kept - count.broken);
    // Decided, or neither kind can lead by enough any more.
    if (lead >= LEAD || lead + repetitionsMax - repetition < LEAD) break;
    count[await repeat(offeredOps, repetition)]++;
  }
  const lead = count.kept - count.broken;
  const verdict = lead >= LEAD ? 'under' : lead <= -LEAD ? 'over' : 'undecided';
  return { offeredOps, verdict, ...count };
}

/** Three digits: as exact as anybody reads. */
const roundRate = (ops: number): number => Number(ops.toPrecision(3));
