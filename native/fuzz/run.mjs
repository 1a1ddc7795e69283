// Fuzzes the node's side of a TCP connection:
//
//     node native/fuzz/run.mjs short [SEED]       g++, inputs made from the seed, 8 seconds
//     node native/fuzz/run.mjs long [INPUTS]      libFuzzer (clang), guided by coverage, 10 million inputs
//
// Prints how many inputs there were, and fails when one of them has found something.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [form, argument] = process.argv.slice(2);
if (!['short', 'long'].includes(form)) {
  console.error('usage: node native/fuzz/run.mjs short [SEED] | long [INPUTS]');
  process.exit(2);
}
const SOURCES = ['tcp_peer', 'sha256', 'region', 'rpc_client', 'rpc_server', 'process', 'life'];
const FORMS = {
  short: { compiler: 'g++', flags: ['-fsanitize=address', '-DFUSEE_FUZZ_ALONE'], hint: 'g++' },
  long: { compiler: 'clang++', flags: ['-fsanitize=fuzzer,address'], hint: 'clang' },
};
const { compiler, flags, hint } = FORMS[form];
const folder = join(here, '..', 'build', 'fuzz', form);
mkdirSync(folder, { recursive: true });

const program = join(folder, 'tcp_peer_fuzz');
const stamp = join(folder, 'stamp');
const sum = hashSources();
if (!existsSync(program) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== sum) {
  const files = [
    join(here, 'tcp_peer_fuzz.cc'),
    ...SOURCES.map((name) => join(here, '..', 'src', `${name}.cc`)),
  ];
  run(compiler, [
    '-std=c++20',
    '-O2',
    '-g',
    '-Wall',
    '-Wextra',
    ...flags,
    '-o',
    program,
    ...files,
    '-lpthread',
  ]);
  writeFileSync(stamp, sum);
}
if (form === 'short') run(program, ['1000000000', '8', argument ?? '1']);
else {
  const corpus = join(folder, 'corpus');
  mkdirSync(corpus, { recursive: true });
  const inputs = argument ?? '10000000';
  const artifacts = `-artifact_prefix=${folder}/`;
  run(program, [`-runs=${inputs}`, '-max_len=1024', '-print_final_stats=1', artifacts, corpus]);
}

function hashSources() {
  const hash = createHash('sha256');
  for (const at of [join(here, '..', 'src'), here]) {
    for (const name of readdirSync(at).sort()) hash.update(name).update(readFileSync(join(at, name)));
  }
  return hash.digest('hex');
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) console.error(`${command} cannot be run (${error.message}): install ${hint}`);
  if (status !== 0) process.exit(1);
}
