import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { ProbedCell } from '../../fusee/fabric/sim/profile.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { drawProbe } from '../../plots/probe.js';
import { probeOwn, probeSim, readProfile } from './probe-run.js';

// Nodes are processes of their own.
vi.setConfig({ testTimeout: 120_000 });

const folder = mkdtempSync(join(tmpdir(), 'fusee-probe-'));
afterAll(() => rmSync(folder, { recursive: true }));

const only = (cells: readonly ProbedCell[], verb: string, bytes: number, chain: number): ProbedCell =>
  cells.find((cell) => cell.verb === verb && cell.bytes === bytes && cell.chain === chain) as ProbedCell;

describe('a probe', () => {
  it.each(['shm', 'tcp'] as const)('measures every verb, size and chain over %s', async (fabric) => {
    const cells = await probeOwn(fabric, { samples: 60 });
    expect(cells).toHaveLength(36);
    for (const cell of cells) {
      expect(cell.p50Ns).toBeGreaterThan(0);
      expect(cell.p99Ns).toBeGreaterThanOrEqual(cell.p50Ns);
      expect(cell.verbsPerSecond).toBeGreaterThan(0);
    }
    const paths = await drawProbe(cells, { fabric, simulated: false, outFolder: folder });
    expect(paths.map((path) => path.split('.').pop())).toEqual(['svg', 'png', 'pdf', 'json', 'csv']);
  });

  it('is a cost profile for the simulator, which then takes as long', async () => {
    const linear = (verb: ProbedCell['verb'], bytes: number, chain: number): ProbedCell => {
      const p50Ns = 20_000 + (chain - 1) * 500 + (bytes - 8) * 2;
      return { verb, bytes, chain, p50Ns, p99Ns: 3 * p50Ns, verbsPerSecond: 1e5, samples: 100 };
    };
    const measured = (['READ', 'WRITE'] as const).flatMap((verb) =>
      [8, 4096].flatMap((bytes) => [1, 16].map((chain) => linear(verb, bytes, chain))),
    );
    const path = join(folder, 'profile.json');
    writeFileSync(path, JSON.stringify({ fabric: 'tcp', cells: measured }));
    const simulated = await probeSim(readProfile(path), { samples: 1000 });
    for (const verb of ['READ', 'WRITE'] as const) {
      for (const [bytes, chain] of [
        [8, 1],
        [8, 16],
        [1024, 1],
        [4096, 1],
      ]) {
        expect(only(simulated, verb, bytes, chain).p50Ns).toBeCloseTo(linear(verb, bytes, chain).p50Ns, -3);
      }
    }
    const { p50Ns, p99Ns } = only(simulated, 'READ', 8, 1);
    expect(p99Ns / p50Ns).toBeGreaterThan(1.5);
    // Without a profile it is what it always was.
    expect(only(await probeSim(null, { samples: 50 }), 'READ', 4096, 1).p50Ns).toBe(2000);
  });

  it('that is none is refused', async () => {
    const path = join(folder, 'wrong.json');
    writeFileSync(path, '{"cells": []}');
    expect(() => readProfile(path)).toThrow(UsageError);
    expect(() => readProfile(join(folder, 'nowhere'))).toThrow(/make it by fusee fabric probe/);
    await expect(probeSim([], { samples: 5 })).rejects.toThrow(/has no READ of one verb/);
  });
});
