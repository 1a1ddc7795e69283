/**
 * One folder per run: `<root>/<experiment>/<id>/`.
 *
 * A run is written under `<id>.partial` and gets its plain name only when it finished. One that was stopped
 * ends as `<id>.interrupted`, one that failed as `<id>.failed`, and one whose process died stays `.partial`:
 * none of them can be taken for a result. Rows are only ever appended, sealed (`lines.ts`), by O_APPEND to
 * files that one process alone has made, so writers cannot damage each other's. Writing is synchronous: lines
 * are whole, and the last one is written before a signal handler returns.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type * as z from 'zod';
import { ResultError } from './error.js';
import { HlogWriter, type LatencyInterval } from './hlog.js';
import { sealLine } from './lines.js';
import { type Owner, ownProcess } from './owner.js';
import { type Provenance, provenanceSchema } from './provenance.js';
import { makeFolders, removeEmpty } from './run-folder.js';
import {
  type Attempt,
  attemptSchema,
  type ResultRow,
  type RunEvent,
  resultRowSchema,
  runEventSchema,
  type SeriesPoint,
  seriesPointSchema,
} from './schema.js';
import { parseAs } from './versions.js';

/** Names of the files in a run's folder. */
export const RunFile = {
  EXPERIMENT: 'experiment.json',
  PROVENANCE: 'provenance.json',
  STATUS: 'status.json',
  ROWS: 'rows.ndjson',
  /** What belongs to no cell in particular; cells have files of their own in the folder below. */
  LATENCY: 'latency.hlog',
  CELL_LATENCY: 'latency',
  SERIES: 'series.ndjson',
  EVENTS: 'events.ndjson',
  ATTEMPTS: 'attempts.ndjson',
} as const;

/** How a run ended, or that it has not. */
export type RunState = 'running' | 'finished' | 'interrupted' | 'failed';

/** Suffix of a run's folder in each state. */
export const STATE_SUFFIX: Readonly<Record<RunState, string>> = {
  running: '.partial',
  finished: '',
  interrupted: '.interrupted',
  failed: '.failed',
};

/** What a run is opened with. */
export interface RunOptions {
  /** Folder that holds all runs, usually `results/runs`. It is made when missing. */
  readonly root: string;
  /** Name of the experiment: letters, digits, dots, dashes and underscores. */
  readonly experiment: string;
  /** The experiment with every setting resolved, as it is to be stored. */
  readonly resolved: unknown;
  readonly provenance: Provenance;
  /** Time of the start; now, unless a test says otherwise. */
  readonly now?: Date;
}

/**
 * Begins a run: makes its `.partial` folder with experiment, provenance and empty files. A run that cannot
 * begin leaves nothing.
 * @throws ResultError when the experiment's name cannot be a folder's, the provenance is incomplete, or the
 *   folder cannot be made or written.
 */
export const openRun = (options: RunOptions): Run => {
  const { root, experiment, resolved, provenance } = options;
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(experiment)) {
    throw new ResultError(`experiment "${experiment}" cannot name a folder: letters, digits, . - _ only`);
  }
  parseAs(provenanceSchema, RunFile.PROVENANCE, () => provenance);
  const started = options.now ?? new Date();
  const id = `${started.toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(3).toString('hex')}`;
  const finalFolder = join(root, experiment, id);
  let made: readonly string[] = [];
  try {
    made = makeFolders(join(root, experiment));
    // Its own step: an id that is taken must fail rather than mix two runs.
    mkdirSync(finalFolder + STATE_SUFFIX.running);
    return fillRun({ id, experiment, finalFolder, started, resolved, provenance });
  } catch (error) {
    removeEmpty(made);
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new ResultError(
      `no run can be stored in '${root}' (${error.message}); choose another folder with --out, ` +
        'or make it writable',
    );
  }
};

/** The folder is there and empty; one that cannot be filled goes. */
const fillRun = (setup: RunSetup): Run => {
  try {
    return new Run(setup);
  } catch (error) {
    rmSync(setup.finalFolder + STATE_SUFFIX.running, { recursive: true, force: true });
    throw error;
  }
};

interface RunSetup {
  readonly id: string;
  readonly experiment: string;
  readonly finalFolder: string;
  readonly started: Date;
  readonly resolved: unknown;
  readonly provenance: Provenance;
}

/** A run being written; {@link openRun} makes one. After finish, interrupt or fail it takes nothing more. */
export class Run {
  readonly id: string;
  readonly experiment: string;
  readonly started: Date;
  readonly #finalFolder: string;
  readonly #files = new Map<string, number>();
  /** By file. */
  readonly #latency = new Map<string, HlogWriter>();
  #state: RunState = 'running';
  #rowCount = 0;
  #interruptedRowCount = 0;

