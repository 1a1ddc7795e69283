/**
 * `fusee verify --speed`, in a process with the flags that measured processes have: prints a line for each
 * load as it is known. With `--json` each is an object.
 */
import { formatSpeed, measureSpeed, speedHeading } from './speed.js';

/** Runs of each load: the median stands. */
const REPEATS = 3;

const json = process.argv.includes('--json');
if (!json) process.stdout.write(`${speedHeading()}\n`);
const rows = measureSpeed({
  repeats: REPEATS,
  onRow: (row) => process.stdout.write(`${json ? JSON.stringify(row) : formatSpeed(row)}\n`),
});
if (rows.some((row) => row.findings > 0)) process.exitCode = 1;
