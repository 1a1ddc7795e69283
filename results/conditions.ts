/** What was observed of the machine and of the harness while a cell ran: what a verdict of trust rests on. */
import * as z from 'zod';

const count = z.int().min(0);
const amount = z.number().min(0);

/** What `null` is was not measured, or does not apply. */
export const conditionsSchema = z.strictObject({
  /** What a request costs a client with nothing behind the harness: the least of all clients' batches. */
  nullOperationNs: amount.nullable(),
  /** What reading the clients' clock costs, its smallest step, and how often it went back. */
  clockReadNs: amount.nullable(),
  clockStepNs: amount.nullable(),
  clockBackwards: count.nullable(),
  /** How late an idle thread woke that sleeps a millisecond at a time. */
  hiccups: z.strictObject({ count, p50Ns: amount, p99Ns: amount, maxNs: amount }).nullable(),
  /** Share of all CPU time that the hypervisor took. */
  stolenShare: amount,
  /** Cores' worth of time that other processes took. */
  foreignCores: amount,
  /** Share of the window that the client waited for a core who waited longest. */
  coreWaitShare: amount.nullable(),
  /** Context switches of all clients in the window. */
  voluntarySwitches: count,
  involuntarySwitches: count,
  /** Whether throughput kept its level; null when the window holds too few intervals, or faults. */
  isSteady: z.boolean().nullable(),
  /** The largest change of level. */
  shift: z.strictObject({ atMs: amount, share: z.number() }).nullable(),
  /** Of the mean throughput, with autocorrelation allowed for. */
  throughputInterval: z
    .strictObject({
      lowOps: z.number(),
      highOps: z.number(),
      level: amount,
      /** So many independent intervals would tell as much. */
      effectiveCount: amount,
      correlation: z.number(),
    })
    .nullable(),
});

/** What was observed while a cell ran. */
export type Conditions = z.infer<typeof conditionsSchema>;
