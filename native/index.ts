/**
 * The addon, typed: memory in shared memory, sessions that execute verbs in it, processes.
 *
 * Only `fusee/fabric` uses it, and gives its users the shapes of the fabric contract. Errors carry a `code`,
 * 'USAGE' or 'FABRIC'.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A process, so that a reused pid is not taken for it: start time in clock ticks since boot. */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: number;
}

/** What a region is made of; the name begins with "fusee-". */
export interface NodeRegionOptions {
  name: string;
  memoryBytes: number;
  prefault: boolean;
}

/** A memory node's own region: its memory from MN offset 0, and the RPC slots ahead of it. */
export interface NodeRegion {
  readonly owner: ProcessId;
  /** `bytes` bytes of the memory from `offset`, at most 4 GiB: more fits no buffer of Node. */
  window(offset: number, bytes: number): ArrayBuffer;
  /** Lets clients attach. */
  ready(): void;
  /** Its master has declared it dead: verbs to it FAIL, though this process lives. */
  readonly isFenced: boolean;
  /** Takes another name, in place of whatever had it. */
  rename(name: string): void;
  /** Calls `onRequests` on this thread when requests wait. */
  serve(onRequests: () => void): void;
  /** Copies the next request into `into`; returns slot * 128 + length, or -1 when none waits. */
  take(into: Uint8Array): number;
  /** Answers the request of that slot; null refuses it. */
  respond(slot: number, response: Uint8Array | null): void;
  /** Serves the memory over TCP, at the port returned; `log` hears what an operator may want to know. */
  listen(
    options: { address: string; secret: Uint8Array; busyPollNs: number },
    log: (line: string) => void,
  ): number;
  /** Stops the service, lets verbs FAIL and removes the name; memory stays mapped while it is referred to. */
  close(): void;
}

/** What a session takes; all of it in bytes, batches and nanoseconds. */
export interface ClientSessionOptions {
  regions: readonly string[];
  localBytes: number;
  queueCapacity: number;
  rttNs: number;
  rpcTimeoutNs: number;
  prefault: boolean;
}

/** Word numbers in the control memory of a session; the two rings follow, submissions first. */
export const Control = {
  SUBMITTED: 0,
  COMPLETED: 1,
  NOW_NS: 2,
  CRC_OFFSET: 4,
  CRC_BYTES: 5,
  CRC_SEED: 6,
  CRC_RESULT: 7,
  LEASE_NS: 8,
  RINGS: 16,
} as const;

/** A client's session. The calls without arguments take them from `control` and leave their results there. */
export interface ClientSession {
  readonly local: ArrayBuffer;
  readonly control: ArrayBuffer;
  /** Bytes of each MN's memory. */
  readonly memoryBytes: readonly number[];
  readonly doorbell: () => void;
  readonly stampNow: () => void;
  readonly checksum: () => void;
  close(): void;
}

/** A session over shared memory. */
export interface ShmSession extends ClientSession {
  /** Executes recorded batches natively; returns nanoseconds. */
  replay(images: Uint32Array, offsets: Uint32Array, doorbellEnds: Uint32Array, passes: number): number;
  /** Some node is served over verbs: its atomics are its NIC's. */
  meetsNic(): boolean;
  /** Verbs to node `mn` FAIL from now on, everybody's, though its process lives. */
  fence(mn: number): void;
  /** Processes whose sessions here have all ended with their threads, unclosed. */
  endedProcesses(): ProcessId[];
  /** Looks at all memory ahead of use, a little at a time, from a thread of its own. */
  touchAhead(): void;
  /** Attaches to another region in place of node `mn`'s; returns the bytes of its memory. */
  reattach(mn: number, name: string): number;
}

/** What a session over TCP takes. */
export interface TcpSessionOptions {
  addresses: readonly string[];
  secret: Uint8Array;
  /** Names the client; not 0. */
  key: bigint;
  localBytes: number;
  queueCapacity: number;
  rttNs: number;
  rpcTimeoutNs: number;
  connectTimeoutNs: number;
  silenceNs: number;
}

/** A session over TCP. */
export interface TcpSession extends ClientSession {
  /** What each node has drawn at its start. */
  readonly nodes: readonly bigint[];
  /** Connects to another address in place of node `mn`'s, for so long at most; what is there. */
  reattach(mn: number, address: string, timeoutNs: number): { memoryBytes: number; node: bigint };
  /** Verbs to node `mn` FAIL until then, those under way too. */
  cut(mn: number): void;
}

declare const opened: unique symbol;
/** Connections that are not a session yet. */
export type OpenedTcpSession = { readonly [opened]: true };

/** Everything the addon exports. */
export interface NativeAddon {
  readonly layout: {
    readonly field: Record<string, number>;
    readonly header: Record<string, number>;
    readonly descriptorBytes: number;
    readonly rpcBytes: number;
    readonly rpcGroupSlots: number;
    readonly regionHeaderBytes: number;
    readonly fabricVersion: number;
  };
  readonly NodeRegion: new (options: NodeRegionOptions) => NodeRegion;
  readonly ClientSession: new (options: ClientSessionOptions) => ShmSession;
  /** Connects at once, and blocks meanwhile, or takes over what is connected. */
  readonly TcpClientSession: new (
    options: TcpSessionOptions | OpenedTcpSession,
  ) => TcpSession;
  openTcpSession(options: TcpSessionOptions): Promise<OpenedTcpSession>;
  fenceTcpClient(options: {
    addresses: readonly string[];
    secret: Uint8Array;
    key: bigint;
    fenced: bigint;
    deadlineNs: number;
  }): Promise<void>;
  crc32c(bytes: Uint8Array, seed: number, isPortable: boolean): number;
  isAlive(process: ProcessId): boolean;
  /** The living process of that pid, or null. */
  findProcess(pid: number): ProcessId | null;
  /**
   * When the thread that started this process ends, it is killed, or woken if it was stopped. Tells whether
   * `parentPid` is its parent still.
   */
  followParent(parentPid: number, isWoken: boolean): boolean;
  sweepRegions(prefix: string): string[];
  fenceProcess(
    process: ProcessId,
    options: { regions: readonly string[]; deadlineNs: number },
  ): Promise<void>;
}

/**
 * Where the built addon lies below the package root; FUSEE_SANITIZE chooses a build for tests.
 * @throws Error when it is not built, saying how to build it.
 */
export function addonPath(): string {
  const sanitizer = process.env['FUSEE_SANITIZE'];
  const build = sanitizer === undefined ? 'build' : join('build', sanitizer, 'build');
  let folder = dirname(fileURLToPath(import.meta.url));
  // From the sources the root is one folder up, from dist two.
  for (;;) {
    const path = join(folder, 'native', build, 'Release', 'fusee.node');
    if (existsSync(path)) return path;
    const parent = dirname(folder);
    if (parent === folder) {
      throw new Error(`the native addon is not built (${join('native', build)}): run \`npm run build\``);
    }
    folder = parent;
  }
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at the first call, so that whoever needs no shared memory needs no addon.
 * @throws Error when it is not built, saying how to build it.
 */
export function native(): NativeAddon {
  loaded ??= createRequire(import.meta.url)(addonPath()) as NativeAddon;
  return loaded;
}
