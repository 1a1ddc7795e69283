/**
 * A timeline of faults as data: a list of events in YAML, each checked against the bench that it is for.
 * README.md in this folder has the table of events.
 *
 * Every complaint is one sentence with file, line and column, the value, the limit and the way out.
 */
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import * as z from 'zod';
import { UsageError } from '../../fusee/verbs/index.js';
import { parseDuration } from '../cli/parse.js';
import { STEPS, type Step, TEARABLE } from './steps.js';

/** What a fault is done to. */
export interface Target {
  readonly role: 'client' | 'node' | 'master';
  /** 'random': drawn from the seed, among those that no earlier event has killed. */
  readonly index: number | 'random';
}

/** A point in the protocol, at which a client dies by SIGKILL to itself. */
export interface CrashPoint {
  readonly operation: CrashOperation;
  /** Number of the round trip in its request, from 1, or its name. */
  readonly batch: number | Step;
  /** How many verbs of the batch have executed; more than it has means all of them. */
  readonly verb: number;
  /** The how-manieth time in the window that such a batch is posted. */
  readonly occurrence: number;
  /** So many bytes of the verb behind those, a WRITE, have landed too. */
  readonly bytes?: number | undefined;
}

/** Requests as timelines name them, in the order of the product's request kinds. */
export const CRASH_OPERATIONS = ['SEARCH', 'INSERT', 'UPDATE', 'DELETE', 'PUT'] as const;
type CrashOperation = (typeof CRASH_OPERATIONS)[number];

/** When a process is killed or stopped: once, or again and again. Times count from the window's start. */
interface When {
  readonly atNs?: number | undefined;
  readonly everyNs?: number | undefined;
  readonly untilNs?: number | undefined;
}

/** A link between a client and a node; undefined stands for all of them. */
interface Link {
  readonly fromNs: number;
  readonly toNs: number;
  readonly client?: number | undefined;
  readonly node?: number | undefined;
}

export type TimelineEvent =
  | (When & { readonly kind: 'kill'; readonly target: Target; readonly replace?: boolean | undefined })
  | (When & { readonly kind: 'stop'; readonly target: Target; readonly forNs: number })
  | { readonly kind: 'crash'; readonly client: number; readonly point: CrashPoint }
  | (Link & { readonly kind: 'delay'; readonly byNs: number })
  | (Link & { readonly kind: 'drop' })
  /** So many new clients join, or so many of those that joined last leave. */
  | (Members & { readonly kind: 'join' })
  | (Members & { readonly kind: 'leave' });

/** How many clients come or go. */
interface Members {
  readonly atNs: number;
  readonly clients: number;
}

/** The bench that a timeline is for. */
export interface BenchShape {
  readonly clients: number;
  readonly nodes: number;
  /** One leads, the others stand by: `master` is the one that leads when it is its turn. */
  readonly masters: number;
  /** Longest window. */
  readonly windowNs: number;
}

/** A stopped process must be heard of again before its silence counts as a failure. */
const STOP_NS_MAX = 15e9;
const BY_NS_MAX = 1e9;
/** Repetitions are data too: so many are enough for anybody. */
const EVERY_NS_MIN = 10e6;
/** Clients that one event lets join. */
const JOIN_MAX = 64;

/**
 * Reads a timeline.
 * @param file its name, for messages.
 * @throws UsageError for the first thing that is wrong: `file:line:column: value, limit, way out`.
 */