  constructor(setup: RunSetup) {
    this.id = setup.id;
    this.experiment = setup.experiment;
    this.started = setup.started;
    this.#finalFolder = setup.finalFolder;
    writeJson(join(this.folder, RunFile.EXPERIMENT), setup.resolved);
    writeJson(join(this.folder, RunFile.PROVENANCE), setup.provenance);
    writeStatus(this.folder, this.#state, this.started, null);
    for (const file of [RunFile.ROWS, RunFile.SERIES, RunFile.EVENTS, RunFile.ATTEMPTS]) {
      this.#files.set(file, openSync(join(this.folder, file), 'ax'));
    }
  }

  /** Where the run is now; the name changes when it ends. */
  get folder(): string {
    return this.#finalFolder + STATE_SUFFIX[this.#state];
  }

  /** Running, or how it ended. */
  get state(): RunState {
    return this.#state;
  }

  /** Appends a result row; throws ResultError when it breaks the schema. */
  appendRow(row: ResultRow): void {
    this.#appendLines(RunFile.ROWS, resultRowSchema, [row]);
    this.#rowCount++;
    if (row.interrupted) this.#interruptedRowCount++;
  }

  /** Appends throughput over time; throws ResultError when a point breaks the schema. */
  appendSeries(points: readonly z.input<typeof seriesPointSchema>[]): void {
    this.#appendLines<SeriesPoint>(RunFile.SERIES, seriesPointSchema, points);
  }

  /** Appends an event; throws ResultError when it breaks the schema. */
  appendEvent(event: z.input<typeof runEventSchema>): void {
    this.#appendLines<RunEvent>(RunFile.EVENTS, runEventSchema, [event]);
  }

  /** Appends an attempt at a cell; throws ResultError when it breaks the schema. */
  appendAttempt(attempt: z.input<typeof attemptSchema>): void {
    this.#appendLines<Attempt>(RunFile.ATTEMPTS, attemptSchema, [attempt]);
  }

  /**
   * Appends the merged latencies of one interval, to the log of a cell or of the run; times are milliseconds
   * since the run started.
   */
  appendLatency(interval: LatencyInterval, cellKey: string | null = null): void {
    this.#requireRunning(RunFile.LATENCY);
    const file = cellKey === null ? RunFile.LATENCY : join(RunFile.CELL_LATENCY, `${cellKey}.hlog`);
    let log = this.#latency.get(file);
    if (log === undefined) {
      if (cellKey !== null) mkdirSync(join(this.folder, RunFile.CELL_LATENCY), { recursive: true });
      log = new HlogWriter((lines) => this.#appendOnce(file, lines), this.started.getTime());
      this.#latency.set(file, log);
    }
    log.append(interval);
  }

  /**
   * Ends the run as a result.
   * @returns its folder, under its plain name.
   * @throws ResultError when it has no row, or a row that was interrupted: that is not a result.
   */
  finish(): string {
    if (this.#rowCount === 0) throw new ResultError(`run ${this.id} has no row, so it cannot finish`);
    if (this.#interruptedRowCount > 0) {
      throw new ResultError(`run ${this.id} has ${this.#interruptedRowCount} interrupted rows: interrupt it`);
    }
    return this.#end('finished', null);
  }

  /** Ends the run as stopped from outside; what was measured so far stays, in a folder that says so. */
  interrupt(reason = 'stopped by the user'): string {
    return this.#end('interrupted', reason);
  }

  /** Ends the run as failed, with the error in `status.json`. */
  fail(error: unknown): string {
    return this.#end('failed', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #appendLines<T>(file: string, schema: z.ZodType<T>, values: readonly unknown[]): void {
    const lines = values.map((value) => sealLine(parseAs(schema, file, () => value) as object));
    const descriptor = this.#files.get(file);
    if (descriptor === undefined) this.#requireRunning(file);
    else if (lines.length > 0) writeAll(descriptor, `${lines.join('\n')}\n`);
  }

  /** Of files that are many, none stays open. */
  #appendOnce(file: string, lines: string): void {
    const descriptor = openSync(join(this.folder, file), 'a');
    try {
      writeAll(descriptor, lines);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  #requireRunning(file: string): void {
    if (this.#state !== 'running')
      throw new ResultError(`run ${this.id} is ${this.#state}: ${file} is closed`);
  }

  #end(state: RunState, reason: string | null): string {
    if (this.#state !== 'running') throw new ResultError(`run ${this.id} is ${this.#state} already`);
    for (const descriptor of this.#files.values()) {
      fsyncSync(descriptor);
      closeSync(descriptor);
    }
    this.#files.clear();
    const before = this.folder;
    this.#state = state;
    // The status goes first: a crash in between leaves a folder still named as partial.
    writeStatus(before, state, this.started, reason);
    renameSync(before, this.folder);
    return this.folder;
  }
}

const writeAll = (descriptor: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
};

const writeStatus = (folder: string, state: RunState, started: Date, reason: string | null): void => {
  const ended = state === 'running' ? null : new Date().toISOString();
  const owner: Owner = ownProcess();
  writeJson(join(folder, RunFile.STATUS), { state, started: started.toISOString(), ended, reason, owner });
};

/** Whole or not at all: a reader, or a crash, never sees half of it. */
const writeJson = (path: string, value: unknown): void => {
  const text = JSON.stringify(value, null, 2);
  if (text === undefined) throw new ResultError(`${path}: nothing to write`);
  writeFileSync(`${path}.new`, `${text}\n`);
  renameSync(`${path}.new`, path);
};
