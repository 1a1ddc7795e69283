/** Bad input: one sentence that names the value, the limit and the way out; and nothing was begun. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ShmNode } from '../../fusee/fabric/shm-node.js';
import { writeSuperblock } from '../../fusee/layout/index.js';
import { smallPool } from '../../fusee/node/in-process.js';
import { MAIN, RunFolder, Running, regions } from './run-fusee.js';

const folder = new RunFolder();
afterAll(() => folder.remove());

const pool = `e2e-bad-${process.pid}`;
const file = join(folder.path, 'a-file');
writeFileSync(file, 'not a folder');

/** Runs a command that must be refused, in an empty place. */
async function refused(args: readonly string[]): Promise<{ status: number | null; message: string }> {
  const running = new Running(args, { cwd: folder.path });
  const { status, stdout, stderr } = await running.ended;
  expect(stdout).toBe('');
  expect(readdirSync(folder.path)).toEqual(['a-file']);
  expect(regions(`fusee-bench-${running.pid}-`)).toEqual([]);
  expect(regions(`fusee-${pool}`)).toEqual([]);
  return { status, message: stderr };
}

type Case = [what: string, status: 1 | 2, args: string, message: RegExp];

const cases: Case[] = [
  ['an unknown workload', 2, 'bench -w ycsb-z', /workload 'ycsb-z' is unknown; known: ycsb-a, .* trace$/],
  ['no clients', 2, 'bench -c 0', /clients is 0; choose a whole number from 1 to 64$/],
  [
    'more replicas than nodes',
    2,
    'bench -r 4',
    /replicas is 4 but the pool has 3 nodes; use more nodes or fewer/,
  ],
  [
    'a value over the largest class',
    2,
    'bench --kv-bytes 20KiB',
    /KV size is 20480 bytes; choose one from 25 to 16290/,
  ],
  [
    'too little shared memory',
    2,
    'bench --records 60M',
    /needs \d+ MiB .* \d+ MiB of .* are free; use fewer records/,
  ],
  [
    'a size that is none',
    2,
    'bench --kv-bytes 1kb',
    /the KV size is '1kb'; give bytes such as 1024, 64KiB or 1GiB$/,
  ],
  [
    'a number that is none',
    2,
    'bench --records many',
    /records is 'many'; give a whole number such as 500, 100k or 2M$/,
  ],
  [
    'a time without a unit',
    2,
    'bench --rtt 5',
    /the round trip is '5'; give a time such as 0, 500ns, 2us, 1ms or 3s$/,
  ],
  ['a missing trace', 2, 'bench -w trace --trace none', /trace none cannot be read: ENOENT.*'none'$/],
  [
    'a folder that is a file',
    1,
    'bench --out a-file',
    /no run can be stored in 'a-file' \(ENOTDIR: not a directory, mkdir '.*a-file\/bench'\); choose another/,
  ],
  [
    'a folder where none can be made',
    1,
    'bench --out /proc/x',
    /in '\/proc\/x' \(ENOENT: .* mkdir '\/proc\/x'\); choose another folder with --out, or make it writable$/,
  ],
  ['a folder that may not be made', 1, 'bench --out /sys/x', /in '\/sys\/x' \((EPERM|EACCES|EROFS): .*--out/],
  ['an unknown option', 2, 'bench --clientz 3', /unknown option '--clientz'/],
  ['an unknown command', 2, 'benhc', /unknown command 'benhc'[\s\S]*Did you mean bench\?/],
  ['a key that is no UTF-8', 2, 'kv get \uFFFD', /the key holds bytes that are no UTF-8 .* as a Uint8Array/],
  ['an unknown request', 2, 'kv fetch k', /unknown command 'fetch'/],
  ['a missing argument', 2, 'kv put k', /missing required argument 'value'/],
  ['too many arguments', 2, 'bench now', /too many arguments for 'bench'/],
  [
    'a pool that is not running',
    1,
    `kv get k -p ${pool}`,
    /region fusee-.*-0 is not there: start its memory node first$/,
  ],
  [
    'a pool without a proper name',
    2,
    'kv get k -p a/b',
    /the pool's name is 'a\/b'; use 1 to 150 of the characters A-Z/,
  ],
  ['a node of that name', 2, 'node -p a/b', /the pool's name is 'a\/b'; use 1 to 150 of the characters A-Z/],
  [
    'a node with too little memory',
    2,
    `node -p ${pool} -m 1MiB`,
    /the memory is 1048576 bytes, but a node needs at least \d+/,
  ],
  [
    'a node with too much memory',
    2,
    `node -p ${pool} -m 500GiB`,
    /a node needs \d+ MiB of shared memory, \d+ MiB of/,
  ],
  [
    'a node with endless memory',
    2,
    `node -p ${pool} -m 200000GiB`,
    /the memory is \d+ bytes; one node takes at most \d+: use more nodes/,
  ],
  [
    'a node beyond the pool',
    2,
    `node -p ${pool} -i 2 -n 2`,
    /the node is number 2; a pool of 2 has nodes 0 to 1$/,
  ],
  ['a node for no keys', 2, `node -p ${pool} --keys 0`, /keys is 0; choose a whole number from 1 to/],
  [
    'a node with too many replicas',
    2,
    `node -p ${pool} --data-replicas 2`,
    /data replicas is 2 but the pool has 1 node; use/,
  ],
];

describe.concurrent('refused, before anything starts:', () => {
  it.each(cases)('%s (status %i): fusee %s', async (_, status, args, message) => {
    const ended = await refused(args.split(' '));
    expect(ended.status).toBe(status);
    expect(ended.message.trimEnd()).toMatch(message);
    // One sentence, no stack; of what commander finds, a hint on a line of its own.
    expect(ended.message.trimEnd().split('\n').length).toBeLessThanOrEqual(
      /^error:/.test(ended.message) ? 4 : 1,
    );
    expect(ended.message).toMatch(/^(fusee|error): /);
    expect(ended.message).not.toMatch(/^\s+at /m);
  });

  it('a pool of another layout version, which is named with our own', async () => {
    const name = `e2e-old-${process.pid}`;
    const config = smallPool({ nodes: 1, indexReplicas: 1, dataReplicas: 1 });
    const node = new ShmNode({ pool: name, mn: 0, memoryBytes: 1 << 16, prefault: false });
    try {
      writeSuperblock(new Uint8Array(node.memory), config, 0);
      new DataView(node.memory).setUint32(8, 7, true);
      node.ready();
      const { status, message } = await refused(['kv', 'get', 'k', '-p', name]);
      expect(status).toBe(2);
      expect(message).toMatch(
        /^fusee: pool '.*' has layout version 7, this program reads version \d+; use the program .*\n$/,
      );
    } finally {
      node.close();
    }
  });
});

it('output that cannot be written is one sentence, and a failure', () => {
  const full = openSync('/dev/full', 'w');
  const stdio = ['ignore', full, 'pipe'] as const;
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'verify', '--seed', '5'], {
    stdio: [...stdio],
    encoding: 'utf8',
  });
  closeSync(full);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^fusee: the output cannot be written \(ENOSPC.*\): send it elsewhere\n$/);
});

describe('help', () => {
  it('shows examples, and every command and option, with status 0', async () => {
    const ended = await new Running(['--help']).ended;
    expect([ended.status, ended.stderr]).toEqual([0, '']);
    expect(ended.stdout).toMatch(/Examples:\n {2}fusee bench /);
    for (const command of ['bench', 'kv', 'node']) expect(ended.stdout).toContain(`  ${command}`);
    const bench = await new Running(['bench', '--help']).ended;
    expect(bench.stdout).toMatch(/--workload <names>[\s\S]*--json/);
  });

  it('comes with status 2 when nothing was asked for', async () => {
    const ended = await new Running([]).ended;
    expect([ended.status, ended.stdout]).toEqual([2, '']);
    expect(ended.stderr).toMatch(/Usage: fusee/);
  });
});
