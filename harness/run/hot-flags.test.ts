import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { HOT_FLAGS } from './hot-flags.js';
import { packageRoot } from './package-root.js';

it('the hot-path benchmark runs with the flags of measured processes, and no others', () => {
  const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  const flags = scripts['bench:hotpath'].match(/ --(?!quiet)[a-z-]+(=\d+)?/g).map((f: string) => f.trim());
  expect(flags).toEqual(HOT_FLAGS);
});