export function parseTimeline(text: string, file: string, bench: BenchShape): TimelineEvent[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const complain = (offset: number, message: string): never => {
    const { line, col } = lines.linePos(offset);
    throw new UsageError(`${file}:${line}:${col}: ${message}`);
  };
  const [error] = document.errors;
  if (error !== undefined) complain(error.pos[0], `not YAML: ${error.message}`);
  const placeOf = (path: readonly PropertyKey[]): number => {
    // A field that is missing has no place of its own: its event's then.
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { range?: [number] | null } | undefined;
      if (node?.range) return node.range[0];
    }
    return document.contents?.range[0] ?? 0;
  };
  const value: unknown = document.toJS();
  if (!Array.isArray(value) || value.length === 0) {
    return complain(placeOf([]), "a timeline is a list of events such as '- {at: 2s, kill: client 1}'");
  }
  const events = value.map((item, i) => {
    const kind = kindOf(item);
    if (kind === null) {
      return complain(placeOf([i]), `an event has one of ${KINDS.join(', ')}; ${describe(item)} has not`);
    }
    const parsed = schemas(bench)[kind].safeParse(item);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    if (issue.code === 'unrecognized_keys') {
      const within = document.getIn([i, ...issue.path], true);
      const keys = isMap(within) ? within.items.map((pair) => pair.key) : [];
      const key = keys.find((one) => isScalar(one) && one.value === issue.keys[0]);
      const at = isScalar(key) ? (key.range?.[0] ?? 0) : placeOf([i, ...issue.path]);
      return complain(at, `'${issue.keys[0]}' means nothing to ${kind}; leave it out`);
    }
    const given: unknown = document.getIn([i, ...issue.path]);
    if (issue.code === 'custom' && given !== undefined) {
      return complain(placeOf([i, ...issue.path]), issue.message);
    }
    const name = String(issue.path.at(-1) ?? kind);
    const wrong = given === undefined ? `${name} is missing` : `${name} is ${describe(given)}`;
    return complain(placeOf([i, ...issue.path]), `${wrong}; ${EXAMPLES[kind]}`);
  });
  events.forEach((event, i) => {
    const message = misfit(event, bench);
    if (message !== null) complain(placeOf([i]), message);
  });
  const deadly = killsAll(events, bench);
  if (deadly !== null) complain(placeOf([deadly.at]), deadly.message);
  return events;
}

const KINDS = ['kill', 'stop', 'crash', 'delay', 'drop', 'join', 'leave'] as const;
type Kind = (typeof KINDS)[number];

/** How each kind is written, for who left something out. */
const EXAMPLES: Readonly<Record<Kind, string>> = {
  kill: 'write {at: 2s, kill: client 1}',
  stop: 'write {at: 1s, stop: node 0, for: 500ms}',
  crash: 'write {client: 2, crash: {operation: UPDATE, batch: primary CAS, occurrence: 100}}',
  delay: 'write {from: 1s, to: 2s, delay: {client: 0, node: 1, by: 2ms}}',
  drop: 'write {from: 1s, to: 2s, drop: {client: 0, node: 1}}',
  join: 'write {at: 5s, join: 2}',
  leave: 'write {at: 10s, leave: 2}',
};

function kindOf(item: unknown): Kind | null {
  if (typeof item !== 'object' || item === null || Array.isArray(item)) return null;
  const kinds = KINDS.filter((kind) => kind in item);
  return kinds.length === 1 ? kinds[0] : null;
}

const describe = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

