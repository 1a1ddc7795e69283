/** What no tool knows about this repository's style (STYLE.md), held by a test. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => /\.(ts|mjs|cjs|cc|h)$/.test(path) && existsSync(path));
/** Seeded faults quote the source as it stands, at whatever width their quotes then have. */
const QUOTES = /^harness\/mutants\/faults\//;
const text = new Map(
  files.filter((path) => !QUOTES.test(path)).map((path) => [path, readFileSync(path, 'utf8')]),
);

/** Lines of all files that a rule objects to, as `file:line: reason`. */
function objections(
  rule: (line: string, index: number, lines: readonly string[]) => string | null,
): string[] {
  return [...text].flatMap(([path, content]) => {
    const lines = content.split('\n');
    return lines.flatMap((line, i) => {
      const reason = path === 'harness/tidy.test.ts' ? null : rule(line, i, lines);
      return reason === null ? [] : [`${path}:${i + 1}: ${reason}`];
    });
  });
}

describe('the repository', () => {
  it('keeps files to 400 lines: split by concept', () => {
    const long = [...text].filter(([, content]) => content.split('\n').length > 401).map(([path]) => path);
    expect(long).toEqual([]);
  });

  it('keeps lines to 110 columns, and a message in one string to 120', () => {
    expect(
      objections((line) =>
        line.length > (/['"`]/.test(line) ? 120 : 110) ? `${line.length} columns` : null,
      ),
    ).toEqual([]);
  });

  it('leaves no notes to self: file an issue and name it', () => {
    expect(objections((line) => (/\b(TODO|FIXME|XXX|HACK)\b/.test(line) ? 'a note to self' : null))).toEqual(
      [],
    );
  });

  it('runs all its tests: an exclusive one hides the rest, a skipped one says why in its name', () => {
    expect(
      objections((line) => (/\b(it|test|describe)\.(only|todo)\b/.test(line) ? 'exclusive or empty' : null)),
    ).toEqual([]);
  });

  it('names no path of a machine', () => {
    const path = /(^|[^A-Za-z0-9_.])\/(work|farm|home|root)\//;
    expect(objections((line) => (path.test(line) ? 'an absolute path' : null))).toEqual([]);
  });

  it('documents every exported function, class and constant', () => {
    const undocumented = objections((line, i, lines) => {
      if (!/^export (async )?(function|class|const|abstract class)\b/.test(line)) return null;
      let before = i - 1;
      while (before >= 0 && /^(\/\/ biome-ignore|@)/.test(lines[before])) before--;
      return before >= 0 && lines[before].trimEnd().endsWith('*/')
        ? null
        : `no doc comment: ${line.slice(0, 60)}`;
    }).filter((o) => !/\.test\.ts:|\.mjs:|\.cjs:|config\.ts:/.test(o));
    expect(undocumented).toEqual([]);
  });

  it('builds no shell command from strings', () => {
    const shell = /\b(exec|execSync)\(|shell: true/;
    const objected = objections((line) => (shell.test(line) && !line.includes('.exec(') ? 'a shell' : null));
    expect(objected).toEqual([]);
  });
});
