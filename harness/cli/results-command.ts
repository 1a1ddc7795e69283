/** `fusee results`: what has been measured, and is stored. */
import { renameSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Argument, Command, Option } from 'commander';
import { UsageError } from '../../fusee/verbs/index.js';
import type { ExportFormat } from '../../results/export.js';
import type { RunState } from '../../results/store.js';
import type { RunPlace } from '../../results/stored-run.js';
import { parseCount } from './parse.js';
import { textTable } from './text-table.js';

interface Common {
  readonly out: string;
}

const STATES: readonly RunState[] = ['finished', 'interrupted', 'failed', 'running'];
const FORMATS: readonly ExportFormat[] = ['csv', 'ndjson', 'json'];

/** Makes the command. */
export function resultsCommand(): Command {
  const command = new Command('results').description('list, show, export, query and prune stored runs');
  const sub = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .addOption(new Option('--out <folder>', 'folder of all runs').default('results/runs'));
  sub('list', 'all runs, oldest first')
    .option('-e, --experiment <name>', 'of this experiment only')
    .option('--json', 'one JSON object per run and line', false)
    .action(list);
  sub('show', 'one run: where it comes from, its rows, what of it is damaged')
    .argument('<run>', 'its id, or the beginning of one')
    .option('--json', 'print one JSON object', false)
    .action(show);
  sub('export', 'rows with their provenance, for other tools')
    .argument('[runs...]', 'ids, or beginnings of them (default: all finished runs)')
    .addOption(new Option('-f, --format <format>', 'form').choices(FORMATS).default('csv'))
    .option('-o, --output <file>', 'write there, whole or not at all (default: standard output)')
    .action(exportRuns);
  sub('query', 'SQL over all runs; tables: runs, rows, all_rows, series, events, attempts, damage')
    .addArgument(new Argument('<sql>', 'one statement, such as "SELECT workload, throughputOps FROM rows"'))
    .option('--json', 'one JSON object per row and line', false)
    .addHelpText('after', QUERY_HELP)
    .action(query);
  sub('prune', 'remove runs: shows which, and asks')
    .option('-e, --experiment <name>', 'of this experiment only')
    .option('--state <states>', `comma-separated: ${STATES.join(', ')}`, 'interrupted,failed,running')
    .option('--older-than <days>', 'only runs that began so many days ago', parseCount('the age in days'))
    .option('--keep <n>', 'keep so many of the newest of each experiment', parseCount('runs to keep'), 0)
    .option('--yes', 'do not ask', false)
    .action(pruneRuns);
  command
    .command('schema')
    .description('what is stored, field by field (SCHEMA.md in results/)')
    .action(async () => {
      const { schemaReference } = await import('../../results/reference.js');
      process.stdout.write(schemaReference());
    });
  return command;
}

const QUERY_HELP = `
Fields are as \`fusee results schema\` lists them, and lists and objects are SQL's own: latencyNs.search.p99,
trust.verdict, outcomes.update['OK']. rows holds what was measured, once; all_rows also what --resume copied.

  fusee results query "SELECT workload, clients, median(throughputOps) FROM rows GROUP BY ALL ORDER BY ALL"
  fusee results query "SELECT commit, max(throughputOps) FROM rows JOIN runs USING (runId) GROUP BY commit"
`;

const say = (text: string): boolean => process.stdout.write(`${text}\n`);
const complain = (text: string): boolean => process.stderr.write(`fusee: ${text}\n`);

async function list({
  out,
  experiment,
  json,
}: Common & { experiment?: string; json: boolean }): Promise<void> {
  const { listRuns, readProvenance, readRunRows } = await import('../../results/stored-run.js');
  const { ResultError } = await import('../../results/error.js');
  const { describeDamage } = await import('../../results/lines.js');
  const told = [];
  for (const place of listRuns(out, {
    states: STATES,
    ...(experiment === undefined ? {} : { experiment }),
  })) {
    try {
      const { commit, dirty, machine } = readProvenance(place.folder);
      const { values: rows, damage } = readRunRows(place.folder);
      for (const one of damage) complain(`skipped ${describeDamage(one)}`);
      const workloads = [...new Set(rows.map((row) => row.workload))];
      const run = { ...place, commit, dirty, machine: machine.class, rows: rows.length, workloads };
      told.push({ ...run, damaged: damage.length });
    } catch (error) {
      if (!(error instanceof ResultError)) throw error;
      complain(`skipped ${place.folder}: ${error.message}`);
    }
  }
  if (json) for (const run of told) say(JSON.stringify(run));
  else if (told.length === 0) say(`no runs in ${out}`);
  else {
    const head = ['run', 'experiment', 'state', 'rows', 'commit', 'machine', 'workloads'];
    const lines = told.map((run) => [
      run.id,
      run.experiment,
      run.state,
      run.rows,
      run.commit === null ? '-' : `${run.commit.slice(0, 10)}${run.dirty === true ? '+' : ''}`,
      run.machine,
      run.workloads.join(' '),
    ]);
    for (const line of textTable([head, ...lines])) say(line);
  }
}

/** The one run whose id begins so. */
async function findRun(out: string, id: string): Promise<RunPlace> {
  const { listRuns } = await import('../../results/stored-run.js');
  const found = listRuns(out, { states: STATES }).filter((place) => place.id.startsWith(id));
  if (found.length === 1) return found[0];
  throw new UsageError(
    found.length === 0
      ? `no run in ${out} has an id that begins with '${id}'; \`fusee results list\` shows them`
      : `${found.length} runs in ${out} have ids that begin with '${id}'; give more of it`,
  );
}

