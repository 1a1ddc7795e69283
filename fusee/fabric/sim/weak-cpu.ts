/**
 * The weak CPUs of the MNs: one queue each, served in order of arrival, with what may happen to a call.
 *
 * Calls are rare, one per block, so they may allocate.
 */
import { Field, Status } from '../../verbs/index.js';
import type { SimFabric } from './fabric.js';
import type { Flight } from './flight-table.js';
import type { SimWorld } from './world.js';

/** One call and everything that may still come of it. */
interface Call {
  /** The client that called: what is served twice may be served when the flight has become another's. */
  readonly fabric: SimFabric;
  readonly flight: Flight;
  readonly verb: number;
  readonly mn: number;
  /** Of the MN's memory: another process, in its place, has not been asked. */
  readonly generation: number;
  /**
   * Copied when posted: after a timeout the client may write there again, while the request is still on its
   * way.
   */
  readonly request: Uint8Array;
  /** The client has its answer, or has stopped waiting. */
  isOver: boolean;
}

/** The weak CPUs of all nodes of a world. */
export class WeakCpus {
  readonly #world: SimWorld;
  /** Per MN: when it has served all that has arrived. */
  readonly #freeNs: Float64Array;
  readonly #calls = new Map<Flight, Call[]>();
  /** Calls that FAILed for want of an answer. */
  timeouts = 0;

  constructor(world: SimWorld) {
    this.#world = world;
    this.#freeNs = new Float64Array(world.nodes.count);
  }

  /** A call is posted, as verb `verb` of a flight. */
  post(flight: Flight, verb: number): void {
    const world = this.#world;
    const { fabric, batch } = flight;
    const at = batch.field(verb, Field.LOCAL);
    const request = fabric.local.bytes.slice(at, at + batch.field(verb, Field.LENGTH));
    const mn = batch.mn(verb);
    const generation = world.nodes.generations[mn];
    const call: Call = { fabric, flight, verb, mn, generation, request, isOver: false };
    flight.remaining++;
    const calls = this.#calls.get(flight) ?? [];
    calls[verb] = call;
    this.#calls.set(flight, calls);
    world.at(world.nowNs + fabric.rpcTimeoutNs, () => {
      if (call.isOver) return;
      this.timeouts++;
      this.#end(call, Status.FAIL);
    });
  }

  /** The call arrives at its MN. */
  arrive(flight: Flight, verb: number): void {
    const call = this.#calls.get(flight)?.[verb];
    if (call === undefined || call.isOver) return;
    const { random, faults, nodes, nowNs } = this.#world;
    const { fabric } = flight;
    if (!nodes.isAlive(call.mn) || fabric.isLost(call.mn, flight.postedNs)) {
      this.#end(call, Status.FAIL);
      return;
    }
    if (random.happens(faults.rpcLoss)) return;
    this.#queue(call);
    if (random.happens(faults.rpcDuplication)) {
      this.#world.at(nowNs + 1 + random.below(2 * fabric.rpcTimeoutNs), () => this.#queue(call));
    }
  }

  #queue(call: Call): void {
    const world = this.#world;
    const startNs = Math.max(world.nowNs, this.#freeNs[call.mn]);
    this.#freeNs[call.mn] = startNs + world.latency.serviceNs(world.random, call.mn, call.request);
    world.at(this.#freeNs[call.mn], () => this.#serve(call));
  }

  #serve(call: Call): void {
    const { nodes, random, faults, latency, nowNs } = this.#world;
    if (call.fabric.isFenced) return;
    if (!nodes.isAlive(call.mn) || nodes.generations[call.mn] !== call.generation) {
      this.#end(call, Status.FAIL);
      return;
    }
    const response = nodes.call(call.mn, call.request);
    if (random.happens(faults.rpcLoss) || call.isOver) return;
    const { batch } = call.flight;
    const answerNs = nowNs + latency.responseNs(random, call.mn, batch, nowNs);
    this.#world.at(answerNs, () => this.#answer(call, response));
  }

  #answer(call: Call, response: Uint8Array | undefined): void {
    if (call.isOver) return;
    const { batch } = call.flight;
    batch.setField(call.verb, Field.FOUND_LO, response?.length ?? 0);
    const fits = response !== undefined && response.length <= batch.field(call.verb, Field.EXPECT_HI);
    if (fits) batch.local.bytes.set(response, batch.field(call.verb, Field.EXPECT_LO));
    this.#end(call, fits ? Status.OK : Status.FAIL);
  }

  #end(call: Call, status: Status): void {
    if (call.isOver) return;
    call.isOver = true;
    call.flight.batch.setField(call.verb, Field.STATUS, status);
    const calls = this.#calls.get(call.flight)!;
    delete calls[call.verb];
    if (calls.every((c) => c === undefined)) this.#calls.delete(call.flight);
    this.#world.answered(call.flight, this.#world.nowNs + 1);
  }
}
