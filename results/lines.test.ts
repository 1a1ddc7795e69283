import { describe, expect, test } from 'vitest';
import { describeDamage, readRows, SEAL_LENGTH, sealLine } from './lines.js';
import { sampleRow } from './sample.js';

const rows = [0, 1, 2].map((repetition) => sampleRow({ repetition }));
const lines = rows.map(sealLine);
const read = (...text: string[]) => readRows(text.join('\n'), 'rows.ndjson');
const repetitions = (...text: string[]) => read(...text).values.map((row) => row.repetition);

describe('a sealed line', () => {
  test('comes back without its seal', () => {
    expect(read(...lines, '')).toEqual({ values: rows, damage: [] });
    expect(lines[0].slice(-SEAL_LENGTH)).toMatch(/^,"check":"[0-9a-f]{8}"\}$/);
  });

  test('of which any one character was changed is skipped, reported, and its neighbours are read', () => {
    const [before, line, after] = lines;
    let reasons = '';
    for (let at = 0; at < line.length; at++) {
      // Digits for digits: JSON and schema would take most of these.
      const other = /[0-8]/.test(line[at]) ? String(Number(line[at]) + 1) : line[at] === 'x' ? 'y' : 'x';
      const { values, damage } = read(before, line.slice(0, at) + other + line.slice(at + 1), after);
      expect(values.map((row) => row.repetition)).toEqual([0, 2]);
      expect(damage).toMatchObject([{ file: 'rows.ndjson', line: 2 }]);
      reasons += damage[0].reason;
    }
    expect(reasons).toMatch(/its check does not fit/);
  });

  test('cut short anywhere is skipped, as by a crash in the middle of a write', () => {
    for (let length = 1; length < lines[2].length; length++) {
      expect(repetitions(lines[0], lines[1], lines[2].slice(0, length))).toEqual([0, 1]);
    }
  });

  test('that ran together with the next one loses both, and no other', () => {
    const { values, damage } = read(lines[0] + lines[1], lines[2]);
    expect(values.map((row) => row.repetition)).toEqual([2]);
    expect(damage.map(describeDamage)).toEqual([expect.stringMatching(/^rows\.ndjson:1: .*check/)]);
  });

  test('that lost its seal is no row', () => {
    const { values, damage } = read(JSON.stringify(rows[0]), '{"a":1}', '[]', '\0\0\0', 'null');
    expect(values).toEqual([]);
    expect(damage.map(({ line, reason }) => [line, reason])).toEqual([
      [1, 'the line has lost its check'],
      [2, 'schemaVersion is undefined, not a whole number'],
      [3, 'not an object'],
      [4, expect.stringMatching(/^not JSON/)],
      [5, 'not an object'],
    ]);
  });
});
