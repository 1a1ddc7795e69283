/** What surrounds a run besides code and processor: network cards, placement of processes, what was built. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as z from 'zod';

/** A network card, or a port of one. Addresses stay out: they tell machines apart, not kinds of machine. */
export const nicSchema = z.strictObject({
  name: z.string(),
  /** net, or infiniband for what verbs can use. */
  kind: z.enum(['net', 'infiniband']),
  driver: z.string().nullable(),
  /** Megabits a second, as the link runs now; null when it is down or does not say. */
  speedMbps: z.int().min(1).nullable(),
});
/** A network card, or a port of one. */
export type Nic = z.infer<typeof nicSchema>;

/** Where the run's processes may run. */
export const pinningSchema = z.strictObject({
  /** none: the kernel places them, and may move them. */
  policy: z.enum(['none', 'inherited']),
  /** CPUs that the run was given, as the kernel lists them. */
  allowedCpus: z.string(),
  /** Frequency governor of the first CPU; null when there is none, as in most guests. */
  governor: z.string().nullable(),
});
/** Where the run's processes may run. */
export type Pinning = z.infer<typeof pinningSchema>;

/** Cards that are hardware, or that verbs can use, in order of their names. */
export const findNics = (sys = '/sys/class'): Nic[] => {
  const entries = (kind: Nic['kind']): string[] =>
    existsSync(join(sys, kind)) ? readdirSync(join(sys, kind)).sort() : [];
  const nics = entries('net')
    .map((name) => ({ name, at: join(sys, 'net', name) }))
    // Bridges, loopback and the like have no device below them.
    .filter(({ at }) => existsSync(join(at, 'device')))
    .map(({ name, at }): Nic => {
      const speed = Number(readOrNull(join(at, 'speed')) ?? Number.NaN);
      const speedMbps = Number.isInteger(speed) && speed > 0 ? speed : null;
      return { name, kind: 'net', driver: driverOf(at), speedMbps };
    });
  const ports = entries('infiniband').map((name): Nic => {
    const at = join(sys, 'infiniband', name);
    const rate = /^([\d.]+) Gb/.exec(readOrNull(join(at, 'ports', '1', 'rate')) ?? '')?.[1];
    const speedMbps = rate === undefined ? null : Math.max(1, Math.round(Number(rate) * 1000));
    return { name, kind: 'infiniband', driver: driverOf(at), speedMbps };
  });
  return [...nics, ...ports];
};

/** Where this process, and those it starts, may run. */
export const findPinning = (): Pinning => {
  const status = readOrNull('/proc/self/status') ?? '';
  const allowedCpus = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '';
  const online = readOrNull('/sys/devices/system/cpu/online') ?? allowedCpus;
  return {
    policy: allowedCpus === online ? 'none' : 'inherited',
    allowedCpus,
    governor: readOrNull('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
  };
};

/**
 * Hash of the JavaScript below a folder, and of native addons beside it: of what runs, whatever the checkout
 * says. null when there is none.
 */
export const hashBuild = (folders: readonly string[]): string | null => {
  const hash = createHash('sha256');
  let files = 0;
  for (const folder of folders) {
    const names = existsSync(folder) ? (readdirSync(folder, { recursive: true }) as string[]) : [];
    for (const name of names.filter((one) => /\.(js|node)$/.test(one)).sort()) {
      hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
      files++;
    }
  }
  return files === 0 ? null : hash.digest('hex').slice(0, 16);
};

const driverOf = (at: string): string | null => {
  try {
    return basename(readlinkSync(join(at, 'device', 'driver')));
  } catch {
    return null;
  }
};

const readOrNull = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8').trim() || null;
  } catch {
    // Not there, or a link that is down and refuses to name its speed.
    return null;
  }
};
