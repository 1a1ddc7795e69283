import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageRoot } from '../run/package-root.js';
import { EQUIVALENTS } from './equivalents.js';
import { seededFaults } from './faults.js';
import { allMutants, drawMutants, mutantsOf } from './generate.js';
import { diffOf, editOnce, type Mutant, mutate } from './mutant.js';
import { OPERATORS, sitesOf } from './operators.js';
import { summarize, tableOf } from './report.js';
import { Sandbox, type Slot } from './sandbox.js';
import { runGauntlet, runNode } from './stage.js';

const texts = new Map<string, string>();

function textOf(file: string): string {
  const known = texts.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(join(packageRoot, file), 'utf8');
  texts.set(file, text);
  return text;
}

/** What the parser says to the file with the mutant in it. */
function syntaxErrors({ file, edits }: Mutant): string[] {
  const source = ts.createSourceFile(file, mutate(textOf(file), edits), ts.ScriptTarget.ES2023);
  const { parseDiagnostics } = source as unknown as { parseDiagnostics: readonly ts.Diagnostic[] };
  return parseDiagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

const seeded = seededFaults(textOf);
const all = allMutants(packageRoot);

describe('the seeded faults', () => {
  it('each find their snippets once in the sources, and change them into what still parses', () => {
    expect(new Set(seeded.map(({ id }) => id)).size).toBe(seeded.length);
    for (const mutant of seeded) {
      expect(mutate(textOf(mutant.file), mutant.edits), mutant.id).not.toBe(textOf(mutant.file));
      expect(syntaxErrors(mutant), mutant.id).toEqual([]);
    }
  });

  it.each(['H1', 'H2', 'H3', 'H6', 'H8', 'H9', 'H10', 'H11', 'H14', 'H15'])('have one for %s', (hazard) => {
    expect(seeded.some(({ id }) => id.startsWith(`${hazard}-`))).toBe(true);
  });

  it.each(['X3', 'X4', 'X5', 'X6', 'X7', 'X8', 'X8b', 'X10', 'X10b'])(
    'have one for the control %s',
    (control) => {
      expect(seeded.some(({ id }) => id.startsWith(`${control}-`))).toBe(true);
    },
  );

  it('are refused when a snippet is gone, or stands there twice', () => {
    expect(() => editOnce('a.ts', 'x = 1;', 'y', 'z')).toThrow('occurs 0 times');
    expect(() => editOnce('a.ts', 'x = x;', 'x', 'z')).toThrow('occurs 2 times');
  });
});

describe('the generator', () => {
  it('draws the same mutants for the same seed, and others for another', () => {
    const ids = (seed: number): string[] => drawMutants(all, seed, 20).map(({ id }) => id);
    expect(ids(1)).toEqual(ids(1));
    expect(ids(1)).not.toEqual(ids(2));
    expect(new Set(ids(1)).size).toBe(20);
  });

  it('draws from every operator and every folder', () => {
    const drawn = drawMutants(all, 1, 20);
    expect(new Set(drawn.map(({ operator }) => operator))).toEqual(new Set(OPERATORS));
    const folders = new Set(drawn.map(({ file }) => file.split('/')[1]));
    expect([...folders].sort()).toEqual(['index', 'ops', 'replication']);
  });

  it('makes mutants that parse, each with an id of its own', () => {
    expect(syntaxErrors({ ...all[0], edits: [{ start: 0, end: 0, text: 'if (' }] })).not.toEqual([]);
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    for (const mutant of drawMutants(all, 7, 80))
      expect(syntaxErrors(mutant), diffOf(textOf(mutant.file), mutant)).toEqual([]);
  }, 20_000);

  it('keeps ids when a file changes elsewhere', () => {
    const text = 'const f = (a: number) => {\n  if (a < 1) return true;\n  return false;\n};\n';
    const ids = (t: string): string[] => mutantsOf('f.ts', t, sitesOf(t, new Map())).map(({ id }) => id);
    expect(ids(`// A comment.\nconst one = 1;\n${text}`).slice(2)).toEqual(ids(text));
    expect(ids(text).length).toBeGreaterThan(3);
  });

  it('leaves alone what shows in nothing: types, texts, tables, sizes, assertions', () => {
    const text = `
      import { a } from './1.js';
      type T = 1 | 2;
      const TABLE = { A: 1, B: 2 } as const;
      const ROOM_BYTES = 4 * 64;
      // 1 < 2
      const buffer = new Uint8Array(64 + 1);
      assertLayout(ROOM_BYTES === 256, 'whole');
      function requireAll(n: number) { if (n < 1) throw new Error(\`\${n} < 1\`); }
    `;
    expect(sitesOf(text, new Map())).toEqual([]);
  });

  it('knows every operator', () => {
    const text = `
      function* f(b, vOld, vNew) {
        b.cas(slot.mn[0], 8, vOld, vNew);
        b.read8(slot.mn[1], 8);
        yield b;
        if (b.anyFailed()) return Claim.FAILED;
        cx.slot = 3;
        for (let i = 0; i < 2 && ok; i++) if (!done(i)) continue;
        return Claim.INSERTED;
      }
    `;
    const sites = sitesOf(text, new Map([['Claim', ['INSERTED', 'FAILED']]]));
    expect(new Set(sites.map(({ operator }) => operator))).toEqual(new Set(OPERATORS));
    const order = sites.find(({ operator }) => operator === 'verb order')!;
    expect(mutate(text, order.edits)).toMatch(/read8\(slot.mn\[1\], 8\);\s+b\.cas/);
  });

  it('explains no mutant that is gone', () => {
    const ids = new Set(all.map(({ id }) => id));
    expect(Object.keys(EQUIVALENTS).filter((id) => !ids.has(id))).toEqual([]);
  });
});

describe('the verdict on a run', () => {
  const verdict = (id: string, caughtBy?: string) => ({
    mutant: { ...all[0], id },
    caughtBy,
    reason: caughtBy === undefined ? 'survives' : 'wrong',
    seconds: 1,
  });
  const [known] = Object.keys(EQUIVALENTS);

  it('is bad when a survivor has no explanation, and good when all have', () => {
    const caught = Array.from({ length: 50 }, (_, i) => verdict(`m${i}`, 'a scenario'));
    expect(summarize(caught)).toMatchObject({ caught: 50, share: 1, isGood: true });
    expect(summarize([...caught, verdict(known)])).toMatchObject({ equivalent: 1, share: 1, isGood: true });
    const bad = summarize([...caught, verdict('unheard-of')]);
    expect(bad).toMatchObject({ equivalent: 0, isGood: false });
    expect(bad.unexplained).toHaveLength(1);
  });

  it('names the scenario that caught a mutant, and shows a survivor with its change', () => {
    const table = tableOf([verdict('m1', 'base, r = 2: - -: I | I'), verdict('m2')], textOf);
    expect(table).toContain('base, r = 2: - -: I \\| I (wrong)');
    expect(table).toContain(`--- ${all[0].file}:${all[0].line} (m2)`);
    expect(table).toContain('2 mutants: 1 caught, 0 equivalent, 1 not explained; 50.0 %');
  });
});

describe('the sandbox', () => {
  let sandbox: Sandbox;
  let slot: Slot;
  beforeAll(() => {
    sandbox = new Sandbox(packageRoot, 1);
    [slot] = sandbox.slots;
  }, 30_000);
  afterAll(() => sandbox.remove());

  it('catches a mutant, and leaves the checkout as it is', async () => {
    const mutant = seeded.find(({ id }) => id === 'loser-does-not-wait')!;
    const before = slot.text(mutant.file);
    slot.put(mutant);
    const result = await runGauntlet(slot, ['quick'], { seconds: 20, silentSeconds: 10 });
    slot.restore(mutant, before);
    expect(result.caughtBy).toMatch(/^warm cache, r = 2: /);
    expect(result.reason).toMatch(/no order of the requests explains/);
    expect(readFileSync(join(packageRoot, mutant.file), 'utf8')).toBe(before);
    expect(slot.text(mutant.file)).toBe(before);
  }, 30_000);

  it('passes what is not mutated', async () => {
    const result = await runGauntlet(slot, ['swarm', '1', '3'], { seconds: 20, silentSeconds: 10 });
    expect(result.caughtBy).toBeUndefined();
    expect(result.isUndecided).toBeUndefined();
  }, 30_000);

  it('ends a process that hangs, by processor time', async () => {
    const ended = await runNode(slot, ['-e', 'for (;;);'], { seconds: 10, silentSeconds: 0.5 });
    expect(ended.why).toBe('silent');
    expect(ended.signal).toBe('SIGKILL');
  }, 30_000);
});
