import { describe, expect, test } from 'vitest';
import { readNdjson, readRows, sealLine } from './lines.js';
import { sampleRow } from './sample.js';
import { isSimulated, runEventSchema, SCHEMA_VERSION, seriesPointSchema } from './schema.js';
import { parseRow, upgradeRow } from './versions.js';

const ndjson = (...rows: object[]): string => rows.map((row) => `${sealLine(row)}\n`).join('');

describe('a row', () => {
  test('comes back as it was written', () => {
    const rows = [
      sampleRow(),
      sampleRow({
        repetition: 1,
        lostKeys: 0,
        trust: null,
        collections: null,
        cache: null,
        background: null,
        upkeep: null,
      }),
    ];
    expect(readRows(ndjson(...rows), 'rows.ndjson')).toEqual({ values: rows, damage: [] });
  });

  test('keeps null apart from 0', () => {
    const row = parseRow(JSON.parse(JSON.stringify(sampleRow({ wrongValues: 0, lostKeys: null }))), 'here');
    expect([row.wrongValues, row.lostKeys]).toEqual([0, null]);
  });

  test('that lacks a field, or has one too many, is refused', () => {
    const { wrongValues: _, ...lacking } = sampleRow();
    expect(() => parseRow(lacking, 'rows.ndjson:1')).toThrow(/^rows\.ndjson:1: wrongValues: /);
    expect(() => parseRow({ ...sampleRow(), throughputMops: 1 }, 'x')).toThrow(/throughputMops/);
  });

  test.each([
    ['a negative count', { operations: -1 }, /operations/],
    ['a number that JSON wrote as null', { throughputOps: null }, /throughputOps/],
    ['an operation in upper case', { outcomes: { SEARCH: { OK: 1 } } }, /outcomes/],
    ['an unknown verdict', { trust: { verdict: 'fine', reasons: [] } }, /trust\.verdict/],
    ['half a latency', { latencyNs: { search: { p50: 1 } } }, /latencyNs\.search\.p90/],
  ])('with %s is refused', (_, changes, message) => {
    expect(() => parseRow({ ...sampleRow(), ...changes }, 'x')).toThrow(message);
  });

  test('of the simulator is told from a measured one', () => {
    expect([isSimulated(sampleRow({ fabric: 'sim' })), isSimulated(sampleRow())]).toEqual([true, false]);
  });
});

describe('versions', () => {
  const migrations = {
    1: (row: Record<string, unknown>) => ({ ...row, colour: 'grey' }),
    2: ({ old, ...row }: Record<string, unknown>) => ({ ...row, fresh: old }),
  };

  test('older rows are brought up step by step', () => {
    expect(upgradeRow({ schemaVersion: 1, old: 5 }, 3, migrations)).toEqual({
      schemaVersion: 3,
      colour: 'grey',
      fresh: 5,
    });
    expect(upgradeRow({ schemaVersion: 3, a: 1 }, 3, migrations)).toEqual({ schemaVersion: 3, a: 1 });
  });

  test('a newer, missing or unknown version is refused', () => {
    expect(() => upgradeRow({ schemaVersion: 4 }, 3, migrations)).toThrow(/reads up to 3: use a newer one/);
    expect(() => upgradeRow({ schemaVersion: 0 }, 3, migrations)).toThrow(/no way from schemaVersion 0/);
    expect(() => upgradeRow({}, 3, migrations)).toThrow(/schemaVersion is undefined/);
    expect(() => upgradeRow([], 3, migrations)).toThrow(/not an object/);
    const newer = { ...sampleRow(), schemaVersion: SCHEMA_VERSION + 1 };
    expect(readRows(ndjson(sampleRow(), newer), 'rows.ndjson')).toMatchObject({
      values: [sampleRow()],
      damage: [
        { file: 'rows.ndjson', line: 2, reason: expect.stringMatching(/^schemaVersion is \d+; this/) },
      ],
    });
  });
});

describe('neighbours of rows', () => {
  test('a point of a series is 100 ms long unless it says otherwise', () => {
    const { system, workload, fabric, clients, repetition } = sampleRow();
    const point = { system, workload, fabric, clients, repetition, tMs: 300, operations: 12, p99Ns: null };
    expect(readNdjson(seriesPointSchema, ndjson(point), 's').values).toEqual([
      { ...point, cellKey: null, intervalMs: 100 },
    ]);
    const bad = readNdjson(seriesPointSchema, ndjson({ ...point, tMs: -1 }), 's');
    expect(bad).toMatchObject({ values: [], damage: [{ line: 1, reason: expect.stringMatching(/^tMs/) }] });
  });

  test('an event outside any window has no time in one', () => {
    const event = { at: '2026-01-02T03:04:05.000Z', kind: 'phase', label: 'load' };
    expect(readNdjson(runEventSchema, ndjson(event), 'e').values[0]).toMatchObject({
      workload: null,
      tMs: null,
    });
  });
});
