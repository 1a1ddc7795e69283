import { describe, expect, test } from 'vitest';
import { sampleProvenance, sampleRow } from '../results/sample.js';
import type { ResultRow } from '../results/schema.js';
import type { RunStatus } from '../results/stored-run.js';
import { type Caption, runCaption } from './caption.js';
import { groupCells, median, workloadLabel } from './cells.js';

const finished: RunStatus = { state: 'finished', started: '', ended: null, reason: null, owner: null };
const captionOf = (rows: readonly ResultRow[], changes: object = {}): Caption =>
  runCaption({ rows, provenance: sampleProvenance, status: finished, ...changes });

describe('a caption', () => {
  test('says fabric, settings, commit, seed and trust', () => {
    const { parts, trusted } = captionOf([sampleRow(), sampleRow({ repetition: 1 })]);
    expect(trusted).toBe(true);
    expect(parts).toEqual([
      'fusee',
      'shm (no network)',
      '2 clients',
      '8 coroutines',
      '3 MNs',
      '1024 B KV',
      'seed 7',
      'commit 3d78098f',
      'trust ok',
    ]);
  });

  test('names every value of a setting that differs, and an RTT that was added', () => {
    const { parts } = captionOf([sampleRow(), sampleRow({ clients: 8, rttNs: 2000, fabric: 'sim' })]);
    expect(parts).toContain('2/8 clients');
    expect(parts).toContain('0/2 µs added per RTT');
    expect(parts).toContain('shm (no network), sim (simulated)');
  });

  test.each([
    [
      'noisy rows',
      { trust: { verdict: 'noisy' as const, reasons: ['CPU steal'] } },
      'trust noisy: CPU steal',
    ],
    ['unchecked rows', { trust: null }, 'trust unchecked'],
    ['wrong values', { wrongValues: 2 }, '2 WRONG VALUES'],
    ['lost keys', { lostKeys: 3 }, '3 LOST KEYS'],
    ['a failed check', { linearizable: false }, 'NOT LINEARIZABLE'],
  ])('warns of %s', (_, changes, warning) => {
    const { parts, trusted } = captionOf([sampleRow(), sampleRow(changes)]);
    expect(trusted).toBe(false);
    expect(parts).toContain(warning);
  });

  test('warns of a run that did not finish, and names changes not committed', () => {
    const status = { ...finished, state: 'interrupted' as const };
    const provenance = { ...sampleProvenance, dirty: true, dirtyHash: 'abcdef0123' };
    const { parts, trusted } = captionOf([sampleRow()], { status, provenance });
    expect(trusted).toBe(false);
    expect(parts).toContain('RUN INTERRUPTED');
    expect(parts).toContain('commit 3d78098f + changes abcdef');
    expect(captionOf([sampleRow()], { provenance: { ...provenance, commit: null } }).parts).toContain(
      'no commit',
    );
  });
});

describe('cells', () => {
  test('hold their repetitions, and are told apart by what differs', () => {
    const rows = [
      sampleRow(),
      sampleRow({ repetition: 1, seed: 8 }),
      sampleRow({ clients: 8, fabric: 'sim' }),
      sampleRow({ workload: 'ycsb-b' }),
    ];
    const cells = groupCells(rows);
    expect(cells.map((cell) => [cell.workload, cell.label, cell.origin, cell.rows.length])).toEqual([
      ['ycsb-a', 'shm, 2 clients', 'measured', 2],
      ['ycsb-a', 'sim, 8 clients', 'simulated', 1],
      ['ycsb-b', 'shm, 2 clients', 'measured', 1],
    ]);
    expect(groupCells(rows.slice(0, 2))[0].label).toBe('');
  });

  test('have a median of odd and of even numbers of repetitions', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5]);
  });

  test('name YCSB workloads as the paper does, and others as they are', () => {
    expect(['ycsb-a', 'c', 'YCSB_F', 'micro'].map(workloadLabel)).toEqual([
      'YCSB-A',
      'YCSB-C',
      'YCSB-F',
      'micro',
    ]);
  });
});