async function show(id: string, { out, json }: Common & { json: boolean }): Promise<void> {
  const { readRun } = await import('../../results/stored-run.js');
  const { describeDamage } = await import('../../results/lines.js');
  const { formatTable } = await import('../../results/table.js');
  const { latency, ...run } = readRun((await findRun(out, id)).folder);
  for (const one of run.damage) complain(`skipped ${describeDamage(one)}`);
  if (json) {
    say(JSON.stringify({ ...run, latencyTags: [...new Set(latency.map(({ tag }) => tag))] }));
    return;
  }
  const { status, provenance: from } = run;
  say(`${run.folder}: ${status.state}, from ${status.started} to ${status.ended ?? 'now'}`);
  if (status.reason !== null) say(`reason: ${status.reason}`);
  const changes = from.dirty === true ? ` with changes ${from.dirtyHash?.slice(0, 10)}` : '';
  say(
    `code: commit ${from.commit ?? 'unknown'}${changes}, build ${from.build ?? 'unknown'}, version ${from.version}`,
  );
  const { cpuModel, cores, memoryGiB } = from.machine;
  say(
    `machine: ${from.machine.class}, ${cpuModel}, ${cores} cores, ${memoryGiB} GiB, ${from.kernel}, ${from.node}`,
  );
  const nics = from.nics?.map(({ name, driver }) => `${name} (${driver ?? 'unknown driver'})`);
  say(
    `network: ${nics === undefined ? 'unknown' : nics.join(', ') || 'none'}, fabric ${from.fabric ?? 'unknown'}`,
  );
  if (run.rows.length > 0) process.stdout.write(`\n${formatTable(run.rows)}`);
  for (const { cell, repetition, outcome, reason } of run.attempts) {
    if (outcome !== 'ok')
      say(`${cell} (repetition ${repetition}): ${outcome}${reason === null ? '' : `, ${reason}`}`);
  }
}

async function exportRuns(
  ids: readonly string[],
  { out, format, output }: Common & { format: ExportFormat; output?: string },
): Promise<void> {
  const { listRuns, readProvenance, readRunRows } = await import('../../results/stored-run.js');
  const { ResultError } = await import('../../results/error.js');
  const { exportRows } = await import('../../results/export.js');
  const { describeDamage } = await import('../../results/lines.js');
  const places = ids.length === 0 ? listRuns(out) : await Promise.all(ids.map((id) => findRun(out, id)));
  const rows = places.flatMap(({ id, folder }) => {
    try {
      const provenance = readProvenance(folder);
      const read = readRunRows(folder);
      for (const one of read.damage) complain(`skipped ${describeDamage(one)}`);
      return read.values.map((row) => ({ runId: id, row, provenance }));
    } catch (error) {
      if (!(error instanceof ResultError)) throw error;
      complain(`skipped ${folder}: ${error.message}`);
      process.exitCode = 1;
      return [];
    }
  });
  const text = exportRows(rows, format);
  if (output === undefined) process.stdout.write(text);
  else {
    writeFileSync(`${output}.new`, text);
    renameSync(`${output}.new`, output);
  }
}

async function query(sql: string, { out, json }: Common & { json: boolean }): Promise<void> {
  const { queryRuns } = await import('../../results/sql/query.js');
  const { columns, rows, damaged } = await queryRuns(out, sql);
  if (damaged > 0) complain(`${damaged} lines or runs are damaged and take no part: SELECT * FROM damage`);
  if (json) for (const row of rows) say(JSON.stringify(row));
  else {
    const cell = (value: unknown): string =>
      typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value ?? 'null');
    const lines = rows.map((row) => columns.map((column) => cell(row[column])));
    for (const line of textTable([[...columns], ...lines])) say(line);
  }
}

async function pruneRuns(
  flags: Common & { experiment?: string; state: string; olderThan?: number; keep: number; yes: boolean },
): Promise<void> {
  const { planPrune, prune } = await import('../../results/prune.js');
  const states = flags.state.split(',').map((name) => {
    const state = STATES.find((one) => one === name.trim());
    if (state === undefined) throw new UsageError(`state '${name}' is unknown; choose ${STATES.join(', ')}`);
    return state;
  });
  const { out, experiment, olderThan, keep } = flags;
  const plan = planPrune(out, {
    states,
    keep,
    ...(experiment === undefined ? {} : { experiment }),
    ...(olderThan === undefined ? {} : { before: new Date(Date.now() - olderThan * 86_400e3) }),
  });
  for (const { place, reason } of plan.stays) say(`stays: ${place.folder} (${reason})`);
  for (const { folder } of plan.goes) say(`goes: ${folder}`);
  if (plan.goes.length === 0) say('nothing to remove');
  else if (flags.yes || (await confirms(`Remove ${plan.goes.length} runs?`))) {
    say(`removed ${prune(out, plan)} runs`);
  } else say('nothing was removed; --yes removes what goes');
}

/** Asks a person; where there is none, the answer is no. */
async function confirms(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test(await terminal.question(`${question} [y/N] `));
  } finally {
    terminal.close();
  }
}
