/** What can be wrong with log heads and the lists behind them, and with the client table. */
import { describe, expect, it } from 'vitest';
import { getPointer, LINE_BYTES, LogField } from '../layout/index.js';
import { ORPHAN } from '../memory/index.js';
import { blockOf } from './cells.js';
import { SamplePool } from './sample-pool.js';

const NEXT = LINE_BYTES + LogField.NEXT;

/** A pool whose heads name objects that are there: nothing has moved them on. */
const full = (): SamplePool => new SamplePool().fill();

describe('log heads', () => {
  it('a head that differs between replicas is found on the replica', () => {
    const pool = full();
    const { head } = pool.logHead();
    pool.putHead(head, 0, [1]);
    const block = blockOf(pool.view.geometry, head);
    expect(pool.onlyFinding()).toMatchObject({
      kind: 'log-head',
      node: pool.view.dataMn(head, 1),
      where: `log head 0 of block ${block}`,
    });
  });

  it.each<[string, (pool: SamplePool, cell: number) => number]>([
    ['beyond the data', () => 2 ** 47],
    ['in a block of nobody', (pool) => pool.unowned + 1024],
    ["in another client's block", (pool) => pool.find('k3').cell],
    ['in the middle of a cell', (_, cell) => cell + 8],
    ["in a block's header", (pool, cell) => blockOf(pool.view.geometry, cell)],
  ])('a head that names a place %s is found', (_, place) => {
    const pool = full();
    const { head, cell } = pool.logHead(pool.find('k2').sizeClass);
    pool.putHead(head, place(pool, cell));
    expect(pool.kinds()).toEqual(['log-head']);
  });
});

describe('what says from where on frees may be missing', () => {
  it('may lie behind the head, on a list that comes to it', () => {
    const pool = full();
    const { head } = pool.logHead(pool.find('k2').sizeClass);
    pool.putPointer(head, pool.find('k2').cell);
    expect(pool.check().findings).toEqual([]);
  });

  it('is found when it lies ahead of the head', () => {
    const pool = full();
    const { head, cell } = pool.logHead(pool.find('k2').sizeClass);
    pool.putPointer(head + 8, getPointer(pool.data(cell + NEXT, 6), 0));
    const { kind, message } = pool.onlyFinding();
    expect([kind, message]).toEqual(['log-list', expect.stringContaining(`never comes to ${cell}`)]);
  });

  it('is found when it differs between replicas', () => {
    const pool = full();
    pool.putPointer(pool.logHead().head + 8, 0, [1]);
    expect(pool.onlyFinding()).toMatchObject({
      kind: 'log-head',
      message: expect.stringContaining('on replica 1'),
    });
  });
});

describe('log lists', () => {
  it('a link out of the cells of its client and class is found', () => {
    const pool = full();
    const { cell } = pool.logHead(pool.find('k2').sizeClass);
    pool.putPointer(cell + NEXT, pool.find('k3').cell);
    const { kind, message } = pool.onlyFinding();
    expect(kind).toBe('log-link');
    expect(message).toContain(`its list goes on from cell ${cell} to ${pool.find('k3').cell} in a block of`);
  });

  it.each([
    ['itself', (_: SamplePool, cell: number) => cell],
    ['a cell before it', (pool: SamplePool) => pool.logHead(pool.find('k2').sizeClass).cell],
  ])('a list that runs in a circle, back to %s, is found', (_, target) => {
    const pool = full();
    const { cell } = pool.find('k2');
    pool.putPointer(cell + NEXT, target(pool, cell));
    const { kind, message } = pool.onlyFinding();
    expect([kind, message]).toEqual(['log-list', expect.stringContaining('its list has no end after')]);
  });

  it('two heads whose lists meet are found', () => {
    const pool = full();
    const { head } = pool.logHead(pool.find('k2').sizeClass);
    pool.putHead(head + 16, pool.find('k2').cell);
    const { kind, message } = pool.onlyFinding();
    expect([kind, message]).toEqual(['log-list', expect.stringContaining(`as that of ${head} does`)]);
  });
});

describe('the client table', () => {
  const enter = (pool: SamplePool, place: number, cid: number): void =>
    pool.nodes.store(pool.view.controlMn, pool.view.clientOffset(place), 5, cid);

  it('one client in two places is found', () => {
    const pool = full();
    enter(pool, 9, 2);
    expect(pool.onlyFinding()).toMatchObject({ kind: 'clients', where: 'place 9' });
    expect(pool.onlyFinding().message).toBe('client 2 is in place 1 too');
  });

  it('the name of what was left behind is no client', () => {
    const pool = full();
    enter(pool, 9, ORPHAN);
    expect(pool.kinds()).toEqual(['clients']);
  });

  it('a client that nothing else tells of may be at work', () => {
    const pool = full();
    enter(pool, 511, 7);
    expect(pool.check()).toMatchObject({
      findings: [],
      clients: [{ cid: 1 }, { cid: 2 }, { place: 511, period: 5 }],
    });
  });
});
