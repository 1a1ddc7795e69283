/**
 * The hazards as lines of `fusee verify --exhaustive`: each naive way is explored until it fails, and ours to
 * the end, so that a clean line also says that the explorer would have seen the harm.
 */
import { BOUNDED_HAZARDS, type BoundedHazard } from './bounded/hazards.js';
import { explore as exploreBounded } from './bounded/index.js';
import { explore, story } from './find.js';
import { HAZARDS, type Hazard } from './hazards.js';
import { markdownTable } from './markdown-table.js';
import { makeScenario } from './scenario/scenario.js';

/** One hazard, explored both ways. */
export interface HazardRow {
  readonly hazard: string;
  /** The ways that leave a rule out, and of each what was found; none where only ours is explored. */
  readonly naive: readonly { readonly name: string; readonly states: number; readonly isFound: boolean }[];
  readonly states: number;
  readonly milliseconds: number;
  /** What is wrong with ours, told verb by verb; or that it was not explored to the end. */
  readonly violations: readonly string[];
  /** Every naive way was found to fail, and ours is clean. */
  readonly isHeld: boolean;
}

/** Hazards of crashes: the short table has these. */
const SHORT = /^H(7|8|10|15|17|18):/;

/**
 * Explores the hazards.
 * @param options.short those of crashes only: seconds.
 * @param options.hazards others in place of all.
 * @param options.onRow called after each.
 */
export function runHazards(
  options: {
    short?: boolean;
    hazards?: readonly (Hazard | BoundedHazard)[];
    onRow?: (row: HazardRow) => void;
  } = {},
): HazardRow[] {
  const all = options.hazards ?? [...HAZARDS, ...BOUNDED_HAZARDS];
  return all
    .filter(({ name }) => options.short !== true || SHORT.test(name))
    .map((hazard) => {
      const row = 'bounds' in hazard ? ofMemory(hazard) : ofRequests(hazard);
      options.onRow?.(row);
      return row;
    });
}

function ofRequests({ name, slots, mix, options, naive, naiveOptions, says, ours }: Hazard): HazardRow {
  const broken = explore(makeScenario(slots, mix, { ...options, ...naiveOptions, variant: naive }));
  const whole = explore(makeScenario(slots, mix, { ...options, variant: ours }));
  const isFound = says.test(broken.violation?.message ?? '');
  return rowOf(name, [{ name: naive.name, states: broken.states, isFound }], {
    states: whole.states,
    milliseconds: broken.milliseconds + whole.milliseconds,
    isPartial: whole.isPartial,
    told: story(whole),
  });
}

function ofMemory({ name, bounds, ours, naive }: BoundedHazard): HazardRow {
  let milliseconds = 0;
  const ways = naive.map(({ name, makeWorld, says }) => {
    const found = exploreBounded(makeWorld, bounds);
    milliseconds += found.milliseconds;
    return { name, states: found.states, isFound: says.test(found.failure?.message ?? '') };
  });
  const whole = exploreBounded(ours, bounds);
  return rowOf(name, ways, {
    states: whole.states,
    milliseconds: milliseconds + whole.milliseconds,
    isPartial: !whole.complete,
    told: whole.failure?.told.join('\n'),
  });
}

function rowOf(
  hazard: string,
  naive: HazardRow['naive'],
  whole: { states: number; milliseconds: number; isPartial: boolean; told: string | undefined },
): HazardRow {
  const { states, milliseconds, isPartial, told } = whole;
  const partial = isPartial ? [`${hazard}: not explored to the end`] : [];
  const violations = told === undefined ? partial : [told];
  const isHeld = violations.length === 0 && naive.every(({ isFound }) => isFound);
  return { hazard, naive, states, milliseconds, violations, isHeld };
}

const HEADINGS = ['hazard', 'naive way', 'there', 'states', 'ours', 'states', 'time'];

/** The rows as a Markdown table. */
export function hazardTable(rows: readonly HazardRow[]): string {
  const cells = rows.map(({ hazard, naive, states, milliseconds, violations }) => [
    hazard,
    naive.map(({ name }) => name).join('; ') || '(none)',
    naive.map(({ isFound }) => (isFound ? 'found' : 'NOT FOUND')).join('; ') || '-',
    naive.map((way) => String(way.states)).join('; ') || '-',
    violations.length > 0 ? `${violations.length} VIOLATIONS` : 'clean',
    String(states),
    `${(milliseconds / 1000).toFixed(1)} s`,
  ]);
  return markdownTable(HEADINGS, cells).join('\n');
}
