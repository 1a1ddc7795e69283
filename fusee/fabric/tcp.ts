/**
 * The TCP fabric: a native thread of each memory node executes the verbs of all clients, wherever they are.
 *
 * What one {@link TcpFabric.poll} finds posted goes to each node by one system call, and nothing is waited
 * for. Verbs to a node execute in the order of their posting, RPCs take their place in it when they are
 * delivered. A connection that breaks is followed by another, which goes on where it stood: that is a delay.
 * FAIL says that none follows within 0.8 s: what had been sent may have executed or not, and from then on the
 * connection stays broken. Who polls in vain sleeps for at most 50 µs, until something comes.
 */
import { randomBytes } from 'node:crypto';
import { native, type TcpSession, type TcpSessionOptions } from '../../native/index.js';
import { UsageError } from '../verbs/index.js';
import { checkSettings, NativeFabric, requireRange, type SessionSettings } from './native-fabric.js';
import { asFuseeError, callNative } from './shm-process.js';

/** What a client of the TCP fabric takes. */
export interface TcpFabricOptions extends SessionSettings {
  /**
   * Where the MNs listen, "host:port" each; MN i is the i-th. At most 64. An empty one stands for an MN that
   * is known to be dead: every verb to it FAILs.
   */
  addresses: readonly string[];
  /** The pool's secret, which both sides prove to know; it is never sent. */
  secret: Uint8Array;
  /** What nodes are to know this client by, and fence; not 0. @default drawn at random */
  clientKey?: bigint;
  /** Nodes have so long to let this client in. @default 3 s */
  connectTimeoutNs?: number;
  /** A node that owes answers and says nothing for so long has lost its connection. @default 5 s */
  silenceNs?: number;
}

/** One client's fabric over connections to memory nodes. */
export class TcpFabric extends NativeFabric {
  readonly kind = 'tcp';
  /** Names this client to whoever fences it; drawn at random. */
  readonly clientKey: bigint;
  /** What each MN has drawn at its start, by MN: one that has come back empty is another. 0 of dead ones. */
  readonly nodes: bigint[];
  readonly #session: TcpSession;

  /**
   * Connects to every node, and blocks the thread meanwhile; {@link openTcpFabric} does not.
   * @throws FabricError when a node cannot be reached or does not answer; UsageError when the secrets differ.
   */
  constructor(options: TcpFabricOptions, connected?: { session: TcpSession; given: TcpSessionOptions }) {
    const { given, session } = connected ?? connectNow(options);
    super(session, given.queueCapacity);
    this.clientKey = given.key;
    this.nodes = [...session.nodes];
    this.#session = session;
  }

  /**
   * Connects to another process in place of an MN's; blocks for {@link REATTACH_NS} at most. When that fails
   * all verbs to it FAIL, and the one before is let go all the same.
   * @throws UsageError while batches are outstanding; FabricError as at first.
   */
  override reattach(mn: number, address: string): void {
    if (this.outstanding !== 0)
      throw new UsageError(`${this.outstanding} batches are outstanding: poll them first`);
    const { memoryBytes, node } = callNative(() => this.#session.reattach(mn, address, REATTACH_NS));
    this.memoryBytes[mn] = memoryBytes;
    this.nodes[mn] = node;
  }

  /** Ends the connection to a node, or what would follow it. */
  override cut(mn: number): void {
    this.#session.cut(mn);
  }
}

/** Connects to every node. Errors as of {@link TcpFabric}. */
export async function openTcpFabric(options: TcpFabricOptions): Promise<TcpFabric> {
  const given = sessionOptions(options);
  try {
    const opened = await native().openTcpSession(given);
    return new TcpFabric(options, { session: new (native().TcpClientSession)(opened), given });
  } catch (error) {
    throw asFuseeError(error);
  }
}

/**
 * Has nodes end a client's connections for good, and waits until they have: afterwards nothing it posted
 * executes there (contract, rule 6). Requests that it left with the nodes' CPUs are withdrawn, and one that
 * is being served is waited for.
 * @throws FabricError when a node has not acknowledged by the deadline.
 */
export async function fenceOverTcp(
  clientKey: bigint,
  options: { addresses: readonly string[]; secret: Uint8Array; deadlineMs?: number },
): Promise<void> {
  const { addresses, secret, deadlineMs = 5000 } = options;
  try {
    const deadlineNs = deadlineMs * 1e6;
    await native().fenceTcpClient({ addresses, secret, key: drawClientKey(), fenced: clientKey, deadlineNs });
  } catch (error) {
    throw asFuseeError(error);
  }
}

/** Far below a lease: whoever waits for a node renews nothing. */
const REATTACH_NS = 300e6;

/** What names a client to its nodes, drawn anew; never 0, which names nobody. */
export const drawClientKey = (): bigint => randomBytes(8).readBigUInt64LE() | 1n;

function sessionOptions(options: TcpFabricOptions): TcpSessionOptions {
  const { addresses, secret, connectTimeoutNs = 3e9, silenceNs = 5e9 } = options;
  const settings = checkSettings(options);
  requireRange('connectTimeoutNs', connectTimeoutNs, { min: 1, max: 1e12 });
  requireRange('silenceNs', silenceNs, { min: 1, max: 1e12 });
  const key = options.clientKey ?? drawClientKey();
  return { ...settings, addresses, secret, key, connectTimeoutNs, silenceNs };
}

function connectNow(options: TcpFabricOptions): { session: TcpSession; given: TcpSessionOptions } {
  const given = sessionOptions(options);
  return { given, session: callNative(() => new (native().TcpClientSession)(given)) };
}
