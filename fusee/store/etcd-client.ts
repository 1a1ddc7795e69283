/**
 * What masters need of etcd, by its JSON gateway: leases, transactions on two keys, and a watch. The gateway
 * needs no package but Node's own `fetch`; etcd3, the package for its gRPC, would bring 37 of them.
 *
 * Keys and values travel in base64, numbers of 64 bits as strings.
 */
import { FabricError, UsageError } from '../verbs/index.js';

/** A watch is renewed so often, in case its end was missed. */
const WATCH_MS = 10_000;
const DEFAULT_PORT = 2379;

/** etcd has answered that it will not do it, however often it is asked. */
export class EtcdRefusal extends FabricError {}

/** Codes of gRPC by which it refuses for good: wrong arguments, no permission, no such service, no user. */
const REFUSALS = [3, 7, 12, 16];
/** Its answer when its database is full: the code is that of one that is merely busy. */
const NO_SPACE = /database space exceeded/;

/** One key of a range. */
export interface EtcdValue {
  readonly value: string;
  /** The revision that made the key. */
  readonly createRevision: number;
  /** The lease that it hangs on; '0': none. */
  readonly lease: string;
}

/** A transaction's answer. */
interface TxnAnswer {
  readonly succeeded: boolean;
  readonly revision: number;
  /** What the ranges of the branch taken have found. */
  readonly found: readonly (EtcdValue | undefined)[];
}

interface RawValue {
  value?: string;
  create_revision?: string;
  lease?: string;
}

/** Parts of a transaction, as etcd takes them. */
export const txn = {
  isAbsent: (key: string) => ({ key: encode(key), target: 'CREATE', result: 'EQUAL', create_revision: '0' }),
  wasMadeIn: (key: string, revision: number) => ({
    key: encode(key),
    target: 'CREATE',
    result: 'EQUAL',
    create_revision: String(revision),
  }),
  put: (key: string, value: string, lease = '0') => ({
    request_put: { key: encode(key), value: encode(value), lease },
  }),
  get: (key: string) => ({ request_range: { key: encode(key) } }),
  remove: (key: string) => ({ request_delete_range: { key: encode(key) } }),
};

/** A client of an etcd cluster: whichever of its servers answers. */
export class EtcdClient {
  readonly #endpoints: readonly string[];
  readonly #callMs: number;
  /** The one that answered last. */
  #at = 0;

  /** @param callMs one request may take so long; then the next endpoint is asked. */
  constructor(endpoints: readonly string[], callMs: number) {
    this.#endpoints = endpoints;
    this.#callMs = callMs;
  }

  /** A lease of whole seconds: its id, and how long it is. */
  async grant(seconds: number): Promise<{ lease: string; seconds: number }> {
    const answer = await this.#call('/v3/lease/grant', { TTL: String(seconds) });
    return { lease: String(answer['ID']), seconds: Number(answer['TTL']) };
  }

  /** Renews a lease; how many seconds it has from the request on, 0: it has ended. */
  async keepAlive(lease: string): Promise<number> {
    const answer = await this.#call('/v3/lease/keepalive', { ID: lease });
    return Number((answer['result'] as { TTL?: string } | undefined)?.TTL ?? 0);
  }

  /** Ends a lease, and with it the keys that hang on it. One that has ended is no error. */
  async revoke(lease: string): Promise<void> {
    try {
      await this.#call('/v3/lease/revoke', { ID: lease });
    } catch (error) {
      if (!/lease not found/.test((error as Error).message)) throw error;
    }
  }

  /** A transaction; see {@link txn} for its parts. */
  async commit(request: {
    compare: readonly object[];
    success: readonly object[];
    failure?: readonly object[];
  }): Promise<TxnAnswer> {
    const answer = await this.#call('/v3/kv/txn', request);
    const {
      header,
      succeeded = false,
      responses = [],
    } = answer as {
      header?: { revision?: string };
      succeeded?: boolean;
      responses?: { response_range?: { kvs?: RawValue[] } }[];
    };
    const found = responses
      .filter((one) => one.response_range !== undefined)
      .map((one) => toValue(one.response_range?.kvs?.[0]));
    return { succeeded, revision: Number(header?.revision), found };
  }

