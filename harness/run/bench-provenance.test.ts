/** `npm test` has built what this looks at. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { packageRoot } from './package-root.js';

it('what a bench loads is what its provenance hashes: modules of its own folders, and packages', () => {
  const run = join(packageRoot, 'dist', 'harness', 'run');
  const loaded = readdirSync(run).filter((name) =>
    /^(command-.*|(client|node|master)-process)\.js$/.test(name),
  );
  const files = [
    join(packageRoot, 'dist', 'harness', 'cli', 'main.js'),
    ...loaded.map((name) => join(run, name)),
  ];
  expect(loaded.length).toBeGreaterThan(10);
  const elsewhere = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^(?:im|ex)port\b.*? from ["'](\.[^"']+)["']/gm)]
      .map(([, specifier]) => specifier)
      .filter((specifier) => !/^(\.|\.\.\/run)\/command-[\w-]+\.js$/.test(specifier)),
  );
  expect(elsewhere).toEqual([]);
});
