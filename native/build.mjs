// Builds the addon: `node native/build.mjs`. Does nothing when sources, Node and sanitizer are those of the
// last build. FUSEE_SANITIZE=address|thread builds a second addon beside the normal one, under
// native/build/<sanitizer>.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const sanitizer = process.env.FUSEE_SANITIZE ?? 'none';
if (!['none', 'address', 'thread'].includes(sanitizer)) {
  console.error(`FUSEE_SANITIZE is "${sanitizer}": use address or thread, or unset it`);
  process.exit(2);
}

/** node-gyp builds into ./build of where it runs, so a sanitized build gets its own folder and gyp file. */
const folder = sanitizer === 'none' ? here : join(here, 'build', sanitizer);
const output = join(folder, 'build', 'Release', 'fusee.node');
const stamp = join(folder, 'build', 'fusee.stamp');

/** The verbs addon is built where rdma-core's headers are; `fusee/fabric` says how to get them. */
const hasVerbs = hasRdmaCore() ? 'yes' : 'no';

const hash = hashSources();
if (existsSync(output) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) {
  console.log(`addon is up to date (${output})`);
  process.exit(0);
}
if (sanitizer !== 'none') {
  mkdirSync(folder, { recursive: true });
  const gyp = readFileSync(join(here, 'binding.gyp'), 'utf8');
  writeFileSync(join(folder, 'binding.gyp'), gyp.replace('"fusee_src%": "src"', '"fusee_src%": "../../src"'));
}
run(['configure', ...headerFlags()]);
run(['build', '--jobs', 'max']);
writeFileSync(stamp, hash);
console.log(`addon is built (${output})`);

/** The sources, the build itself, and the Node that the addon is for. */
function hashSources() {
  const sum = createHash('sha256');
  sum.update(
    `${process.versions.modules} ${process.version} ${process.arch} ${sanitizer} verbs ${hasVerbs}\n`,
  );
  for (const name of ['binding.gyp', 'build.mjs']) sum.update(readFileSync(join(here, name)));
  for (const name of readdirSync(join(here, 'src')).sort()) {
    sum.update(`${name}\n`);
    sum.update(readFileSync(join(here, 'src', name)));
  }
  return sum.digest('hex');
}

function hasRdmaCore() {
  const found = spawnSync('pkg-config', ['--exists', 'libibverbs', 'librdmacm']);
  if (found.error === undefined) return found.status === 0;
  return existsSync('/usr/include/infiniband/verbs.h') && existsSync('/usr/include/rdma/rdma_cma.h');
}

/** Headers that came with this Node, so that nothing is downloaded; else node-gyp decides. */
function headerFlags() {
  for (const prefix of [dirname(dirname(process.execPath)), '/usr']) {
    const file = join(prefix, 'include', 'node', 'node_version.h');
    if (!existsSync(file)) continue;
    const text = readFileSync(file, 'utf8');
    const part = (name) => text.match(new RegExp(`#define NODE_${name}_VERSION (\\d+)`))?.[1];
    const version = `v${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`;
    if (version === process.version) return [`--nodedir=${resolve(prefix)}`];
  }
  return [];
}

function run(args) {
  const gyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  const done = spawnSync(process.execPath, [gyp, ...args, '-C', folder, '--loglevel=warn'], {
    stdio: 'inherit',
    env: { ...process.env, JOBS: process.env.JOBS ?? 'max', FUSEE_VERBS: hasVerbs },
  });
  if (done.status !== 0) {
    console.error(
      `node-gyp ${args[0]} failed: the addon needs python3, make and a C++20 compiler (gcc 12 or newer)`,
    );
    process.exit(1);
  }
}
