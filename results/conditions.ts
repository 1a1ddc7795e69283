/** What was observed of the machine and of the harness while a cell ran: what a verdict of trust rests on. */
import * as z from 'zod';

const count = z.int().min(0);
const amount = z.number().min(0);

const hiccupsSchema = z.strictObject({ count, p50Ns: amount, p99Ns: amount, maxNs: amount });
const shiftSchema = z.strictObject({ atMs: amount, share: z.number() });
const intervalSchema = z.strictObject({
  lowOps: z.number(),
  highOps: z.number(),
  level: amount,
  effectiveCount: amount.describe('so many independent intervals would tell as much'),
  correlation: z.number().describe('between one interval of the series and the next'),
});

/** What `null` is was not measured, or does not apply. */
export const conditionsSchema = z.strictObject({
  nullOperationNs: amount
    .nullable()
    .describe('what a request costs a client when nothing is behind the harness: the least of some batches'),
  clockReadNs: amount.nullable().describe("what reading the clients' clock costs"),
  clockStepNs: amount.nullable().describe('its smallest step'),
  clockBackwards: count.nullable().describe('how often it went back'),
  hiccups: hiccupsSchema
    .nullable()
    .describe('how late an idle thread woke that sleeps a millisecond at a time'),
  stolenShare: amount.describe('share of all CPU time that the hypervisor took'),
  foreignCores: amount.describe("cores' worth of time that other processes took"),
  coreWaitShare: amount
    .nullable()
    .describe('share of the window that the client waited for a core who waited longest'),
  voluntarySwitches: count.describe('context switches of all clients in the window that they asked for'),
  involuntarySwitches: count.describe('and that they did not'),
  isSteady: z
    .boolean()
    .nullable()
    .describe('whether throughput kept its level; null when the window holds too few intervals, or faults'),
  shift: shiftSchema.nullable().describe('the largest change of level'),
  throughputInterval: intervalSchema
    .nullable()
    .describe('confidence interval of the mean throughput, with autocorrelation allowed for'),
});

/** What was observed while a cell ran. */
export type Conditions = z.infer<typeof conditionsSchema>;
