/** What a node's joining asks of whom, and in which order; over nodes that serve. */
import { describe, expect, it } from 'vitest';
import { CLIENTS_BASE, CLIENTS_MAX, View } from '../layout/index.js';
import { RpcOperation, readRequest } from '../memory/index.js';
import { run, SmallPool } from '../recovery/by-hand.js';
import { word } from '../verbs/index.js';
import { Usher } from './index.js';

const MASTER = 60_000;
const OPERATION = Object.fromEntries(Object.entries(RpcOperation).map(([name, code]) => [code, name]));

/**
 * A pool whose node `mn` was dead by view 2 and is fresh memory now: an usher, and each call as
 * `NODE OPERATION ...`. `isDeaf` says which calls are lost.
 */
function joining(mn: number, isDeaf: (call: string, count: number) => boolean = () => false) {
  const pool = new SmallPool();
  const { nodes } = pool;
  const view = new View(pool.view.geometry);
  const before = new View(view.geometry);
  for (const of of [view, before]) of.change(2, [mn]);
  const calls: string[] = [];
  const call = nodes.call.bind(nodes);
  nodes.call = (to, request) => {
    const { operation, cid, pointer, argument, other } = readRequest(request, 0);
    const isView = operation === RpcOperation.VIEW;
    const what = isView ? `view ${argument} dead ${other.toString(2)}` : `client ${cid} place ${pointer}`;
    const told = `${to} ${OPERATION[operation]} ${what}`;
    calls.push(told);
    const isLost = isDeaf(told, calls.filter((one) => one === told).length);
    return isLost ? undefined : call(to, request);
  };
  const { fabric, coroutine, state } = pool.outsider(MASTER, view);
  const { lane } = coroutine.cx.allocator;
  const usher = new Usher({ lane, view, local: state.local });
  return { pool, view, before, fabric, usher, calls };
}

const MEMBERS = [
  { cid: 3, place: 0 },
  { cid: 9, place: CLIENTS_MAX - 1 },
];

describe('a node that joins', () => {
  it('is announced to all others that live, and not to itself', () => {
    const { fabric, usher, calls } = joining(1);
    expect(run(fabric, usher.announce(1, { number: 3, dead: [] }))).toBe(true);
    expect(calls).toEqual(['0 VIEW view 3 dead 0', '2 VIEW view 3 dead 0']);
    calls.length = 0;
    expect(run(fabric, usher.announce(1, { number: 4, dead: [2] }))).toBe(true);
    expect(calls).toEqual(['0 VIEW view 4 dead 100']);
  });

  it('learns every member while it takes itself for dead, then the ids that are gone, then the view', () => {
    const { view, before, fabric, usher, calls } = joining(1);
    view.change(3, []);
    expect(run(fabric, usher.admit(1, { before, members: MEMBERS, highestCid: 12 }))).toBe(true);
    expect(calls).toEqual([
      '1 VIEW view 2 dead 10',
      '1 JOIN client 3 place 0',
      `1 JOIN client 9 place ${CLIENTS_MAX - 1}`,
      // Above all that may have been granted meanwhile, at a place that nobody has.
      `1 JOIN client 76 place ${CLIENTS_MAX - 2}`,
      '1 LEAVE client 76 place 0',
      '1 VIEW view 3 dead 0',
    ]);
  });

  it('grants no id twice and no place that is taken, when it is the one that grants', () => {
    const { pool, view, before, fabric, usher } = joining(0);
    const highestCid = run(fabric, usher.highestCid(before.grantingMn));
    expect(highestCid).toBe(0);
    view.change(3, []);
    expect(run(fabric, usher.admit(0, { before, members: MEMBERS, highestCid: 12 }))).toBe(true);
    const asked = { operation: RpcOperation.JOIN, cid: 0, argument: 1, other: 2 };
    const { fabric: own, coroutine } = pool.outsider(0);
    const granted = run(own, coroutine.cx.allocator.lane.ask(0, asked, { isBackground: false }));
    expect([granted?.value, granted?.pointer]).toEqual([77, 1]);
  });

  it('repeats what was lost under one number, and gives up on a node that is silent', () => {
    const once = joining(1, (call, count) => call.includes('JOIN client 3') && count < 3);
    once.view.change(3, []);
    expect(run(once.fabric, once.usher.admit(1, { before: once.before, members: MEMBERS }))).toBe(true);
    expect(once.calls.filter((call) => call.includes('JOIN client 3'))).toHaveLength(3);
    const deaf = joining(1, (call) => call.includes('JOIN client 9'));
    deaf.view.change(3, []);
    expect(run(deaf.fabric, deaf.usher.admit(1, { before: deaf.before, members: MEMBERS }))).toBe(false);
    // It does not hear of the view in which it lives.
    expect(deaf.calls.at(-1)).toMatch(/JOIN client 9/);
    const silent = joining(1, (call) => call.startsWith('0 '));
    expect(run(silent.fabric, silent.usher.announce(1, { number: 3, dead: [] }))).toBe(false);
    expect(run(silent.fabric, silent.usher.highestCid(0))).toBeUndefined();
  });

  it('is told nothing of ids when nobody has joined by calls', () => {
    const { view, before, fabric, usher, calls } = joining(1);
    view.change(3, []);
    expect(run(fabric, usher.admit(1, { before, members: [] }))).toBe(true);
    expect(calls).toEqual(['1 VIEW view 2 dead 10', '1 VIEW view 3 dead 0']);
  });
});

it('the client table is cleared where it is not in use, and nowhere else', () => {
  const { pool, view, fabric, usher } = joining(1);
  view.change(3, []);
  const at = CLIENTS_BASE + 8 * 5;
  for (let mn = 0; mn < 3; mn++) pool.nodes.store(mn, at, 7, 7);
  run(fabric, usher.clearTables());
  const held = Array.from({ length: 3 }, (_, mn) => pool.nodes.load(mn, at, word()).lo);
  expect(held).toEqual([0, 1, 2].map((mn) => (mn === view.directoryMn(1) ? 0 : 7)));
});
