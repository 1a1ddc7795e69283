// What TCP costs the store, beside programs that do nothing else, in one run and on the same processors:
// `npm run bench:tcp` (after `npm run build`; takes g++, and redis-server with redis-benchmark).
//
//   SEARCH    p50 of hits of 1 KiB, one outstanding, against a bare ping-pong of the same bytes in C++;
//             both ends on one processor, which is one of the two speeds that a loopback has
//   16 deep   hits per second of one client with 16 coroutines and one node, against
//             `redis-benchmark -c 1 -P 16` GET of 1 KiB; everybody on the first two processors
//
// Rounds alternate, and ratios are medians over rounds: this says little on a machine that does other things.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const main = join(root, 'dist', 'harness', 'cli', 'main.js');
const rounds = Number(process.argv[2] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'fusee-tcp-figures-'));
/** READ of the slot and of the object: two requests; two heads, the word, the object in whole lines. */
const [REQUEST_BYTES, RESPONSE_BYTES] = [64, 32 + 8 + 1088];

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function run(cpus, command, args) {
  const { status, stdout, stderr, error } = spawnSync('taskset', ['-c', cpus, command, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (error || status !== 0) throw new Error(`${command} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

function bench(cpus, coroutines, requests) {
  const shape = ['-c', '1', '--coroutines', coroutines, '-n', '1', '-r', '1', '--records', '2000'];
  const size = ['--requests', requests, '--kv-bytes', '1024', '--seconds', '5'];
  const rest = ['--fabric', 'tcp', '-w', 'micro-search', '--out', folder, '--no-figures', '--json'];
  return JSON.parse(run(cpus, process.execPath, [main, 'bench', ...shape, ...size, ...rest]));
}

async function redis(cpus, requests) {
  const port = '17379';
  const server = spawn(
    'taskset',
    ['-c', cpus, 'redis-server', '--port', port, '--save', '', '--bind', '127.0.0.1'],
    {
      stdio: 'ignore',
    },
  );
  let failure;
  server.on('error', (error) => {
    failure = error;
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (failure !== undefined) throw failure;
    const at = ['-p', port, '-c', '1', '-P', '16', '-d', '1024', '-r', '2000', '--csv'];
    run(cpus, 'redis-benchmark', [...at, '-t', 'set', '-n', '20000']);
    const line = run(cpus, 'redis-benchmark', [...at, '-t', 'get', '-n', requests]).split('\n');
    return Number(/"GET","([\d.]+)"/.exec(line.join('\n'))[1]);
  } finally {
    server.kill('SIGTERM');
  }
}

try {
  const pingPong = join(folder, 'ping_pong');
  const source = join(root, 'native', 'bench', 'ping_pong.cc');
  const compiled = spawnSync('g++', ['-O2', '-std=c++20', '-o', pingPong, source], { stdio: 'inherit' });
  if (compiled.status !== 0) throw new Error('the ping-pong cannot be compiled: it takes g++');
  const latencies = [];
  const rates = [];
  for (let round = 0; round < rounds; round++) {
    const [bareNs] = run('0', pingPong, ['20000', REQUEST_BYTES, RESPONSE_BYTES]).split(' ').map(Number);
    const row = bench('0', '1', '20000');
    const searchNs = row.latencyNs.search.p50;
    latencies.push(searchNs / bareNs);
    console.log(`SEARCH p50 ${searchNs / 1e3} µs, bare ping-pong ${bareNs / 1e3} µs`);
    const { throughputOps } = bench('0,1', '16', '300000');
    const redisOps = await redis('0,1', '200000').catch((error) => {
      console.log(`no figure of redis: ${error.message}`);
      return null;
    });
    console.log(`16 coroutines ${Math.round(throughputOps)} SEARCH/s, redis ${redisOps} GET/s`);
    if (redisOps !== null) rates.push(throughputOps / redisOps);
  }
  console.log(`SEARCH p50 is ${median(latencies).toFixed(2)} x the ping-pong (at most 1.3 is asked)`);
  if (rates.length > 0)
    console.log(`16 deep it is ${median(rates).toFixed(2)} x redis (at least 0.8 is asked)`);
  console.log(`load of the machine: ${loadavg()[0].toFixed(1)}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
