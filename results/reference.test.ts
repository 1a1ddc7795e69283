import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { schemaReference } from './reference.js';
import { sampleRow } from './sample.js';

test('the reference page says what the schemas say: `fusee results schema` prints it', () => {
  expect(readFileSync(new URL('SCHEMA.md', import.meta.url), 'utf8')).toBe(schemaReference());
});

test('the reference page names every field of a row', () => {
  for (const field of Object.keys(sampleRow())) expect(schemaReference()).toContain(`| \`${field}\` |`);
  expect(schemaReference()).toContain('| `latencyNs.<operation>.p99` | number |');
  expect(schemaReference()).toContain(
    '| `openLoop.verdict` | sustained, not sustained | not sustained: more',
  );
});
