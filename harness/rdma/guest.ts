/**
 * Runs one command in the soft-RoCE guest: the host's root, read-only under an overlay, a processor emulated
 * in software, and two RDMA devices that talk to each other through the kernel's own driver.
 *
 * What the command prints comes back while it runs, its exit status at the end. The guest ends with this
 * process and within its time, whatever happens in it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FabricError } from '../../fusee/verbs/index.js';
import { guestFolder, type Kernel } from './kernel.js';

/** What a guest is, and what it runs. */
export interface GuestRun {
  readonly kernel: Kernel;
  /** A command of the host's file system and its arguments; no shell reads them. */
  readonly command: readonly string[];
  /** Where it runs. */
  readonly folder: string;
  /** Folders in there that lie in the guest's memory: what is opened often, or read whole. */
  readonly copied: readonly string[];
  /** What is in them, files or folders. */
  readonly files: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Files that the command leaves in the folder that $FUSEE_GUEST_OUT names are copied here. */
  readonly out?: string;
  readonly timeoutMs: number;
  readonly processors?: number;
  readonly memoryMib?: number;
  readonly onOutput?: (text: string) => void;
}

/** What came of it. */
export interface GuestOutcome {
  /** Null: the guest was ended, or ended, before the command did. */
  readonly status: number | null;
  readonly milliseconds: number;
  /** What the guest's kernel and its init said. */
  readonly console: string;
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/**
 * The emulator's arguments: no device that is not needed, which makes it boot in seconds. Programs lie at the
 * same addresses in every process: what has been translated of them serves the next. Its processor has no
 * fast string operations: where it says that it has, the kernel copies by `rep movsb`, which is emulated
 * byte by byte. Copies would take eight times as long, and soft-RoCE, whose READs and WRITEs they are, would
 * tear words as no NIC does.
 */
function machine({ kernel, processors = 2, memoryMib = 2048 }: GuestRun, control: string): string[] {
  const shared = (id: string, path: string, tag: string, rest: string): string[] => [
    '-fsdev',
    `local,id=${id},path=${path},security_model=none${rest}`,
    '-device',
    `virtio-9p-pci,fsdev=${id},mount_tag=${tag}`,
  ];
  return [
    ['-M', 'q35,hpet=off,usb=off,vmport=off,smbus=off', '-accel', 'tcg,thread=multi,tb-size=512'],
    ['-cpu', 'max,-erms,-fsrm', '-smp', String(processors), '-m', String(memoryMib)],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ['-kernel', kernel.image, '-initrd', kernel.initramfs, '-append'],
    [
      'console=ttyS0 quiet loglevel=4 mitigations=off nokaslr tsc=reliable no_timer_check nowatchdog audit=0 ' +
        'selinux=0 apparmor=0 norandmaps random.trust_cpu=on rcupdate.rcu_expedited=1 panic=-1',
    ],
    ['-serial', `file:${join(control, 'console')}`],
    shared('host', '/', 'host', ',readonly=on,multidevs=remap'),
    shared('control', control, 'control', ''),
    ['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-pci,rng=rng'],
  ].flat();
}

/** Boots, runs, and ends. @throws FabricError when there is no emulator. */
export async function runInGuest(run: GuestRun): Promise<GuestOutcome> {
  const control = mkdtempSync(join(tmpdir(), 'fusee-guest-'));
  try {
    for (const file of ['console', 'output']) writeFileSync(join(control, file), '');
    copyFileSync(join(guestFolder, 'network'), join(control, 'network'));
    writeFileSync(join(control, 'folder'), run.folder);
    const environment = {
      PATH: process.env.PATH ?? '/usr/bin:/bin',
      TMPDIR: '/tmp',
      FUSEE_GUEST_OUT: '/ctl',
      ...run.environment,
    };
    const settings = Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`);
    const copy = packFiles(run, control);
    const lines = [...settings, 'ulimit -l unlimited', `cd ${quote(run.folder)} || exit 126`, ...copy];
    writeFileSync(
      join(control, 'command'),
      [...lines, `exec ${run.command.map(quote).join(' ')}`, ''].join('\n'),
    );
    return await boot(run, control);
  } finally {
    rmSync(control, { recursive: true, force: true });
  }
}

/**
 * Puts the files that are copied into one archive: a file of the host costs the guest a dozen messages, one
 * of its own memory none. What unpacks it there.
 */
function packFiles({ folder, copied, files }: GuestRun, control: string): string[] {
  const archive = join(control, 'files.tar');
  const excluded = ['*.d.ts', '*.map', '*.test.js', 'obj.target'].map((pattern) => `--exclude=${pattern}`);
  const args = ['-c', '-f', archive, ...excluded, ...files];
  const packed = spawnSync('tar', args, { cwd: folder, encoding: 'utf8' });
  if (packed.status !== 0)
    throw new FabricError(`tar failed: ${packed.error?.message ?? packed.stderr}; npm run build comes first`);
  const mounts = copied.map((path) => `mount -t tmpfs tmpfs ${quote(path)} || exit 126`);
  return [...mounts, 'tar -x -f /ctl/files.tar || exit 126'];
}

/** From one look at the command's output to the next. */
const LOOK_MS = 100;

async function boot(run: GuestRun, control: string): Promise<GuestOutcome> {
  const begun = performance.now();
  const complaint = await emulate(run, control);
  const read = (file: string): string => {
    try {
      return readFileSync(join(control, file), 'utf8');
    } catch {
      return '';
    }
  };
  if (run.out !== undefined) writeFileSync(run.out, read('results'));
  const status = /^\d+/.exec(read('status'))?.[0];
  return {
    status: status === undefined ? null : Number(status),
    milliseconds: performance.now() - begun,
    console: complaint + read('console').replaceAll('\r', ''),
  };
}

/** Signals that would end this process: they end the guest, and with it what waits for it. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs the emulator to its end; what it complained of. */
async function emulate(run: GuestRun, control: string): Promise<string> {
  // However this process ends, the kernel ends the emulator with it.
  const bound = ['--pdeathsig', 'KILL', 'qemu-system-x86_64'];
  const emulator = spawn('setpriv', [...bound, ...machine(run, control)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  emulator.stderr.on('data', (text) => {
    complaint += text;
  });
  const kill = (): void => {
    emulator.kill('SIGKILL');
  };
  for (const signal of SIGNALS) process.once(signal, kill);
  const forward = forwarder(join(control, 'output'), run.onOutput);
  const looks = setInterval(forward, LOOK_MS);
  const limit = setTimeout(kill, run.timeoutMs);
  try {
    await once(emulator, 'exit');
  } catch (error) {
    throw new FabricError(`the emulator cannot be run: ${(error as Error).message}; install qemu-system-x86`);
  } finally {
    clearInterval(looks);
    clearTimeout(limit);
    for (const signal of SIGNALS) process.off(signal, kill);
  }
  forward();
  return complaint;
}

/** Hands on what has been appended to a file since the last call. */
function forwarder(path: string, onOutput: GuestRun['onOutput']): () => void {
  const output = openSync(path, 'r');
  const buffer = Buffer.alloc(1 << 16);
  return () => {
    for (let count = -1; count !== 0; ) {
      count = readSync(output, buffer, 0, buffer.length, null);
      if (count > 0) onOutput?.(buffer.toString('utf8', 0, count));
    }
  };
}
