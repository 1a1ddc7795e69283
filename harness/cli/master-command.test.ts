/** What `fusee recover` prints: of a real recovery, of which every kind of request is part. */
import { describe, expect, it } from 'vitest';
import {
  Chronicle,
  countRequest,
  type MasterStatus,
  noRequests,
  StepTimes,
} from '../../fusee/host/status.js';
import type { ByHand } from '../../fusee/ops/by-hand.js';
import { Outcome } from '../../fusee/ops/index.js';
import { run, SmallPool } from '../../fusee/recovery/by-hand.js';
import { recoverClient } from '../../fusee/recovery/index.js';
import { Field, Opcode } from '../../fusee/verbs/index.js';
import { describeStatus } from './master-command.js';

const opcodesOf = ({ batch }: ByHand): number[] =>
  batch === undefined ? [] : Array.from({ length: batch.count }, (_, i) => batch.opcode(i));

/** Steps until the batch that would execute such a verb. */
function stopAt(coroutine: ByHand, isIt: (opcodes: readonly number[]) => boolean): ByHand {
  while (coroutine.batch !== undefined && !isIt(opcodesOf(coroutine))) coroutine.step();
  if (coroutine.batch === undefined) throw new Error('the request has ended before');
  return coroutine;
}

const swaps = (opcodes: readonly number[]): boolean => opcodes.includes(Opcode.CAS);

/** The object's last word has not landed, on any replica. */
function tearObject(coroutine: ByHand): void {
  stopAt(coroutine, (opcodes) => opcodes.includes(Opcode.WRITE));
  const batch = coroutine.batch;
  for (let i = 0; batch !== undefined && i < batch.count; i++)
    if (batch.opcode(i) === Opcode.WRITE) batch.setField(i, Field.LENGTH, batch.field(i, Field.LENGTH) - 8);
  coroutine.execute();
}

/** A client of six coroutines, with a finished request each, dies in c0, c1 twice, c2, c3 and an INSERT. */
function recoverAll(chronicle: Chronicle): void {
  const pool = new SmallPool({ regionsPerNode: 8 });
  const other = pool.outsider(2);
  const coroutines = pool.coroutinesByHand(1, 6);
  for (const [i, coroutine] of coroutines.entries()) {
    expect(other.insert(`k${i}`, 'before')).toBe(Outcome.OK);
    expect(coroutine.insert(`own${i}`, 'o').finish()).toBe(Outcome.OK);
  }
  const [torn, unproposed, proposed, committed, swapped, inserting] = coroutines;
  tearObject(torn.update('k0', 'w'));
  stopAt(unproposed.update('k1', 'w'), swaps);
  stopAt(proposed.update('k2', 'w'), swaps).execute();
  stopAt(stopAt(committed.update('k3', 'w'), swaps).step(), swaps);
  stopAt(stopAt(swapped.update('k4', 'w'), swaps).step(), swaps).execute();
  stopAt(inserting.insert('k6', 'w'), swaps).execute();
  const { fabric, coroutine } = pool.outsider(20);
  const times = new StepTimes(() => fabric.nowNs());
  const requests = noRequests();
  let entries = 0;
  const recovery = recoverClient(
    coroutine.cx,
    { cid: 1, index: 0 },
    {
      onStep: (step) => times.begin(step),
      onWalked: (count) => {
        entries = count;
      },
      onRecovered: (became) => countRequest(requests, became),
    },
  );
  expect(run(fabric, recovery)).toBe(true);
  times.end();
  chronicle.recovered(1, times, { entries, attempts: 1, requests });
  const found = [0, 1, 2, 3, 4, 6].map((i) => other.search(`k${i}`));
  expect(found).toEqual(['before', 'before', 'w', 'w', 'w', 'w']);
}

const STATUS: Omit<MasterStatus, 'recoveries' | 'torn' | 'changes' | 'cache' | 'refused'> = {
  pool: 'p',
  term: 1,
  leaseMs: 1000,
  view: { number: 1, dead: [] },
  spares: 0,
  lost: { regions: 0, subtables: 0 },
  clients: 1,
};

describe('fusee recover', () => {
  it('tells each step, the entries of the log, and what became of c0 to c3', () => {
    const chronicle = new Chronicle(() => 0);
    recoverAll(chronicle);
    const lines = describeStatus({ ...STATUS, ...chronicle.report }).split('\n');
    const cells = (line: string): string[] => line.trim().split(/ {2,}/);
    expect(lines[0]).toBe('view 1, all nodes alive; 1 clients, lease 1000 ms');
    expect(cells(lines[2])).toEqual([
      ...['client', 'fence', 'connect', 'metadata', 'log', 'requests', 'frees', 'blocks', 'place', 'all'],
      ...['log entries', 'dropped', 'over', 'finished', 'undone'],
    ]);
    const row = cells(lines[3]);
    expect(row.slice(1, 10).every((cell) => /^\d+\.\d\d$/.test(cell))).toBe(true);
    // Of c0 nothing is there, so the request before it is looked at, and so it is of one that was dropped
    // because nobody had proposed it; c3 is over.
    expect([row[0], ...row.slice(10)]).toEqual(['1', '11', '1', '3', '3', '0']);
    expect(lines).toHaveLength(5);
  });

  it('tells who could not be recovered, and why', () => {
    const chronicle = new Chronicle(() => 0);
    chronicle.torn(7, 'the log list has no end');
    chronicle.torn(7, 'the log list has no end');
    expect(describeStatus({ ...STATUS, ...chronicle.report })).toBe(
      'view 1, all nodes alive; 1 clients, lease 1000 ms\nno client has been recovered\n' +
        'client 7 stays fenced and is not recovered, its log contradicts itself: the log list has no end\n',
    );
  });
});
