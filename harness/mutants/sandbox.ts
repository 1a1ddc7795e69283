/**
 * A copy of the sources in a temporary folder, where mutants are put in: the checkout itself is never
 * touched.
 *
 * Each slot of the sandbox holds the TypeScript, for the tests, and as JavaScript in `out` what `gauntlet.ts`
 * needs.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { type Mutant, mutate } from './mutant.js';

const FOLDERS = ['fusee', 'harness', 'native', 'workloads', 'results'];
const FILES = ['package.json', 'tsconfig.json'];

/**
 * The test runner's settings in a slot: one thread for all files, since most of the time would go into
 * starting.
 */
const VITEST_CONFIG = `import { defineConfig } from 'vitest/config';
export default defineConfig({
  cacheDir: '.vite',
  test: { pool: 'threads', isolate: false, maxWorkers: 1, include: ['**/*.test.ts'], testTimeout: 30_000 },
});
`;

/** One copy of the sources; holds one mutant at a time. */
export class Slot {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Puts a mutant in. */
  put(mutant: Mutant): void {
    this.#write(mutant.file, mutate(this.text(mutant.file), mutant.edits));
  }

  /** Takes a mutant out again: the file is `text` once more. */
  restore(mutant: Mutant, text: string): void {
    this.#write(mutant.file, text);
  }

  /** The text of a source file as it stands in this slot. */
  text(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  #write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
    compile(this.folder, file, text);
  }
}

/** The slots, and the folder that goes when the run is over. */
export class Sandbox {
  readonly folder: string;
  readonly slots: readonly Slot[];

  /** Copies the sources of the checkout at `root` into `count` slots. */
  constructor(root: string, count: number) {
    this.folder = mkdtempSync(join(tmpdir(), 'fusee-mutants-'));
    const first = join(this.folder, '0');
    copySources(root, first);
    const others = Array.from({ length: count - 1 }, (_, i) => join(this.folder, String(i + 1)));
    for (const other of others) cpSync(first, other, { recursive: true, verbatimSymlinks: true });
    this.slots = [first, ...others].map((folder) => new Slot(folder));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function copySources(root: string, to: string): void {
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    for (const entry of names) {
      const path = join(entry.parentPath, entry.name).slice(root.length + 1);
      if (!entry.isFile() || !path.endsWith('.ts') || /(^|\/)(build|node_modules)\//.test(path)) continue;
      mkdirSync(dirname(join(to, path)), { recursive: true });
      cpSync(join(root, path), join(to, path));
    }
  }
  for (const file of FILES) cpSync(join(root, file), join(to, file));
  writeFileSync(join(to, 'vitest.config.ts'), VITEST_CONFIG);
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  symlinkSync(join(root, 'native', 'build'), join(to, 'native', 'build'));
  compileAll(to, 'harness/mutants/gauntlet.ts');
}

/** Compiles a file and what it imports, files of the package all of them. */
function compileAll(folder: string, entry: string): void {
  const files = new Set([entry]);
  // A set is walked in the order of its growth: what is added on the way comes later.
  for (const file of files) {
    const text = readFileSync(join(folder, file), 'utf8');
    for (const { fileName } of ts.preProcessFile(text, true).importedFiles)
      if (fileName.startsWith('.')) files.add(join(dirname(file), fileName).replace(/\.js$/, '.ts'));
    compile(folder, file, text);
  }
}

/** Compiles one file without looking at types: what a mutant does to them is not the question. */
function compile(folder: string, file: string, text: string): void {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ES2022,
      verbatimModuleSyntax: true,
    },
  });
  const path = join(folder, 'out', file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, outputText);
}
