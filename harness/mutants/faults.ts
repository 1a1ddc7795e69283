/** The seeded faults as mutants: each hazard that our code avoids, walked into. */
import { insertFaults } from './faults/insert.js';
import { recoveryFaults } from './faults/recovery.js';
import { replaceFaults } from './faults/replace.js';
import { snapshotFaults } from './faults/snapshot.js';
import { editOnce, lineAt, type Mutant } from './mutant.js';

/** A fault by hand: snippets of one file that each occur once, and what stands there in their place. */
export interface Fault {
  /** The hazard's or control's number, and a word. */
  readonly id: string;
  readonly file: string;
  readonly breaks: string;
  readonly edits: readonly (readonly [find: string, replacement: string])[];
}

/** All seeded faults. */
export const FAULTS: readonly Fault[] = [
  ...snapshotFaults,
  ...insertFaults,
  ...replaceFaults,
  ...recoveryFaults,
];

/**
 * The faults as mutants of the sources that `textOf` gives.
 * @throws UsageError when a snippet is no longer there, or stands there twice.
 */
export function seededFaults(textOf: (file: string) => string): Mutant[] {
  return FAULTS.map(({ id, file, breaks, edits }) => {
    const text = textOf(file);
    const placed = edits
      .map(([find, replacement]) => editOnce(file, text, find, replacement))
      .sort((a, b) => a.start - b.start);
    return { id, file, line: lineAt(text, placed[0].start), operator: 'seeded', told: breaks, edits: placed };
  });
}
