import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collectProvenance, describeMachine, provenanceSchema } from './provenance.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusee-provenance-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const git = (...args: string[]): string => {
  const identity = [
    '-c',
    'user.name=Test',
    '-c',
    'user.email=test@example.org',
    '-c',
    'commit.gpgsign=false',
  ];
  return execFileSync('git', ['-C', folder, ...identity, ...args], { encoding: 'utf8' }).trim();
};

const commitOne = (): string => {
  git('init', '-q');
  writeFileSync(join(folder, 'a.txt'), 'one\n');
  git('add', '.');
  git('commit', '-q', '-m', 'one');
  return git('rev-parse', 'HEAD');
};

test('a clean checkout has its commit and no hash of changes', async () => {
  const commit = commitOne();
  const provenance = await collectProvenance({ folder, version: '0.1.0', now: new Date(0) });
  expect(provenanceSchema.parse(provenance)).toEqual(provenance);
  expect(provenance).toMatchObject({ commit, dirty: false, dirtyHash: null, version: '0.1.0' });
  expect(provenance.date).toBe('1970-01-01T00:00:00.000Z');
  expect(provenance.node).toBe(process.version);
});

test('different changes have different hashes, the same change the same one', async () => {
  commitOne();
  const hashOf = async (): Promise<string | null> => (await collectProvenance({ folder })).dirtyHash;
  writeFileSync(join(folder, 'a.txt'), 'two\n');
  const two = await hashOf();
  expect(two).toMatch(/^[0-9a-f]{64}$/);
  expect(await hashOf()).toBe(two);
  writeFileSync(join(folder, 'a.txt'), 'three\n');
  const three = await hashOf();
  writeFileSync(join(folder, 'new.txt'), '');
  expect(new Set([two, three, await hashOf()]).size).toBe(3);
});

test('from a folder inside the checkout the same changes are seen', async () => {
  commitOne();
  writeFileSync(join(folder, 'new.txt'), '');
  const whole = await collectProvenance({ folder });
  mkdirSync(join(folder, 'inside'));
  expect((await collectProvenance({ folder: join(folder, 'inside') })).dirtyHash).toBe(whole.dirtyHash);
  expect(whole.dirty).toBe(true);
});

test('outside a checkout, and before the first commit, the commit is null', async () => {
  const expected = { commit: null, dirty: null, dirtyHash: null };
  const isolated = process.env['GIT_CEILING_DIRECTORIES'];
  process.env['GIT_CEILING_DIRECTORIES'] = tmpdir();
  try {
    expect(await collectProvenance({ folder })).toMatchObject(expected);
  } finally {
    if (isolated === undefined) delete process.env['GIT_CEILING_DIRECTORIES'];
    else process.env['GIT_CEILING_DIRECTORIES'] = isolated;
  }
  git('init', '-q');
  expect(await collectProvenance({ folder })).toMatchObject(expected);
});

test('the class of a machine ignores what a kernel keeps of the memory, and nothing else', () => {
  const facts = { cpuModel: 'AMD EPYC  7B13', cores: 2, memoryBytes: 15.6 * 2 ** 30, architecture: 'x64' };
  const machine = describeMachine(facts);
  expect(machine).toMatchObject({ memoryGiB: 16, cpuModel: 'AMD EPYC 7B13' });
  expect(describeMachine({ ...facts, memoryBytes: 15.4 * 2 ** 30 }).class).toBe(machine.class);
  const others = [
    { cores: 4 },
    { memoryBytes: 31 * 2 ** 30 },
    { architecture: 'arm64' },
    { cpuModel: 'Xeon' },
  ];
  for (const change of others) expect(describeMachine({ ...facts, ...change }).class).not.toBe(machine.class);
});
