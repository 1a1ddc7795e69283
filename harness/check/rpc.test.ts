/**
 * ALLOC over a channel that loses and repeats: every fate of every RPC of an INSERT that has no block yet.
 * The lease that bounds a leaked block comes later (hazard H12); that no block is owned twice belongs here.
 */
import { describe, expect, it } from 'vitest';
import { executeVerb } from '../../fusee/fabric/execute-verb.js';
import { Outcome } from '../../fusee/ops/index.js';
import { Field, Opcode, Status } from '../../fusee/verbs/index.js';
import { ClientRun, FOUND } from './scenario/client-run.js';
import { TinyPool } from './scenario/pool.js';
import { makeScenario } from './scenario/scenario.js';

/** What may become of one RPC. */
const FATES = ['arrives', 'request lost', 'response lost', 'arrives twice'] as const;

/** Runs the clients one after the other under a list of fates, and tells how it went. */
function run(fates: readonly number[]): {
  asked: number;
  results: (number | 'unavailable')[];
  owners: number[];
} {
  const scenario = makeScenario('- -', 'I0 S0 | I1 S1', { objectsMax: 99 });
  const pool = new TinyPool(scenario);
  const nodes = pool.makeNodes();
  let asked = 0;
  const results: (number | 'unavailable')[] = [];
  const owners: number[] = [];
  for (const client of [0, 1]) {
    const c = new ClientRun(pool, client, { hasBlock: false });
    // Nobody has left a block behind: it is ALLOC whose fates are drawn.
    c.cx.client.slab.orphans.fill(0);
    for (c.start(); c.batch !== null; c.resume(0)) {
      const { batch } = c;
      for (let i = 0; i < batch.count; i++) {
        const fate = batch.opcode(i) === Opcode.RPC ? FATES[fates[asked++] ?? 0] : 'arrives';
        if (fate === 'arrives twice') executeVerb(nodes, batch, i);
        if (fate !== 'request lost') executeVerb(nodes, batch, i);
        if (fate.endsWith('lost')) batch.setField(i, Field.STATUS, Status.FAIL);
      }
      results.push(...c.responses);
    }
    results.push(...c.responses);
    if (c.isUnavailable) results.push('unavailable');
    else owners.push(Math.floor(c.cx.cell / pool.config.blockBytes));
  }
  return { asked, results, owners };
}

describe('ALLOC by RPC', () => {
  it('never gives one block to two clients, and an INSERT is served or says it was not', () => {
    let schedules = 0;
    const reached = new Set<string>();
    const explore = (fates: number[]): void => {
      const { asked, results, owners } = run(fates);
      const told = fates.map((f) => FATES[f]).join(', ');
      expect(new Set(owners).size, told).toBe(owners.length);
      if (results.includes('unavailable')) reached.add('unavailable');
      else {
        expect(results.length, told).toBe(4);
        expect([results[0], results[2]], told).toEqual([Outcome.OK, Outcome.OK]);
        expect(Math.min(results[1] as number, results[3] as number), told).toBeGreaterThan(FOUND);
        reached.add('served');
      }
      schedules++;
      if (fates.length < asked && fates.length < 6)
        for (let f = 0; f < FATES.length; f++) explore([...fates, f]);
    };
    explore([]);
    expect(schedules).toBeGreaterThan(500);
    expect([...reached].sort()).toEqual(['served', 'unavailable']);
  });
});
