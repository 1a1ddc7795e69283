/** What a client process that has faults to come wraps around its fabric and its requests. */
import type { RequestSource } from '../../fusee/client/request-source.js';
import type { Fabric } from '../../fusee/fabric/contract.js';
import type { Coroutine } from '../../fusee/ops/index.js';
import type { VerbBatch } from '../../fusee/verbs/index.js';
import { Crasher } from './crash.js';
import { LinkFabric } from './link.js';
import type { ClientFaults } from './plan.js';

/** What the wrapping needs to know of its client. */
export interface FaultyClientOptions {
  readonly fabric: Fabric;
  readonly faults: ClientFaults;
  /** When the measured window began; Infinity while it is not known: then nothing goes wrong. */
  readonly windowNs: () => number;
  /** The client's counts so far. */
  readonly report: () => unknown;
  /** Called before verbs are posted. */
  readonly beforePost?: (() => void) | undefined;
}

/** A client's fabric with its faults in it, and the eye on its requests that they need. */
export class FaultyClient {
  /** What the client is to post on. */
  readonly fabric: Fabric;
  readonly #options: FaultyClientOptions;
  #crasher: Crasher | null = null;

  constructor(options: FaultyClientOptions) {
    const { faults, windowNs } = options;
    this.#options = options;
    const linked =
      faults.links.length === 0 ? options.fabric : new LinkFabric(options.fabric, faults.links, windowNs);
    this.fabric = watched(linked, (batch) => {
      options.beforePost?.();
      this.#crasher?.beforePost(batch, linked, linked.nowNs() >= windowNs());
    });
  }

  /** The source of a phase, seen through where crashes wait for its requests. */
  watching(source: RequestSource, coroutines: readonly Coroutine[]): RequestSource {
    const { faults, report } = this.#options;
    if (faults.crashes.length === 0) return source;
    this.#crasher = new Crasher(faults.crashes, coroutines, { report });
    return this.#crasher.watching(source);
  }
}

/** The fabric, with a look at every batch ahead of its post. */
function watched(inner: Fabric, look: (batch: VerbBatch) => void): Fabric {
  return {
    get kind() {
      return inner.kind;
    },
    get local() {
      return inner.local;
    },
    get mnCount() {
      return inner.mnCount;
    },
    get outstanding() {
      return inner.outstanding;
    },
    post: (batch) => {
      look(batch);
      return inner.post(batch);
    },
    poll: (done) => inner.poll(done),
    nowNs: () => inner.nowNs(),
    close: () => inner.close(),
  };
}
