/** What can be wrong with log entries, planted into a pool at rest. */
import { describe, expect, it } from 'vitest';
import { LINE_BYTES, LogField, LogOperation, stageOldValue } from '../layout/index.js';
import { word } from '../verbs/index.js';
import { SamplePool } from './sample-pool.js';

const full = (): SamplePool => new SamplePool().fill();
const OPERATION = LINE_BYTES + LogField.OPERATION;

describe('log entries', () => {
  it.each([
    ['next', LogField.NEXT],
    ['prev', LogField.PREV],
  ])("a %s that leads to another client's block is a record of what was", (_, field) => {
    const pool = full();
    // Log heads are past it once something has been freed.
    pool.garbage();
    const { cell } = pool.tidy().find('g');
    pool.putPointer(cell + LINE_BYTES + field, pool.find('k2').cell);
    expect(pool.kinds()).toEqual([]);
  });

  it.each([
    ['next', LogField.NEXT, 0],
    ['next', LogField.NEXT, 70],
    ['next', LogField.NEXT, 2 ** 47],
    ['prev', LogField.PREV, 100],
    ['prev', LogField.PREV, 2 ** 47],
  ])('a %s at %i of %i, no line of the data, is found', (name, field, target) => {
    const pool = full();
    pool.garbage();
    // Log heads are past it now: nothing but its own entry's check tells.
    const { cell } = pool.tidy().find('g');
    pool.putPointer(cell + LINE_BYTES + field, target);
    const { kind, where, message } = pool.onlyFinding();
    expect([kind, where.split(' of')[0]]).toEqual(['log-link', `cell ${cell}`]);
    expect(message).toBe(`its ${name} is ${target}, no line of the data`);
  });

  it('a used bit over an object that is not whole is found', () => {
    const pool = full();
    const { pointer } = pool.garbage();
    pool.change(pointer + 20, (byte) => byte ^ 1);
    expect(pool.kinds()).toEqual(['torn']);
  });

  it('an object that nobody names and that is not used need not be whole', () => {
    const pool = full();
    const { pointer, cell } = pool.garbage();
    const bytes = pool.data(cell, LINE_BYTES);
    bytes.fill(0, LINE_BYTES + LogField.OLD_VALUE, LINE_BYTES + LogField.OPERATION);
    bytes[OPERATION] &= ~1;
    pool.putData(cell, bytes);
    pool.change(pointer + 20, (byte) => byte ^ 1);
    expect(pool.kinds()).toEqual([]);
  });

  it('a part of a log entry is found: a WRITE that ended half way', () => {
    const pool = full();
    const { pointer, cell } = pool.garbage();
    const next = cell + 3 * (cell + LINE_BYTES - pointer);
    expect(pool.data(next, LINE_BYTES)).toEqual(new Uint8Array(LINE_BYTES));
    pool.change(next + LINE_BYTES + LogField.PREV, () => 1);
    expect(pool.kinds()).toEqual(['torn']);
  });

  it.each<[string, (bytes: Uint8Array) => void, string]>([
    ['an unknown operation', (b) => b.fill((9 << 1) | 1, OPERATION), 'operation is 9'],
    ['a half-written old value', (b) => b.fill(b[OPERATION - 1] ^ 1, OPERATION - 1, OPERATION), 'half way'],
    ['a used bit that is clear', (b) => b.fill(b[OPERATION] & ~1, OPERATION), 'used bit is clear'],
    ['the operation of a DELETE', (b) => b.fill((LogOperation.DELETE << 1) | 1, OPERATION), 'operation is 3'],
    ['no old value', (b) => b.fill(0, LINE_BYTES + LogField.OLD_VALUE, OPERATION), 'not committed'],
  ])("a key's object with %s is found", (_, change, message) => {
    const pool = full();
    const { cell } = pool.find('k1');
    const bytes = pool.data(cell, LINE_BYTES);
    change(bytes);
    pool.putData(cell, bytes);
    const { findings } = pool.check();
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(['log']));
    expect(findings.map((f) => f.message).join('\n')).toContain(message);
  });

  it('a committed entry in an index of one replica is found', () => {
    const pool = new SamplePool({ indexReplicas: 1 }).fill();
    const { cell } = pool.find('k1');
    const bytes = pool.data(cell, LINE_BYTES);
    stageOldValue(bytes, LINE_BYTES, word(1, 2));
    pool.putData(cell, bytes);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'log' });
  });

  it('a log entry of garbage that differs between replicas is found', () => {
    const pool = full();
    const { cell } = pool.garbage();
    pool.change(cell + OPERATION, (byte) => byte & ~1, [1]);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'data-replicas', where: `cell ${cell}` });
  });
});
