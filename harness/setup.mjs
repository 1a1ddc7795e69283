/**
 * Brings a checkout to where everything runs: packages, the native addon, compiled TypeScript. Does only what
 * is out of date, and says what it does.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');

/** Runs steps side by side; ends this process when one has failed, behind the others. */
async function steps(...all) {
  const ended = await Promise.all(all.map(([what, ...command]) => step(what, ...command)));
  const failed = ended.find((status) => status !== 0);
  if (failed !== undefined) process.exit(failed);
}

async function step(what, command, args) {
  if (!quiet) process.stderr.write(`${what}\n`);
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const [status, signal] = await once(child, 'close');
  if (signal) return 130;
  if (status !== 0) process.stderr.write(`${said}${what} failed (status ${status})\n`);
  return status === 0 ? 0 : 1;
}

/** True when node_modules was installed from the lock file as it is now. */
function packagesAreCurrent() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(installed, 'utf8')).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || present[path]?.version === version,
  );
}

/** Of everything that dist is made from. */
function sourcesHash() {
  const sum = createHash('sha256').update(process.version);
  const folders = ['fusee', 'native', 'harness', 'workloads', 'results', 'plots'];
  const sources = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => /\.(ts|mjs)$/.test(name) && !name.startsWith('build'))
      .map((name) => join(folder, name)),
  );
  for (const name of [...sources.sort(), 'tsconfig.json', 'package-lock.json', 'vitest.config.ts'])
    sum.update(`${name}\n`).update(readFileSync(join(root, name)));
  return sum.digest('hex');
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 12)) {
  process.stderr.write(`Node ${process.versions.node} is too old: FUSEE needs Node 20.12 or newer\n`);
  process.exit(1);
}
if (!packagesAreCurrent()) {
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  await steps(['installing packages', npm ? process.execPath : 'npm', npm ? [npm, ...args] : args]);
}
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const stamp = join(root, 'dist', '.stamp');
const hash = sourcesHash();
const isCompiled = existsSync(stamp) && readFileSync(stamp, 'utf8') === hash;
// What is half made is not there.
if (!isCompiled) rmSync(stamp, { force: true });
await steps(
  ['building the native addon', process.execPath, [join('native', 'build.mjs')]],
  ...(isCompiled ? [] : [['compiling TypeScript', process.execPath, [tsc, '-p', '.']]]),
);
if (!isCompiled) {
  // npm makes the command executable when it links it, and tsc writes it anew.
  chmodSync(join(root, 'dist', 'harness', 'cli', 'main.js'), 0o755);
  await steps(['bundling', process.execPath, [join('harness', 'bundle.mjs')]]);
  writeFileSync(stamp, hash);
}
