import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listPaperFigures, loadPaperClaims, loadPaperFigure } from './paper.js';

test('every published figure fits the schema', () => {
  const ids = listPaperFigures();
  expect(ids).toEqual(['fig02', 'fig03', 'fig10', 'fig11', 'fig13', 'fig17', 'fig20', 'fig21', 'table1']);
  for (const id of ids) expect(loadPaperFigure(id).length, id).toBeGreaterThan(0);
});

test('published CDFs rise', () => {
  for (const panel of loadPaperFigure('fig10')) {
    for (const { name, points } of panel.series) {
      for (let i = 1; i < points.length; i++) {
        expect(points[i][1], `${panel.figure} ${name} at ${i}`).toBeGreaterThanOrEqual(points[i - 1][1]!);
      }
    }
  }
});

test('what a system does not support is null, not 0', () => {
  const clover = loadPaperFigure('fig11')[0].series.find((series) => series.name === 'Clover')!;
  expect(clover.points.find(([operation]) => operation === 'delete')).toEqual(['delete', null]);
});

test('no claim is lost', () => {
  expect(loadPaperClaims().length).toBeGreaterThanOrEqual(16);
});

test('a figure that was not digitised has no panels', () => {
  expect(loadPaperFigure('fig12')).toEqual([]);
});

test('a broken file is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fusee-paper-'));
  try {
    writeFileSync(join(folder, 'fig99.json'), '{"figure":"99"}');
    writeFileSync(join(folder, 'claims.json'), '[');
    expect(() => loadPaperFigure('fig99', folder)).toThrow(/fig99\.json: .*title/);
    expect(() => loadPaperClaims(folder)).toThrow(/claims\.json: /);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
