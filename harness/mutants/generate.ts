/** Draws mutants: the same seed and sources give the same ones. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { digest, lineAt, type Mutant } from './mutant.js';
import { OPERATORS, resultTables, type Site, sitesOf } from './operators.js';

/** Where the generator draws from. */
export const GENERATED_FOLDERS: readonly string[] = ['fusee/replication', 'fusee/ops', 'fusee/index'];

/** Files of a folder that a client runs: no tests, and nothing that only tests use. */
function productFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.ts') && !/(\.test|^by-hand|^index)\.ts$/.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/** Every mutant that the operators can make of the sources under `root`. */
export function allMutants(root: string): Mutant[] {
  const files = GENERATED_FOLDERS.flatMap((folder) => productFiles(root, folder));
  const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
  const tables = resultTables(texts.values());
  return files.flatMap((file) => mutantsOf(file, texts.get(file)!, sitesOf(texts.get(file)!, tables)));
}

/** The sites of one file as mutants. Those that look alike are told apart by their order. */
export function mutantsOf(file: string, text: string, sites: readonly Site[]): Mutant[] {
  const alike = new Map<string, number>();
  return sites.map(({ operator, edits }) => {
    const { start, end } = edits[0];
    const before = text.slice(start, end);
    const from = text.lastIndexOf('\n', start - 1) + 1;
    const context = text.slice(from, text.indexOf('\n', end)).trim();
    const shape = digest(file, operator, context, before, ...edits.map((edit) => edit.text));
    const count = alike.get(shape) ?? 0;
    alike.set(shape, count + 1);
    const id = `${operator.replace(/ .*/, '')}-${digest(shape, count).slice(0, 8)}`;
    return {
      id,
      file,
      line: lineAt(text, start),
      operator,
      told: tell(context, before, edits[0].text),
      edits,
    };
  });
}

const squeeze = (text: string): string => text.replace(/\s+/g, ' ');

function tell(context: string, before: string, after: string): string {
  const told = squeeze(before) === squeeze(context) ? '' : ` in: ${squeeze(context)}`;
  return `${squeeze(before)} -> ${squeeze(after)}${told}`;
}

/**
 * Draws `count` of them by lots that follow from seed and id, so that a change elsewhere changes few.
 * Operators take turns, and the folder that has given fewest goes first.
 */
export function drawMutants(mutants: readonly Mutant[], seed: number, count: number): Mutant[] {
  const lots = new Map(mutants.map((mutant) => [mutant, digest(seed, mutant.id)]));
  const left = [...mutants].sort((a, b) => (lots.get(a)! < lots.get(b)! ? -1 : 1));
  const given = new Map<string, number>();
  const drawn: Mutant[] = [];
  for (let turn = 0; drawn.length < count && left.length > 0; turn++) {
    const operator = OPERATORS[turn % OPERATORS.length];
    const fits = left.filter((mutant) => mutant.operator === operator);
    if (fits.length === 0) continue;
    const fewest = (mutant: Mutant): number => given.get(dirname(mutant.file)) ?? 0;
    const next = fits.reduce((best, mutant) => (fewest(mutant) < fewest(best) ? mutant : best));
    given.set(dirname(next.file), fewest(next) + 1);
    left.splice(left.indexOf(next), 1);
    drawn.push(next);
  }
  return drawn;
}
