/** An authenticated connection to a pool's master, wherever that is. */
import { connect, type Socket } from 'node:net';
import { readSecret, secretPath } from '../fabric/secret.js';
import { FabricError, UsageError } from '../verbs/index.js';
import {
  isProof,
  LINE_MAX,
  type Message,
  newNonce,
  parseAddress,
  proof,
  receive,
  type Shared,
  send,
  socketPath,
  tune,
} from './channel.js';
import { check, type FromClient, type FromMaster, fromMaster, type ToldView } from './messages.js';

/** Where a master is, and how to prove that one may talk to it. */
export interface MasterAddress {
  readonly pool: string;
  /** Where masters of the pool listen, "host:port" each: one of them leads. @default on this host */
  readonly master?: readonly string[];
  /** @default the file that the master of this host has made */
  readonly secretFile?: string;
}

/** A master that does not answer for so long is not there. */
const ANSWER_MS = 3000;

/** A socket's path, or an address; '' stands for this host's. */
const connectTo = (pool: string, where: string): Socket => {
  if (where === '') return connect(socketPath(pool));
  const socket = connect(parseAddress(where));
  tune(socket);
  return socket;
};

/**
 * Says whether a pool has a master: who was given an address of one takes it for there, on this host its
 * socket takes connections.
 */
export async function hasMaster({ pool, master }: MasterAddress): Promise<boolean> {
  if (master !== undefined) return true;
  return await new Promise((resolve) => {
    const socket = connectTo(pool, '');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** An authenticated connection. */
export class Session {
  readonly socket: Socket;
  readonly leaseMs: number;
  readonly view: ToldView;
  readonly term: number;
  onMessage: (message: FromMaster) => void = () => {};
  onClosed: () => void = () => {};

  constructor(socket: Socket, accepted: { leaseMs: number; view: ToldView; term: number }) {
    this.socket = socket;
    this.term = accepted.term;
    this.leaseMs = accepted.leaseMs;
    this.view = accepted.view;
  }

  send(message: FromClient): void {
    send(this.socket, message as Message);
  }

  /**
   * Connects to the master that leads; where there are several addresses, to all at once.
   * @param leastTerm a master of an earlier term has been replaced, and may not know it.
   * @throws FabricError when no master answers, or such a one; UsageError when the secrets differ.
   */
  static async open({ pool, master, secretFile }: MasterAddress, leastTerm = 0): Promise<Session> {
    const secret = readSecret(secretFile ?? secretPath(pool));
    const places = master ?? [''];
    if (places.length === 0)
      throw new UsageError('no address of a master is given; give host:port, or leave it out');
    // All of them ahead of the first attempt.
    for (const where of places) if (where !== '') parseAddress(where);
    const attempts = places.map((where) => new Opening(where, { shared: { pool, secret }, leastTerm }).done);
    try {
      const first = await Promise.any(attempts);
      for (const attempt of attempts)
        attempt.then(
          (other) => other !== first && other.socket.destroy(),
          // It was one of several, and another leads.
          () => undefined,
        );
      return first;
    } catch (error) {
      const { errors } = error as AggregateError;
      throw errors.find((one) => one instanceof UsageError) ?? errors[0];
    }
  }
}

/** The handshake with one master. */
class Opening {
  readonly #shared: Shared;
  readonly #leastTerm: number;
  readonly #where: string;
  readonly #socket: Socket;
  readonly #nonce = newNonce();
  #challenge = '';
  #session: Session | undefined;
  readonly #timer: NodeJS.Timeout;
  #resolve: (session: Session) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly done: Promise<Session>;

  constructor(where: string, { shared, leastTerm }: { shared: Shared; leastTerm: number }) {
    this.#shared = shared;
    this.#leastTerm = leastTerm;
    this.#where = where === '' ? '' : ` at ${where}`;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#socket = connectTo(shared.pool, where);
    this.#timer = setTimeout(
      () => this.#fail(new FabricError(`${this.#master} did not answer within ${ANSWER_MS} ms`)),
      ANSWER_MS,
    );
    this.#listen();
  }

  get #master(): string {
    return `the master of pool '${this.#shared.pool}'${this.#where}`;
  }

  #listen(): void {
    const socket = this.#socket;
    receive(socket, (raw) => this.#hear(raw), { onError: (e) => this.#fail(e), longest: () => LINE_MAX });
    socket.on('error', (error) => {
      const what = `no master of pool '${this.#shared.pool}' can be reached${this.#where}`;
      this.#fail(new FabricError(`${what}: ${error.message}`));
    });
    socket.on('close', () => {
      this.#fail(new FabricError(`${this.#master} has closed the connection`));
      this.#session?.onClosed();
    });
  }

  /** Nothing happens when the session is open: it hears of its end by itself. */
  #fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
    this.#reject(error);
  }

  #failMismatch(reason = ''): void {
    const other = this.#where === '' ? '' : " (or the master there is another pool's)";
    this.#fail(
      new UsageError(
        `the secret of ${this.#master} is another; give its file, or remove ours${other}${reason}`,
      ),
    );
  }

  #hear(raw: Message): void {
    const message = check(fromMaster, raw);
    if (typeof message === 'string') this.#fail(new FabricError(`the master sent nonsense: ${message}`));
    else if (this.#session !== undefined) this.#session.onMessage(message);
    else this.#obey(message);
  }

  #obey(message: FromMaster): void {
    const [shared, nonce, challenge] = [this.#shared, this.#nonce, this.#challenge];
    switch (message.type) {
      case 'challenge': {
        this.#challenge = message.nonce;
        const own = proof(shared, 'client', [message.nonce, nonce]);
        send(this.#socket, { type: 'hello', nonce, proof: own });
        return;
      }
      case 'refused':
        this.#failMismatch(` (${message.reason})`);
        return;
      case 'accepted':
        if (!isProof(message.proof, proof(shared, 'master', [nonce, challenge, String(message.term)])))
          this.#failMismatch();
        else if (message.term < this.#leastTerm)
          this.#fail(new FabricError(`a master of term ${message.term} answers, behind ${this.#leastTerm}`));
        else {
          clearTimeout(this.#timer);
          this.#session = new Session(this.#socket, message);
          this.#resolve(this.#session);
        }
    }
  }
}