/** A field with one sentence for every value that it does not take. */
const field = <T>(parse: (value: unknown) => T) =>
  z.unknown().transform((value, context): T => {
    try {
      return parse(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });

/** A field that may be missing. */
const optional = <T>(parse: (value: unknown) => T) => field(parse).optional();

const time =
  (name: string, limits: { least: number; most: number; why: string }) =>
  (value: unknown): number => {
    const ns = parseDuration(name)(String(value));
    if (ns >= limits.least && ns <= limits.most) return ns;
    const range = `${limits.least / 1e6} ms to ${limits.most / 1e6} ms`;
    throw new UsageError(`${name} is ${String(value)}; choose ${range}${limits.why}`);
  };

const whole =
  (name: string, limits: { least: number; most: number; why?: string }) =>
  (value: unknown): number => {
    const { least, most, why = '' } = limits;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least}` : `from ${least} to ${most}`;
    throw new UsageError(`${name} is ${describe(value)}; give a whole number ${range}${why}`);
  };

const choice =
  <T extends string>(name: string, choices: readonly T[]) =>
  (value: unknown): T => {
    if ((choices as readonly unknown[]).includes(value)) return value as T;
    throw new UsageError(`${name} is ${describe(value)}; choose one of ${choices.join(', ')}`);
  };

const yesOrNo =
  (name: string) =>
  (value: unknown): boolean => {
    if (typeof value === 'boolean') return value;
    throw new UsageError(`${name} is ${describe(value)}; write true, or leave it out`);
  };

const several = (name: string) =>
  whole(name, { least: 1, most: JOIN_MAX, why: ': say it in several events' });

const ANY = Number.MAX_SAFE_INTEGER;

/** What each kind of event is made of, in a bench of that shape. */
function schemas(bench: BenchShape) {
  const inWindow = { least: 0, most: bench.windowNs, why: ', within the window: --seconds makes it longer' };
  const client = whole('client', { least: 0, most: bench.clients - 1, why: ': --clients gives more' });
  const node = whole('node', { least: 0, most: bench.nodes - 1, why: ': --nodes gives more' });
  const when = {
    at: optional(time('at', inWindow)),
    every: optional(time('every', { ...inWindow, least: EVERY_NS_MIN })),
    until: optional(time('until', inWindow)),
  };
  const span = { from: field(time('from', inWindow)), to: field(time('to', inWindow)) };
  const ends = { client: optional(client), node: optional(node) };
  const target = field((value) => parseTarget(value, bench));
  const stopped = time('for', {
    least: 1e6,
    most: STOP_NS_MAX,
    why: ': what is silent for longer has failed',
  });
  const times = ({ at, every, until }: { at?: number; every?: number; until?: number }): When => ({
    atNs: at,
    everyNs: every,
    untilNs: until,
  });
  return {
    kill: z.strictObject({ ...when, kill: target, replace: optional(yesOrNo('replace')) }).transform(
      (e): TimelineEvent => ({
        kind: 'kill',
        ...times(e as never),
        target: e.kill,
        ...(e.replace === undefined ? {} : { replace: e.replace }),
      }),
    ),
    stop: z
      .strictObject({ ...when, stop: target, for: field(stopped) })
      .transform(
        (e): TimelineEvent => ({ kind: 'stop', ...times(e as never), target: e.stop, forNs: e.for }),
      ),
    crash: z
      .strictObject({ client: field(client), crash: crashPoint })
      .transform((e): TimelineEvent => ({ kind: 'crash', client: e.client, point: e.crash })),
    delay: z
      .strictObject({
        ...span,
        delay: z.strictObject({ ...ends, by: field(time('by', { least: 1000, most: BY_NS_MAX, why: '' })) }),
      })
      .transform(
        ({ from, to, delay: { by, client: c, node: n } }): TimelineEvent => ({
          kind: 'delay',
          fromNs: from,
          toNs: to,
          client: c,
          node: n,
          byNs: by,
        }),
      ),
    drop: z.strictObject({ ...span, drop: z.strictObject(ends) }).transform(
      ({ from, to, drop: { client: c, node: n } }): TimelineEvent => ({
        kind: 'drop',
        fromNs: from,
        toNs: to,
        client: c,
        node: n,
      }),
    ),
    join: z
      .strictObject({ at: field(time('at', inWindow)), join: field(several('join')) })
      .transform((e): TimelineEvent => ({ kind: 'join', atNs: e.at, clients: e.join })),
    leave: z
      .strictObject({ at: field(time('at', inWindow)), leave: field(several('leave')) })
      .transform((e): TimelineEvent => ({ kind: 'leave', atNs: e.at, clients: e.leave })),
  } satisfies Record<Kind, z.ZodType<TimelineEvent>>;
}

const crashPoint: z.ZodType<CrashPoint> = z.strictObject({
  operation: field(choice('operation', CRASH_OPERATIONS)),
  batch: field((value) =>
    typeof value === 'number'
      ? whole('batch', { least: 1, most: ANY })(value)
      : (choice('batch', STEPS)(value) as Step),
  ),
  verb: field(whole('verb', { least: 0, most: ANY })).default(0),
  occurrence: field(whole('occurrence', { least: 1, most: ANY })).default(1),
  bytes: optional(whole('bytes', { least: 1, most: ANY })),
});

function parseTarget(value: unknown, bench: BenchShape): Target {
  if (value === 'master') {
    if (bench.masters > 0) return { role: 'master', index: 0 };
    throw new UsageError(
      'this bench has no master to be killed or stopped: --masters gives one; or name a client or a node',
    );
  }
  const [, role, name] = /^(client|node) (\d+)$/.exec(String(value)) ?? [];
  const [, random] = /^random (client|node)$/.exec(String(value)) ?? [];
  if (random !== undefined) return { role: random as 'client' | 'node', index: 'random' };
  if (role === undefined) {
    throw new UsageError(
      `the target is ${describe(value)}; name one such as 'client 1', 'node 0', 'random client' or 'master'`,
    );
  }
  const count = role === 'client' ? bench.clients : bench.nodes;
  const index = Number(name);
  if (index < count) return { role: role as 'client' | 'node', index };
  throw new UsageError(
    `there is no ${role} ${index}: this bench has ${role}s 0 to ${count - 1}; --${role}s gives more`,
  );
}

/** What single fields cannot tell, or null. */
function misfit(event: TimelineEvent, bench: BenchShape): string | null {
  if (event.kind === 'crash') {
    const { batch, bytes } = event.point;
    if (bytes === undefined || typeof batch === 'number' || TEARABLE.includes(batch)) return null;
    return `bytes is ${bytes}, but '${batch}' has no WRITE to die in; choose one of ${TEARABLE.join(', ')}`;
  }
  if (event.kind === 'join' || event.kind === 'leave') return null;
  if (event.kind === 'delay' || event.kind === 'drop') {
    if (event.fromNs < event.toNs) return null;
    return `from is ${event.fromNs / 1e6} ms and to is ${event.toNs / 1e6} ms; let it end after it begins`;
  }
  const { atNs, everyNs, untilNs, target } = event;
  if (atNs === undefined && everyNs === undefined) return 'at is missing; say when, by at or by every';
  if (untilNs !== undefined && everyNs === undefined) return 'until belongs to every; leave it out';
  if (event.kind === 'kill' && event.replace === true && target.role !== 'client')
    return `replace belongs to clients; a ${target.role} that dies is not replaced: leave it out`;
  const repeats = everyNs !== undefined && target.index !== 'random' && event.kind === 'kill';
  if (repeats && target.role === 'master')
    return 'masters die one by one, and one is to be left; say at for each of them, instead of every';
  if (repeats) return `a ${target.role} dies once; kill a random one, or say at instead of every`;
  const count = target.role === 'master' ? 1 : target.role === 'client' ? bench.clients : bench.nodes;
  if (everyNs === undefined || event.kind === 'kill' || event.forNs < everyNs || count > 1) return null;
  return `for is ${event.forNs / 1e6} ms and every is ${everyNs / 1e6} ms; let it run in between`;
}

/** Somebody must live to read back and to answer: the event that leaves nobody, or null. */
function killsAll(
  events: readonly TimelineEvent[],
  bench: BenchShape,
): { at: number; message: string } | null {
  const dead = { client: new Set<number>(), node: new Set<number>(), master: new Set<never>() };
  // Drawn by chance, or by who joined last.
  const drawn = { client: 0, node: 0, master: 0 };
  const joined = events.reduce((sum, event) => sum + (event.kind === 'join' ? event.clients : 0), 0);
  const counts = { client: bench.clients + joined, node: bench.nodes, master: bench.masters };
  for (const [at, event] of events.entries()) {
    if (event.kind === 'crash') dead.client.add(event.client);
    else if (event.kind === 'leave') drawn.client += event.clients;
    else if (event.kind !== 'kill' || event.everyNs !== undefined || event.replace === true) continue;
    else if (event.target.index !== 'random' && event.target.role !== 'master')
      dead[event.target.role].add(event.target.index);
    // Of masters it is another one each time.
    else drawn[event.target.role]++;
    for (const role of ['client', 'node', 'master'] as const) {
      const count = counts[role];
      if (count === 0 || dead[role].size + drawn[role] < count) continue;
      const goes = event.kind === 'leave' ? 'are gone' : 'die';
      return {
        at,
        message: `with this event all ${count} ${role}s ${goes}; leave one, or give more by --${role}s`,
      };
    }
  }
  return null;
}
