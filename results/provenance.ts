/**
 * Where a result comes from: the code, the machine and the time, from facts that stay the same between runs.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, lstatSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as z from 'zod';
import { findNics, findPinning, hashBuild, nicSchema, pinningSchema } from './surroundings.js';

const run = promisify(execFile);

/** What {@link collectProvenance} finds out. */
export const provenanceSchema = z.strictObject({
  /** Full commit hash; null outside a git checkout. */
  commit: z.string().nullable(),
  /** Whether the checkout differs from the commit; null outside one. */
  dirty: z.boolean().nullable(),
  /** sha256 of `git diff HEAD`, and of the names and contents of untracked files; null when nothing differs. */
  dirtyHash: z.string().nullable(),
  machine: z.strictObject({
    /** Hash of the other fields: equal classes may be compared. */
    class: z.string(),
    cpuModel: z.string(),
    cores: z.int().min(1),
    memoryGiB: z.number().min(0),
    architecture: z.string(),
  }),
  kernel: z.string(),
  node: z.string(),
  /** Version of the benchmark, where the caller gave one. */
  version: z.string().nullable(),
  /** Hash of the compiled code that ran. */
  build: z.string().nullable().default(null),
  /** Version of the method: figures of different ones are not comparable, whatever the code. */
  benchmark: z.int().nullable().default(null),
  /** Of the experiment; null where it is not one for all its cells. */
  fabric: z.string().nullable().default(null),
  rttNs: z.number().nullable().default(null),
  seed: z.int().nullable().default(null),
  /** sha256 of the trace that is replayed; null when none is. */
  traceHash: z.string().nullable().default(null),
  pinning: pinningSchema.nullable().default(null),
  nics: z.array(nicSchema).nullable().default(null),
  date: z.iso.datetime(),
});
/** Where a result comes from. */
export type Provenance = z.infer<typeof provenanceSchema>;

const NO_FACTS: ExperimentFacts = {
  benchmark: null,
  fabric: null,
  rttNs: null,
  seed: null,
  traceHash: null,
};

/** Facts about a machine that do not change while it runs. */
export interface MachineFacts {
  readonly cpuModel: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly architecture: string;
}

/** What only the experiment knows of its provenance. */
export type ExperimentFacts = Pick<Provenance, 'benchmark' | 'fabric' | 'rttNs' | 'seed' | 'traceHash'>;

/**
 * Collects the provenance of a run of the code in `folder`, whose compiled form lies in `built` below it.
 */
export const collectProvenance = async (
  options: {
    readonly folder?: string;
    readonly built?: readonly string[];
    readonly version?: string | null;
    readonly experiment?: ExperimentFacts;
    readonly now?: Date;
  } = {},
): Promise<Provenance> => {
  const folder = options.folder ?? process.cwd();
  const commit = await git(folder, ['rev-parse', 'HEAD']);
  const changes = commit === null ? null : await hashChanges(folder);
  return {
    commit: commit === null ? null : commit.trim(),
    dirty: changes === null ? null : changes.dirty,
    dirtyHash: changes?.dirty ? changes.hash : null,
    machine: describeMachine({
      cpuModel: os.cpus()[0]?.model ?? 'unknown',
      cores: Math.max(os.cpus().length, 1),
      memoryBytes: os.totalmem(),
      architecture: os.arch(),
    }),
    kernel: `${os.type()} ${os.release()}`,
    node: process.version,
    version: options.version ?? null,
    build: hashBuild((options.built ?? []).map((built) => join(folder, built))),
    ...(options.experiment ?? NO_FACTS),
    pinning: findPinning(),
    nics: findNics(),
    date: (options.now ?? new Date()).toISOString(),
  };
};

/**
 * The class of a machine. Frequencies, load and free memory stay out, since they change from run to run;
 * memory is rounded up to an eighth of a power of two, since kernels keep different small parts of it to
 * themselves.
 */
export const describeMachine = (facts: MachineFacts): Provenance['machine'] => {
  const gib = facts.memoryBytes / 2 ** 30;
  const step = 2 ** (Math.ceil(Math.log2(gib)) - 3);
  const stable = {
    cpuModel: facts.cpuModel.replace(/\s+/g, ' ').trim(),
    cores: facts.cores,
    memoryGiB: Math.ceil(gib / step) * step,
    architecture: facts.architecture,
  };
  const digest = createHash('sha256').update(JSON.stringify(stable)).digest('hex');
  return { class: digest.slice(0, 12), ...stable };
};

/** Output of a git command; null when there is no git, no checkout or no commit. */
const git = async (folder: string, args: readonly string[]): Promise<string | null> => {
  try {
    const { stdout } = await run('git', ['-C', folder, ...args], { maxBuffer: 64 * 2 ** 20 });
    return stdout;
  } catch {
    return null;
  }
};

/** Hashes the difference as git writes it, in pieces, since it may be larger than fits a buffer. */
const hashChanges = async (folder: string): Promise<{ dirty: boolean; hash: string } | null> => {
  const top = await git(folder, ['rev-parse', '--show-toplevel']);
  if (top === null) return null;
  // Whatever the user configured for diffs must not change the hash.
  const diff = ['diff', '--no-ext-diff', '--no-color', '--no-textconv', '--binary', '--src-prefix=a/'];
  const child = spawn('git', ['-C', top.replace(/\n$/, ''), ...diff, '--dst-prefix=b/', 'HEAD'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of child.stdout) {
    hash.update(piece);
    bytes += piece.length;
  }
  const status = await ended;
  const untracked = await git(top.replace(/\n$/, ''), ['ls-files', '--others', '--exclude-standard', '-z']);
  if (status !== 0 || untracked === null) return null;
  hash.update('\0untracked\0').update(untracked);
  const root = top.replace(/\n$/, '');
  for (const name of untracked.split('\0').filter((one) => one !== ''))
    await hashFile(join(root, name), hash);
  return { dirty: bytes + untracked.length > 0, hash: hash.digest('hex') };
};

/** Adds a file's contents, in pieces; of what is no file, or cannot be read, the name alone counts. */
const hashFile = async (path: string, hash: Hash): Promise<void> => {
  try {
    if (lstatSync(path).isFile())
      for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
  }
  hash.update('\0');
};
