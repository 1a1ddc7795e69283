/** A mutant: one file of the product with one small thing wrong. */
import { createHash } from 'node:crypto';
import { UsageError } from '../../fusee/verbs/index.js';

/** Characters `start` to `end` of a file give way to `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface Mutant {
  /** Follows from file, operator and snippet, so it outlives changes elsewhere in the file. */
  readonly id: string;
  /** From the package's folder. */
  readonly file: string;
  /** Line of the first edit, from 1. */
  readonly line: number;
  /** `seeded`, or the generator's operator. */
  readonly operator: string;
  /** What is changed, or what it breaks: one line. */
  readonly told: string;
  /** In ascending order, not overlapping. */
  readonly edits: readonly Edit[];
}

/** The file's text with the mutant in it. */
export function mutate(text: string, edits: readonly Edit[]): string {
  let mutated = '';
  let at = 0;
  for (const { start, end, text: replacement } of edits) {
    mutated += text.slice(at, start) + replacement;
    at = end;
  }
  return mutated + text.slice(at);
}

/** Line of a position, from 1. */
export const lineAt = (text: string, at: number): number => text.slice(0, at).split('\n').length;

/** 64 bits of SHA-256, in hexadecimal: ids, and the generator's lots. */
export const digest = (...parts: readonly (string | number)[]): string =>
  createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 16);

/**
 * The edit that replaces the one place where `find` occurs. @throws UsageError when there is none, or more.
 */
export function editOnce(file: string, text: string, find: string, replacement: string): Edit {
  const start = text.indexOf(find);
  const count = text.split(find).length - 1;
  if (count !== 1)
    throw new UsageError(`${file}: this snippet occurs ${count} times; it must occur once:\n${find}`);
  return { start, end: start + find.length, text: replacement };
}

/** The lines that differ, as a person reads a diff: file and line, `-` old, `+` new. */
export function diffOf(text: string, mutant: Mutant): string {
  const out = [`--- ${mutant.file}:${mutant.line} (${mutant.id})`];
  for (const { start, end, text: replacement } of mutant.edits) {
    const from = text.lastIndexOf('\n', start - 1) + 1;
    const to = text.indexOf('\n', end) < 0 ? text.length : text.indexOf('\n', end);
    const after = text.slice(from, start) + replacement + text.slice(end, to);
    for (const line of text.slice(from, to).split('\n')) out.push(`- ${line}`);
    for (const line of after.split('\n')) out.push(`+ ${line}`);
  }
  return out.join('\n');
}
