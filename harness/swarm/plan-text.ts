/**
 * A plan as text: what differs from the plan of its seed, as JSON. It stands in the command that replays a
 * shrunk run, so it is read back with care.
 */
import { Geometry, MAX_LINES, objectLines } from '../../fusee/layout/index.js';
import { UsageError } from '../../fusee/verbs/index.js';
import { planOf, type SwarmPlan } from './plan.js';

/** Longest key that a plan may have. */
const KEY_BYTES_MAX = 64;
/** Largest index, and most requests, that a plan may ask for: each is far more than any seed has. */
const SLOTS_MAX = 1_000_000;
const REQUESTS_MAX = 1_000_000;
const TIME_MAX_NS = 1_000_000_000;

/** Least and most of each number; `share` ones need not be whole. */
type Range = readonly [least: number, most: number, share?: 'share'];
const SHARE: Range = [0, 1, 'share'];
const TIME: Range = [1, TIME_MAX_NS];

const RANGES: Readonly<Record<string, Range>> = {
  clients: [1, 64],
  coroutines: [1, 64],
  requests: [1, REQUESTS_MAX],
  valueBytesLeast: [0, MAX_LINES * 64],
  valueBytesMost: [0, MAX_LINES * 64],
  skew: [1, 64],
  rpcTimeoutNs: TIME,
  thinkNs: [0, TIME_MAX_NS],
  crashes: [0, 64],
  cuts: [0, 64],
  nodeCrashes: [0, 64],
  refillNs: [0, TIME_MAX_NS],
  fillDeath: SHARE,
  leaseNs: TIME,
  recovererCrash: SHARE,
  boundNs: [0, TIME_MAX_NS],
  'cache.bytes': [0, 1 << 24],
  'cache.keyBytes': [1, 256],
  'cache.threshold': SHARE,
  'latency.leastNs': TIME,
  'latency.jitterNs': TIME,
  'latency.serviceNs': TIME,
  'faults.tear': SHARE,
  'faults.tearNs': [0, TIME_MAX_NS],
  'faults.delay': SHARE,
  'faults.delayNs': [0, TIME_MAX_NS],
  'faults.rpcLoss': SHARE,
  'faults.rpcDuplication': SHARE,
  'faults.survival': SHARE,
};

/** The parts of a plan that are objects of numbers. */
const PARTS: readonly string[] = ['pool', 'cache', 'latency', 'faults'];

type Json = Record<string, unknown>;

/** What of a plan is not as its seed has it, as JSON that a shell takes between single quotes. */
export function formatPlan(plan: SwarmPlan): string {
  return JSON.stringify(difference(plan as unknown as Json, planOf(plan.seed) as unknown as Json)).replaceAll(
    "'",
    '\\u0027',
  );
}

function difference(of: Json, from: Json): Json {
  const out: Json = {};
  for (const [name, value] of Object.entries(of)) {
    if (JSON.stringify(value) === JSON.stringify(from[name])) continue;
    out[name] = PARTS.includes(name) ? difference(value as Json, from[name] as Json) : value;
  }
  return out;
}

/**
 * The plan of a seed with the changes that a text tells.
 * @throws UsageError naming what is wrong: the JSON, a name that plans do not have, a value out of its range.
 */
export function parsePlan(seed: number, text: string): SwarmPlan {
  let changes: unknown;
  try {
    changes = JSON.parse(text);
  } catch (error) {
    throw new UsageError(
      `the plan is no JSON (${(error as Error).message}); give what a failing seed printed`,
    );
  }
  if (!isObject(changes)) throw new UsageError(`the plan is ${text}; give an object such as {"clients":2}`);
  const plan = changed(planOf(seed) as unknown as Json, changes, '') as unknown as SwarmPlan;
  checkWhole(plan);
  return plan;
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function changed(from: Json, changes: Json, path: string): Json {
  const out: Json = { ...from };
  for (const [name, value] of Object.entries(changes)) {
    const where = path + name;
    if (name === 'seed' || !Object.hasOwn(from, name))
      throw new UsageError(`a plan has no "${where}"; it has ${Object.keys(from).slice(1).join(', ')}`);
    if (!PARTS.includes(name)) out[name] = checked(where, value);
    else if (isObject(value)) out[name] = changed(from[name] as Json, value, `${name}.`);
    else throw new UsageError(`${where} of the plan is ${JSON.stringify(value)}; give an object`);
  }
  return out;
}

function checked(where: string, value: unknown): unknown {
  const told = JSON.stringify(value);
  if (where === 'keys') return checkKeys(value);
  if (where === 'mix') return checkMix(value);
  if (where === 'isLoaded') {
    if (typeof value !== 'boolean')
      throw new UsageError(`${where} of the plan is ${told}; give true or false`);
    return value;
  }
  if (typeof value !== 'number') throw new UsageError(`${where} of the plan is ${told}; give a number`);
  // The pool's numbers are the geometry's to judge.
  const range = RANGES[where];
  if (range === undefined) return value;
  const [least, most, share] = range;
  if (!(value >= least && value <= most) || (share === undefined && !Number.isInteger(value))) {
    const what = share === undefined ? 'whole number' : 'number';
    throw new UsageError(`${where} of the plan is ${told}; give a ${what} from ${least} to ${most}`);
  }
  return value;
}

function checkKeys(value: unknown): unknown {
  const isKey = (key: unknown): boolean =>
    typeof key === 'string' &&
    key.length >= 1 &&
    key.length <= KEY_BYTES_MAX &&
    [...key].every((letter) => (letter.codePointAt(0) ?? 0) < 256);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isKey))
    throw new UsageError(`keys of the plan must be a list of texts of 1 to ${KEY_BYTES_MAX} bytes each`);
  if (new Set(value).size < value.length)
    throw new UsageError('keys of the plan must differ from each other');
  return value;
}

function checkMix(value: unknown): unknown {
  const isWeight = (weight: unknown): boolean =>
    typeof weight === 'number' && Number.isFinite(weight) && weight >= 0;
  const isMix = Array.isArray(value) && value.length === 5 && value.every(isWeight);
  if (!isMix || !value.some((weight) => weight > 0)) {
    throw new UsageError(
      `mix of the plan is ${JSON.stringify(value)}; give 5 weights from 0 up, not all 0: ` +
        'of SEARCH, INSERT, UPDATE, DELETE and PUT',
    );
  }
  return value;
}

/** What concerns more than one number. */
function checkWhole({ pool, clients, coroutines, requests, keys, ...plan }: SwarmPlan): void {
  const slots = pool.subtablesMax * new Geometry(pool).subtableSlots;
  if (slots > SLOTS_MAX) throw new UsageError(`the plan's index has ${slots} slots; at most ${SLOTS_MAX}`);
  const total = clients * coroutines * requests;
  if (total > REQUESTS_MAX)
    throw new UsageError(`the plan makes ${total} requests in all; at most ${REQUESTS_MAX}`);
  const { valueBytesLeast, valueBytesMost, cuts, crashes } = plan;
  if (valueBytesLeast > valueBytesMost)
    throw new UsageError(
      `values of ${valueBytesLeast} to ${valueBytesMost} bytes: the least exceeds the most`,
    );
  const lines = objectLines(Math.max(...keys.map((key) => key.length)), valueBytesMost);
  if (lines > MAX_LINES)
    throw new UsageError(
      `values of ${valueBytesMost} bytes make objects of ${lines} lines; at most ${MAX_LINES}`,
    );
  if (cuts > crashes)
    throw new UsageError(
      `${cuts} cuts are more than the plan's ${crashes} crashes: who loses a link dies of it`,
    );
}
