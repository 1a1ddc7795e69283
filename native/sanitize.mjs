// Runs the tests of the addon and of the shared-memory and TCP fabrics under a sanitizer:
// `node native/sanitize.mjs address|thread [test files]`. Fails when a test fails or any process reported an
// error.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sanitizer = process.argv[2];
const runtime = { address: 'libasan.so', thread: 'libtsan.so' }[sanitizer];
if (runtime === undefined) {
  console.error('usage: node native/sanitize.mjs address|thread');
  process.exit(2);
}
const filters =
  process.argv.length > 3 ? process.argv.slice(3) : ['native/', 'fusee/fabric/shm', 'fusee/fabric/tcp'];
const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);

const build = spawnSync(process.execPath, [join(here, 'build.mjs')], {
  stdio: 'inherit',
  env: { ...process.env, FUSEE_SANITIZE: sanitizer },
});
if (build.status !== 0) process.exit(1);

const found = spawnSync('gcc', [`-print-file-name=${runtime}`], { encoding: 'utf8' });
const library = found.stdout?.trim() ?? '';
if (!library.startsWith('/')) {
  console.error(`${runtime} is not installed: it comes with gcc (Debian: libasan8, libtsan2)`);
  process.exit(1);
}

// Reports go to files, one per process, since child processes of the tests have no output that anybody reads.
const reports = mkdtempSync(join(tmpdir(), 'fusee-sanitize-'));
const options = [
  `log_path=${join(reports, 'report')}`,
  // Node itself leaks on some exits. Its own synchronization is invisible to ThreadSanitizer, which then
  // reports races within V8: only reports with a frame of ours count, and a report is no reason to exit with
  // 66. Its detector of deadlocks ends a process whose thread holds many mutexes, as one with 255 sessions.
  ...(sanitizer === 'address'
    ? ['detect_leaks=0']
    : ['ignore_noninstrumented_modules=1', 'exitcode=0', 'die_after_fork=0', 'detect_deadlocks=0']),
].join(':');
const tests = spawnSync(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', root, '--testTimeout=120000', ...filters],
  {
    stdio: 'inherit',
    env: {
      ...process.env,
      FUSEE_SANITIZE: sanitizer,
      LD_PRELOAD: library,
      ASAN_OPTIONS: options,
      TSAN_OPTIONS: options,
    },
  },
);
let count = 0;
for (const name of readdirSync(reports)) {
  for (const report of readFileSync(join(reports, name), 'utf8').split(/^={10,}$/m)) {
    if (!/(WARNING|ERROR): \w+Sanitizer/.test(report)) continue;
    if (sanitizer === 'thread' && !report.includes('fusee.node')) continue;
    count++;
    console.error(report);
  }
}
rmSync(reports, { recursive: true });
console.log(`${sanitizer} sanitizer: ${count} reports`);
process.exit(count > 0 || tests.status !== 0 ? 1 : 0);
