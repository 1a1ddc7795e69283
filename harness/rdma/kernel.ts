/**
 * The kernel of the soft-RoCE guest: a package of the distribution, fetched by its own tools and unpacked,
 * not installed, and an initramfs of busybox, the few modules that are needed, and `guest/init`.
 *
 * Everything lies in a folder that git ignores, and is made once for each version of the package.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { FabricError, UsageError } from '../../fusee/verbs/index.js';
import { packageRoot } from '../run/package-root.js';

/** Where this folder's files for the guest lie: in the sources, also when this runs compiled. */
export const guestFolder: string = join(packageRoot, 'harness', 'rdma', 'guest');

const cache = join(packageRoot, '.cache', 'rdma');

/**
 * What the root file system needs; then what makes a network and its verbs. The CRC is asked for by nobody.
 */
const FIRST = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_rng'];
const SECOND = ['rdma_rxe', 'ib_uverbs', 'rdma_ucm', 'veth', 'crc32_generic', 'sch_netem'];
/** Folders of the package's modules in which those and theirs lie. */
const UNPACKED = [
  'drivers/virtio',
  'drivers/infiniband',
  'drivers/net/veth.ko',
  'drivers/char/hw_random',
  'net/9p',
  'net/ipv4',
  'net/ipv6',
  'net/sched',
  'fs',
  'crypto',
  'lib',
  'arch/x86/crypto',
];

/** A kernel that boots. */
export interface Kernel {
  readonly image: string;
  readonly initramfs: string;
  readonly version: string;
}

/** What a command prints. @throws UsageError when it is not there, FabricError when it fails. */
function output(command: string, args: readonly string[], cwd?: string): string {
  const done = spawnSync(command, args, { encoding: 'utf8', cwd, timeout: 240_000, maxBuffer: 1 << 26 });
  if (done.error !== undefined) {
    throw new UsageError(
      `${command} cannot be run (${done.error.message}); the guest needs the packages qemu-system-x86, ` +
        'busybox-static, cpio, kmod, dpkg and gcc',
    );
  }
  if (done.status !== 0)
    throw new FabricError(`${command} ${args.join(' ')} failed: ${done.stderr.trim() || done.signal}`);
  return done.stdout;
}

/**
 * Compiles what stands in front of libibverbs where a device without atomics is wanted; the path of the
 * library.
 */
export function prepareNoAtomics(): string {
  const source = join(guestFolder, 'no_atomics.c');
  const library = join(cache, 'no_atomics.so');
  if (existsSync(library) && statSync(library).mtimeMs > statSync(source).mtimeMs) return library;
  mkdirSync(cache, { recursive: true });
  const linked = ['-Wl,--no-as-needed', '-libverbs', '-ldl'];
  output('gcc', ['-shared', '-fPIC', '-o', `${library}.new`, source, ...linked]);
  renameSync(`${library}.new`, library);
  return library;
}

/** The full kernel: the one for clouds has no soft-RoCE. */
function packageName(): string {
  const name = /Depends: (linux-image-\S+)/.exec(output('apt-cache', ['depends', 'linux-image-amd64']))?.[1];
  if (name !== undefined) return name;
  throw new FabricError(
    'the package linux-image-amd64 names no kernel: this needs Debian, with its package lists (apt-get update)',
  );
}

/** Fetches, unpacks and packs what is not there yet. */
export async function prepareKernel(): Promise<Kernel> {
  const name = packageName();
  const version = name.slice('linux-image-'.length);
  const folder = join(cache, version);
  const kernel = { image: join(folder, 'vmlinuz'), initramfs: join(folder, 'initramfs.cpio'), version };
  if (!existsSync(kernel.image)) await unpack(name, version, folder);
  pack(kernel, folder);
  return kernel;
}

/** Nothing half unpacked is ever seen under the final name. */
async function unpack(name: string, version: string, folder: string): Promise<void> {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'work-'));
  try {
    output('apt-get', ['-q', 'download', name], work);
    const deb = readdirSync(work).find((file) => file.endsWith('.deb'));
    if (deb === undefined) throw new FabricError(`apt-get download ${name} left no package`);
    const modules = `./lib/modules/${version}`;
    const wanted = [
      `./boot/vmlinuz-${version}`,
      `${modules}/modules.*`,
      ...UNPACKED.map((part) => `${modules}/kernel/${part}`),
    ];
    const source = spawn('dpkg-deb', ['--fsys-tarfile', join(work, deb)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const sink = spawn('tar', ['-x', '-C', work, '--wildcards', ...wanted], {
      stdio: [source.stdout, 'ignore', 'inherit'],
    });
    const [code] = await once(sink, 'exit');
    if (code !== 0) throw new FabricError(`unpacking ${deb} failed with status ${code}`);
    const done = join(work, 'done');
    mkdirSync(done);
    renameSync(join(work, 'boot', `vmlinuz-${version}`), join(done, 'vmlinuz'));
    renameSync(join(work, 'lib'), join(done, 'lib'));
    output('depmod', ['-b', done, version]);
    rmSync(folder, { recursive: true, force: true });
    renameSync(done, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The paths of modules and of what they need, in the order in which they are loaded. */
function modulesOf(names: readonly string[], folder: string, version: string): string[] {
  const lines = names.flatMap((name) =>
    output('modprobe', ['-d', folder, '-S', version, '--show-depends', name]).split('\n'),
  );
  return [...new Set(lines.filter((line) => line.startsWith('insmod ')).map((line) => line.split(' ')[1]))];
}

function pack({ initramfs, version }: Kernel, folder: string): void {
  const init = readFileSync(join(guestFolder, 'init'), 'utf8');
  const recipe = JSON.stringify([init, FIRST, SECOND]);
  const stamp = join(folder, 'recipe');
  if (existsSync(initramfs) && existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return;
  const work = mkdtempSync(join(cache, 'work-'));
  try {
    for (const part of ['bin', 'modules']) mkdirSync(join(work, part));
    copyFileSync('/bin/busybox', join(work, 'bin', 'busybox'));
    writeFileSync(join(work, 'init'), init, { mode: 0o755 });
    const first = modulesOf(FIRST, folder, version);
    const second = modulesOf(SECOND, folder, version).filter((path) => !first.includes(path));
    for (const [list, paths] of [
      ['first', first],
      ['second', second],
    ] as const) {
      for (const path of paths) copyFileSync(path, join(work, 'modules', basename(path)));
      writeFileSync(join(work, 'modules', list), paths.map((path) => `${basename(path)}\n`).join(''));
    }
    const files = ['.', 'bin', 'bin/busybox', 'init', 'modules'].concat(
      readdirSync(join(work, 'modules')).map((file) => `modules/${file}`),
    );
    const packed = spawnSync('cpio', ['-o', '-H', 'newc', '--quiet'], {
      cwd: work,
      input: `${files.join('\n')}\n`,
      maxBuffer: 1 << 28,
    });
    if (packed.status !== 0) throw new FabricError(`cpio failed: ${packed.error?.message ?? packed.stderr}`);
    writeFileSync(initramfs, packed.stdout);
    writeFileSync(stamp, recipe);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
