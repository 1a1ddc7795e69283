/**
 * What a master leaves to its successor: members and views (`MasterRecord`), the processes to be fenced, and
 * what the latest change of the view decided, for clients that have not heard of it.
 */
import { z } from 'zod';
import { viewSchema } from '../control/messages.js';
import { CorruptionError } from '../verbs/index.js';

const whole = (most: number) => z.number().int().min(0).max(most);
const U32 = 2 ** 32 - 1;

const processSchema = z.object({
  pid: z
    .number()
    .int()
    .min(1)
    .max(2 ** 22),
  startTime: z.number().min(0),
  /** Where the pid says anything. */
  host: z.string().max(200).optional(),
});

/** What nodes know somebody by, over a network. */
const keySchema = z
  .string()
  .regex(/^[1-9][0-9]{0,19}$/)
  .optional();

const leaderSchema = processSchema.extend({ key: keySchema });

/** Masters that failed to take over, one behind the other; further back none is at work any more. */
const UNFENCED_MAX = 16;

const stateSchema = z.object({
  /** Which pool: by node, what tells its memory from any other that has borne its name. */
  pool: z.array(z.string().max(100)).max(64),
  /** The master that wrote this, until it has ended in order. */
  leader: leaderSchema.optional(),
  /** Masters before that one, which nobody has come to fence: who took over from them failed, or died. */
  unfenced: z.array(leaderSchema).max(UNFENCED_MAX).optional(),
  /** Over a network: where each node listens by now. */
  places: z.array(z.string().max(300)).max(64).optional(),
  /** Nodes that were given up, over a network, and have not been told so. */
  expelled: z
    .array(z.object({ place: z.string().max(300), node: z.string().max(100) }))
    .max(64)
    .optional(),
  record: z.object({
    view: viewSchema,
    next: viewSchema.extend({ joins: whole(63).optional() }).optional(),
    members: z.array(z.object({ cid: whole(U32), place: whole(4095), isDead: z.boolean() })).max(1 << 16),
    /** Of clients that come for the first time none is let in under that id, or a lower one. */
    lateCid: whole(U32).optional(),
  }),
  /** Of members that run, or may; not of those that have resigned. */
  processes: z
    .array(
      processSchema.extend({
        cid: whole(U32),
        key: keySchema,
      }),
    )
    .max(1 << 16),
  /** Slots that the change to the view in force has decided. */
  decided: z.array(z.object({ slot: whole(2 ** 48), hi: whole(U32), lo: whole(U32) })).max(1 << 16),
  /** The node that has joined by that view, and whether everything counts as changed by it. */
  news: z.object({ joins: whole(63).optional(), isWhole: z.boolean() }),
});

/** What a master leaves to its successor. */
export type MasterState = z.infer<typeof stateSchema>;

/** Reads a state. @throws CorruptionError when it is none; `where` says how to be rid of it. */
export function parseState(text: string, where: string): MasterState {
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? error.issues[0]?.message : (error as Error).message;
    throw new CorruptionError(`the state of a master, ${where}, cannot be read (${why})`);
  }
}

/** Whom a master that takes over has to fence, the latest first. */
export const toFence = ({ leader, unfenced = [] }: MasterState): NonNullable<MasterState['unfenced']> =>
  leader === undefined ? unfenced : [leader, ...unfenced];

/** What was left, in the hands of one that has not taken over yet: it may never come to. */
export function inHands(left: MasterState): MasterState {
  const unfenced = toFence(left).slice(0, UNFENCED_MAX);
  return { ...left, leader: undefined, ...(unfenced.length === 0 ? {} : { unfenced }) };
}

/** Do both describe the same pool? Nodes may have died since, or have been started anew; not all of them. */
export const isSamePool = (a: MasterState['pool'], b: MasterState['pool']): boolean =>
  a.some((node, mn) => node !== '' && node === b[mn]);
