/**
 * Brings a checkout to where everything runs: packages, the native addon, compiled TypeScript. Does only what
 * is out of date, and says what it does.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const quiet = process.argv.includes('--quiet');

function step(what, command, args, { dropsOutput = false } = {}) {
  if (!quiet) process.stderr.write(`${what}\n`);
  const { status, signal, error, stdout } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', dropsOutput ? 'pipe' : 2, 2],
  });
  if (error) throw error;
  if (signal) process.exit(130);
  if (status !== 0) {
    if (stdout) process.stderr.write(stdout);
    process.stderr.write(`${what} failed (status ${status})\n`);
    process.exit(1);
  }
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

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 12)) {
  process.stderr.write(`Node ${process.versions.node} is too old: FUSEE needs Node 20.12 or newer\n`);
  process.exit(1);
}
if (!packagesAreCurrent()) {
  const npm = process.env.npm_execpath;
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  step('installing packages', npm ? process.execPath : 'npm', npm ? [npm, ...args] : args, {
    dropsOutput: true,
  });
}
step('building the native addon', process.execPath, [join('native', 'build.mjs')], { dropsOutput: true });
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
step('compiling TypeScript', process.execPath, [tsc, '-p', '.'], { dropsOutput: true });
// npm makes the command executable when it links it, and tsc writes it anew.
chmodSync(join(root, 'dist', 'harness', 'cli', 'main.js'), 0o755);
step('bundling', process.execPath, [join('harness', 'bundle.mjs')], { dropsOutput: true });
