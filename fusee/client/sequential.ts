/** One request at a time over any fabric: for set-up, tools and tests. The reactor is for many. */

import type { Fabric } from '../fabric/contract.js';
import type { CacheOptions } from '../index/index.js';
import { IndexCache } from '../index/index.js';
import { HEADER_BYTES, type View } from '../layout/index.js';
import { ClientState, type Coroutine, makeCoroutine, Outcome, RequestKind } from '../ops/index.js';
import { DONE, Ledger, type OpLoop, type VerbBatch } from '../verbs/index.js';

/** Runs a loop's next call to DONE. */
export function runToDone(fabric: Fabric, loop: OpLoop, ledger?: Ledger): void {
  const done: VerbBatch[] = [];
  for (let batch = loop.next().value; batch !== DONE; batch = loop.next().value) {
    while (!fabric.post(batch)) fabric.poll(done);
    while (fabric.poll(done) === 0);
    ledger?.add(batch);
  }
}

/** A client with a single coroutine and a synchronous call per request. */
export class SequentialClient {
  readonly fabric: Fabric;
  readonly state: ClientState;
  readonly coroutine: Coroutine;
  /** Costs of the latest request. */
  ledger = new Ledger();

  constructor(fabric: Fabric, options: { view: View; cid: number; cache?: CacheOptions }) {
    this.fabric = fabric;
    this.state = new ClientState({
      view: options.view,
      local: fabric.local,
      cache: new IndexCache(options.cache),
      cid: options.cid,
      coroutines: 1,
    });
    this.coroutine = makeCoroutine(this.state, 0);
  }

  /** SEARCH: the value, or the outcome when there is none. */
  search(key: string): string | Outcome {
    const outcome = this.request(RequestKind.SEARCH, key, '');
    const { cx } = this.coroutine;
    if (outcome !== Outcome.OK) return outcome;
    return Buffer.from(this.fabric.local.bytes.slice(cx.foundAt, cx.foundAt + cx.foundBytes)).toString(
      'latin1',
    );
  }

  insert(key: string, value: string): Outcome {
    return this.request(RequestKind.INSERT, key, value);
  }

  update(key: string, value: string): Outcome {
    return this.request(RequestKind.UPDATE, key, value);
  }

  delete(key: string): Outcome {
    return this.request(RequestKind.DELETE, key, '');
  }

  put(key: string, value: string): Outcome {
    return this.request(RequestKind.PUT, key, value);
  }

  /** Stages and runs one request. Keys and values are taken byte by byte (latin1). */
  request(kind: RequestKind, key: string, value: string): Outcome {
    stage(this.coroutine, Buffer.from(key, 'latin1'), Buffer.from(value, 'latin1'));
    this.ledger = new Ledger();
    runToDone(this.fabric, this.coroutine.loops[kind], this.ledger);
    return this.coroutine.cx.outcome;
  }
}

/** Stages a request's key and value in the coroutine's registered memory. */
export function stage(coroutine: Coroutine, key: Uint8Array, value: Uint8Array): void {
  const { cx } = coroutine;
  const { bytes } = cx.client.local;
  bytes.set(key, cx.object + HEADER_BYTES);
  bytes.set(value, cx.object + HEADER_BYTES + key.length);
  cx.keyBytes = key.length;
  cx.valueBytes = value.length;
}
