/** `npm run guest -- COMMAND`: runs a command in the soft-RoCE guest. */
import { runInGuest } from './guest.js';
import { prepareKernel } from './kernel.js';

const outcome = await runInGuest({
  kernel: await prepareKernel(),
  command: process.argv.slice(2),
  folder: process.cwd(),
  timeoutMs: Number(process.env.FUSEE_GUEST_TIMEOUT_MS ?? 120_000),
  onOutput: (text) => process.stdout.write(text),
});
if (outcome.status === null) process.stderr.write(`the guest gave no status\n${outcome.console}`);
process.stderr.write(`guest: ${(outcome.milliseconds / 1000).toFixed(1)} s\n`);
process.exitCode = outcome.status ?? 125;
