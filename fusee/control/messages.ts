/**
 * What travels on the control channel, and how it is read: everything that comes from outside is checked.
 *
 *     master  -> challenge {nonce}                       client -> hello {nonce, proof}
 *     master  -> accepted {proof, leaseMs, view, term}   client -> join {cid, place, pid, startTime, host,
 *     master  -> in {view}, or refused {reason}                    view, key?}
 *     master  -> renewed {seq}, expelled                 client -> renew {seq, cache}
 *     master  -> farewell                                client -> leave {cache}, or resign {cache}: to be
 *                                                                  recovered
 *     master  -> stop {out}                              client -> stopped {view, rounds, word, directory}
 *     master  -> adopt {view, decided, joins, isWhole}   client -> suspect {mn}
 *     master  -> status {status}                         client -> status
 *     master  -> take, refused {reason}                  fresh node -> offer {mn, isReplacing, place, pid,
 *     master  -> entered                                           startTime}, taken; placed {mn, pid,
 *                                                                  startTime, host}: to the next master
 *     master  -> waiting, assign {mn, isReplacing}       spare -> spare {layout, config, pid, startTime},
 *                                                                 and then what a fresh node sends
 *     master  -> drained {mn}, refused {reason}          anybody -> drain {mn}
 */
import { z } from 'zod';
import type { Message } from './channel.js';

const whole = (most: number) => z.number().int().min(0).max(most);
const U32 = 2 ** 32 - 1;

/** Who is alive, as clients are told. */
export const viewSchema = z.object({
  number: whole(U32),
  dead: z.array(whole(63)).max(64),
  filling: whole(63).optional(),
  /** Over a network: where each node listens, as the master reaches it. */
  nodes: z.array(z.string().max(300)).max(64).optional(),
  /** Nodes whose place a process has taken that listens elsewhere than the one before. */
  moved: z.array(whole(63)).max(64).optional(),
});
export type ToldView = z.infer<typeof viewSchema>;

const halves = z.object({ hi: whole(U32), lo: whole(U32) });

/** Look-ups of one client's index cache so far. */
const cacheSchema = z.object({
  hits: whole(Number.MAX_SAFE_INTEGER),
  misses: whole(Number.MAX_SAFE_INTEGER),
  bypassed: whole(Number.MAX_SAFE_INTEGER),
});
export type CacheCounts = z.infer<typeof cacheSchema>;

/** Open rounds of one client: at most one per coroutine. */
const ROUNDS_MAX = 4096;

/** Pages that a client has written to, by node (`master/marks.ts`). */
const marksSchema = z
  .array(z.string().max(1 << 14))
  .max(64)
  .optional();

const processSchema = {
  pid: z
    .number()
    .int()
    .min(1)
    .max(2 ** 22),
  startTime: z.number().min(0),
};

/** What a pool's layout follows from (`layout/geometry.ts`). */
const configSchema = z.object({
  poolId: z.number(),
  nodes: z.number(),
  indexReplicas: z.number(),
  dataReplicas: z.number(),
  regionBytes: z.number(),
  blockBytes: z.number(),
  regionsPerNode: z.number(),
  subtables: z.number(),
  subtablesMax: z.number(),
  groupsPerSubtable: z.number(),
});

/** What clients send once they are accepted. */
export const fromClient = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('join'),
    cid: z.number().int().min(1).max(U32),
    place: whole(4095),
    ...processSchema,
    /** Which host that process runs on (`thisHost`). */
    host: z.string().max(200),
    view: whole(U32),
    /** It has been let in before. */
    isBack: z.boolean().optional(),
    /** What nodes know it by, over a network; a whole number below 2^64 in decimal. */
    key: z
      .string()
      .regex(/^[1-9][0-9]{0,19}$/)
      .optional(),
  }),
  z.object({ type: z.literal('renew'), seq: whole(Number.MAX_SAFE_INTEGER), cache: cacheSchema }),
  z.object({ type: z.literal('leave'), cache: cacheSchema, marks: marksSchema }),
  z.object({ type: z.literal('resign'), cache: cacheSchema, marks: marksSchema }),
  z.object({
    type: z.literal('stopped'),
    view: whole(U32),
    rounds: z
      .array(
        z.object({
          slot: whole(2 ** 48),
          object: whole(2 ** 48),
          cell: whole(2 ** 48),
          operation: whole(127),
          vOld: halves,
          wasSwapped: z.boolean(),
        }),
      )
      .max(ROUNDS_MAX),
    word: halves,
    directory: z.object({ version: whole(U32), depth: whole(32) }),
    marks: marksSchema,
  }),
  z.object({
    type: z.literal('offer'),
    mn: whole(63),
    isReplacing: z.boolean(),
    /** Over a network: where it listens. */
    place: z.string().min(3).max(300).optional(),
    /** Its memory has the name of a spare's. */
    isSpare: z.boolean().optional(),
    ...processSchema,
  }),
  z.object({ type: z.literal('spare'), layout: whole(U32), config: configSchema, ...processSchema }),
  z.object({ type: z.literal('drain'), mn: whole(63) }),
  z.object({ type: z.literal('taken') }),
  z.object({ type: z.literal('placed'), mn: whole(63), host: whole(U32), ...processSchema }),
  z.object({ type: z.literal('suspect'), mn: whole(63) }),
  z.object({ type: z.literal('status') }),
]);
export type FromClient = z.infer<typeof fromClient>;

/** What the master sends. */
export const fromMaster = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), nonce: z.string().max(128) }),
  z.object({
    type: z.literal('refused'),
    reason: z.string().max(500),
    /** It may come again, as another client. */
    isLate: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('accepted'),
    proof: z.string().max(128),
    leaseMs: z.number().positive(),
    view: viewSchema,
    term: whole(Number.MAX_SAFE_INTEGER),
  }),
  z.object({ type: z.literal('in'), view: viewSchema }),
  z.object({ type: z.literal('renewed'), seq: whole(Number.MAX_SAFE_INTEGER) }),
  z.object({ type: z.literal('expelled') }),
  z.object({ type: z.literal('farewell') }),
  z.object({ type: z.literal('stop'), out: z.array(whole(63)).max(64) }),
  z.object({
    type: z.literal('adopt'),
    view: viewSchema,
    decided: z.array(z.object({ slot: whole(2 ** 48), hi: whole(U32), lo: whole(U32) })).max(1 << 16),
    joins: whole(63).optional(),
    isWhole: z.boolean(),
  }),
  z.object({ type: z.literal('take') }),
  z.object({ type: z.literal('entered') }),
  z.object({ type: z.literal('waiting') }),
  z.object({ type: z.literal('assign'), mn: whole(63), isReplacing: z.boolean() }),
  z.object({ type: z.literal('drained'), mn: whole(63) }),
  z.object({ type: z.literal('status'), status: z.unknown() }),
]);
export type FromMaster = z.infer<typeof fromMaster>;

/** A message in its proper form, or why it is none. */
export function check<S extends z.ZodType>(schema: S, message: Message): z.infer<S> | string {
  const result = schema.safeParse(message);
  return result.success
    ? result.data
    : `message '${message.type}': ${result.error.issues[0]?.message ?? 'malformed'}`;
}