  /** Waits for the removal of a key after a revision. False: look at it again, it may have been missed. */
  async removal(key: string, revision: number, signal?: AbortSignal): Promise<boolean> {
    const created = { create_request: { key: encode(key), start_revision: String(revision + 1) } };
    const abort = new AbortController();
    const end = (): void => abort.abort();
    const timer = setTimeout(end, WATCH_MS);
    signal?.addEventListener('abort', end);
    if (signal?.aborted === true) end();
    try {
      const response = await this.#fetch('/v3/watch', created, abort.signal);
      let pending = '';
      const decoder = new TextDecoder();
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        pending += decoder.decode(chunk, { stream: true });
        const lines = pending.split('\n');
        pending = lines.pop() ?? '';
        if (lines.some(endsWatch)) return true;
      }
    } catch {
      // Nobody else is asked: who watches looks at the key itself anyway.
      if (!abort.signal.aborted) this.#at++;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      end();
    }
    return false;
  }

  async #call(path: string, body: object): Promise<Record<string, unknown>> {
    let failure: unknown;
    for (let tries = 0; tries < this.#endpoints.length; tries++) {
      try {
        const response = await this.#fetch(path, body, AbortSignal.timeout(this.#callMs));
        const answer = (await response.json()) as Record<string, unknown>;
        if (response.ok) return answer;
        failure = failureOf(answer, response.status);
      } catch (error) {
        failure = error;
      }
      this.#at++;
    }
    const at = `etcd at ${this.#endpoints.join(', ')}`;
    if (failure instanceof EtcdRefusal)
      throw new EtcdRefusal(`${at} refuses ${path}: ${failure.message}`, { definite: true, cause: failure });
    throw new FabricError(`${at} does not answer ${path}: ${reasonOf(failure)}`, {
      ...{ definite: false, cause: failure },
    });
  }

  #fetch(path: string, body: object, signal: AbortSignal): Promise<Response> {
    const endpoint = this.#endpoints[this.#at % this.#endpoints.length];
    return fetch(`http://${endpoint}${path}`, { method: 'POST', body: JSON.stringify(body), signal });
  }
}

/** Reads `etcd://host:port[,host:port]`. @throws UsageError when it is none. */
export function parseEndpoints(url: string): string[] {
  const [, list] = /^etcd:\/\/([^/@]+)\/?$/.exec(url) ?? [];
  const endpoints = list?.split(',').map((one) => (/:\d+$/.test(one) ? one : `${one}:${DEFAULT_PORT}`));
  if (endpoints?.every((one) => URL.canParse(`http://${one}`)) === true) return endpoints;
  throw new UsageError(
    `the store is '${url}'; write etcd://host:port[,host:port], without names, passwords or a path, or embedded`,
  );
}

const encode = (text: string): string => Buffer.from(text).toString('base64');

const toValue = (raw: RawValue | undefined): EtcdValue | undefined =>
  raw === undefined
    ? undefined
    : {
        value: Buffer.from(raw.value ?? '', 'base64').toString(),
        createRevision: Number(raw.create_revision),
        lease: raw.lease ?? '0',
      };

/** A line of a watch that tells of a removal. */
function endsWatch(line: string): boolean {
  if (line.trim() === '') return false;
  const { result } = JSON.parse(line) as { result?: { events?: { type?: string }[] } };
  return result?.events?.some(({ type }) => type === 'DELETE') ?? false;
}

function failureOf(answer: Record<string, unknown>, status: number): FabricError {
  const message = String(answer['message'] ?? answer['error'] ?? status);
  if (NO_SPACE.test(message))
    return new EtcdRefusal(
      `${message}; compact and defragment it, then disarm its alarm (etcdctl alarm disarm)`,
    );
  return REFUSALS.includes(Number(answer['code'])) ? new EtcdRefusal(message) : new FabricError(message);
}

function reasonOf(failure: unknown): string {
  const { message, cause } = failure as { message?: string; cause?: { message?: string } };
  return cause?.message === undefined || cause.message === '' ? String(message) : cause.message;
}
