/**
 * The choices that make a schedule, as small numbers and as text: one word per choice, in order.
 *
 *     >1       actor 1 has its turn
 *     0.3      actor 0 executes verb 3 of its batch; `0.` goes on with an empty one
 *     0.3/1    ... only the first part of it, up to the second of its tear points; the rest comes later
 *     0~2      actor 0's verbs to MN 2 are late: they come when the others have nothing to do
 *     0!       actor 0's client dies; `0!3/1` with verb 3 torn
 *     0.3-     the request of RPC 3 is lost         0.3?   its answer is lost
 *     0.3+     it arrives once more, later          0.3=   it FAILs, and arrives later
 *     .        the end
 */
import { UsageError } from '../../../fusee/verbs/index.js';

/** What a choice does. Kinds from {@link ChoiceKind.TEAR} on are failures. */
export const ChoiceKind = {
  END: 0,
  TURN: 1,
  RUN: 2,
  DELAY: 3,
  TEAR: 4,
  CRASH: 5,
  LOSE_REQUEST: 6,
  LOSE_ANSWER: 7,
  DUPLICATE: 8,
  LATE: 9,
} as const;
export type ChoiceKind = (typeof ChoiceKind)[keyof typeof ChoiceKind];

/** Verb number of a turn at an empty batch. */
export const NO_VERB = 255;
/** Most actors of a run, those that come while it runs included. */
export const ACTORS_MAX = 64;
/** No tear point. */
export const WHOLE = 0;

/** Set in choices that cost one preemption. */
export const COSTS = 1 << 24;

/** A choice as a number: kind, actor, verb or MN, and 1 + the number of a tear point. */
export const choiceOf = (kind: ChoiceKind, actor: number, verb = 0, cut = WHOLE): number =>
  kind | (actor << 4) | (verb << 10) | (cut << 18);

/** What it does. */
export const kindOf = (choice: number): ChoiceKind => (choice & 15) as ChoiceKind;
/** True for what is more than an order of verbs. */
export const isFailure = (choice: number): boolean => kindOf(choice) >= ChoiceKind.TEAR;
/** Whose it is. */
export const actorOf = (choice: number): number => (choice >>> 4) & 63;
/** Number of the verb; of the MN for a DELAY. */
export const verbOf = (choice: number): number => (choice >>> 10) & 255;
/** 1 + the number of the tear point, or {@link WHOLE}. */
export const cutOf = (choice: number): number => (choice >>> 18) & 7;

const SUFFIXES: Readonly<Record<string, ChoiceKind>> = {
  '-': ChoiceKind.LOSE_REQUEST,
  '?': ChoiceKind.LOSE_ANSWER,
  '+': ChoiceKind.DUPLICATE,
  '=': ChoiceKind.LATE,
};

/** A schedule's text. */
export const formatChoices = (choices: readonly number[]): string => choices.map(formatChoice).join(' ');

function formatChoice(choice: number): string {
  const kind = kindOf(choice);
  const actor = actorOf(choice);
  const verb = verbOf(choice) === NO_VERB ? '' : String(verbOf(choice));
  const cut = cutOf(choice) === WHOLE ? '' : `/${cutOf(choice) - 1}`;
  switch (kind) {
    case ChoiceKind.END:
      return '.';
    case ChoiceKind.TURN:
      return `>${actor}`;
    case ChoiceKind.DELAY:
      return `${actor}~${verb}`;
    case ChoiceKind.CRASH:
      return cut === '' ? `${actor}!` : `${actor}!${verb}${cut}`;
    default: {
      const suffix = Object.keys(SUFFIXES).find((s) => SUFFIXES[s] === kind) ?? '';
      return `${actor}.${verb}${cut}${suffix}`;
    }
  }
}

/** @throws UsageError naming the word that is no choice. */
export const parseChoices = (text: string): number[] => text.split(/\s+/).filter(Boolean).map(parseChoice);

function parseChoice(text: string): number {
  if (text === '.') return choiceOf(ChoiceKind.END, 0);
  const match = /^(?:>(\d+)|(\d+)~(\d+)|(\d+)!(?:(\d+)\/(\d))?|(\d+)\.(\d*)(?:\/(\d))?([-?+=]?))$/.exec(text);
  if (match === null)
    throw new UsageError(
      `"${text}" is no choice; use >1, 0.3, 0.3/1, 0~2, 0!, 0!3/1, 0.3- 0.3? 0.3+ 0.3= or .`,
    );
  const [, turn, late, mn, dead, deadVerb, deadCut, actor, verb, cut, suffix] = match;
  if (turn !== undefined) return choiceOf(ChoiceKind.TURN, Number(turn));
  if (late !== undefined) return choiceOf(ChoiceKind.DELAY, Number(late), Number(mn));
  if (dead !== undefined) {
    const part = deadCut === undefined ? WHOLE : 1 + Number(deadCut);
    return choiceOf(ChoiceKind.CRASH, Number(dead), Number(deadVerb ?? 0), part);
  }
  const which = verb === '' ? NO_VERB : Number(verb);
  if (cut !== undefined) return choiceOf(ChoiceKind.TEAR, Number(actor), which, 1 + Number(cut));
  return choiceOf(SUFFIXES[suffix] ?? ChoiceKind.RUN, Number(actor), which);
}
