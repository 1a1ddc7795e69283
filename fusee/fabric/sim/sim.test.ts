import { describe, expect, it } from 'vitest';
import { Opcode, Status, VerbBatch, word } from '../../verbs/index.js';
import { Request, serveConformance } from '../conformance/service.js';
import { describeFabric, type FabricHarness, type FabricPool } from '../conformance.js';
import {
  ConstantLatency,
  JitteredLatency,
  type LatencyModel,
  NO_FAULTS,
  SimFabric,
  type SimFabricOptions,
  type SimFaults,
  SimMemory,
  type SimRandom,
  SimWorld,
} from './index.js';

const inTests =
  'programs block their thread; simulated clients at the same time are tested below, in virtual time';

const FAULTS: SimFaults = { ...NO_FAULTS, tear: 0.3, tearNs: 3000, delay: 0.1, delayNs: 20_000 };

/** Jitter, and calls that take as long as they ask for. */
class TestLatency extends JitteredLatency implements LatencyModel {
  constructor() {
    super({ leastNs: 500, jitterNs: 2000, serviceNs: 3000 });
  }

  override serviceNs(_random: SimRandom, _mn: number, request: Uint8Array): number {
    return request[0] === Request.SLOW ? request[1] * 10e6 : 3000;
  }
}

function makeWorld(
  memoryBytes: readonly number[],
  options: { seed?: number; faults?: SimFaults } = {},
): SimWorld {
  const nodes = new SimMemory(memoryBytes);
  for (let mn = 0; mn < nodes.count; mn++) {
    const serve = serveConformance((offset, lengthBytes) => {
      const into = new Uint8Array(lengthBytes);
      nodes.read(mn, offset, into, 0, lengthBytes);
      return into;
    });
    // Slow calls take virtual time only.
    nodes.serve(mn, (request) => (request[0] === Request.SLOW ? request : serve(request)));
  }
  return new SimWorld(nodes, { seed: options.seed ?? 1, latency: new TestLatency(), faults: options.faults });
}

const harnessOf = (faults?: SimFaults): FabricHarness => ({
  skips: {
    'FAA loses no addition': inTests,
    'CAS lets one of two win': inTests,
    'an unaligned 9-byte WRITE never changes the bytes beside it': inTests,
    'a WRITE lands in ascending order, whole words at a time': inTests,
    'a READ does not overtake a WRITE posted before it': inTests,
    'nothing posted before a fence executes after it': inTests,
    'a call that waits behind others is not served after the fence of its client': inTests,
  },
  async start(memoryBytes): Promise<FabricPool> {
    const world = makeWorld(memoryBytes, { faults });
    return {
      attach: (options) => new SimFabric(world, { rpcTimeoutNs: 1e9, ...options }),
      kill: async (mn) => world.nodes.kill(mn),
      run: () => {
        throw new Error(inTests);
      },
      close: async () => {},
    };
  },
});

describeFabric('sim fabric', harnessOf());
describeFabric('sim fabric with torn and late verbs', harnessOf(FAULTS));

/** A client that calls `next` to refill its batch each time it comes back, until that says no. */
function drive(
  world: SimWorld,
  next: (batch: VerbBatch, buffer: number) => boolean,
  options: SimFabricOptions = {},
) {
  const fabric = new SimFabric(world, { localBytes: 1 << 16, ...options });
  const batch = new VerbBatch(fabric.local, 16);
  const buffer = fabric.local.reserve(4096);
  const go = (): void => {
    if (next(batch, buffer)) fabric.post(batch);
  };
  fabric.onCompleted = go;
  go();
  return { fabric, batch, buffer };
}

function run(world: SimWorld): void {
  while (world.step());
}

/** Times `n` rounds of something. */
const times = (n: number, fill: (batch: VerbBatch, buffer: number, round: number) => void) => {
  let round = 0;
  return (batch: VerbBatch, buffer: number): boolean => {
    if (round === n) return false;
    fill(batch.reset(), buffer, round++);
    return true;
  };
};

describe.each([1, 2, 3])('clients at the same virtual time, seed %i', (seed) => {
  it('FAA loses no addition, and CAS lets one of two win', () => {
    const world = makeWorld([1024], { seed, faults: FAULTS });
    let won = 0;
    for (let c = 0; c < 3; c++) {
      const seen = word();
      drive(world, (batch) => {
        if (batch.count > 0 && batch.swapped(1)) won++;
        batch.found(1, seen);
        if (batch.postedNs > 3e6) return false;
        batch.reset().faa(0, 64, word(0, 1));
        batch.cas(0, 72, seen, word(0, seen.lo + 1));
        return true;
      });
    }
    run(world);
    const sum = world.nodes.load(0, 64, word()).lo;
    expect(sum).toBeGreaterThan(500);
    expect(world.nodes.load(0, 72, word()).lo).toBe(won);
    expect(won).toBeGreaterThan(100);
    expect(won).toBeLessThan(sum);
  });

  it('a READ meets WRITEs half done, in ascending order, at whole words of the MN', () => {
    const world = makeWorld([1024], { seed, faults: FAULTS });
    drive(
      world,
      times(500, (batch, buffer, round) => {
        batch.local.bytes.fill(round & 255, buffer, buffer + 60);
        batch.write(0, 67, buffer, 60);
      }),
    );
    let mixed = 0;
    const check = (batch: VerbBatch, buffer: number): void => {
      const bytes = batch.local.bytes.subarray(buffer, buffer + 60);
      let changes = 0;
      for (let i = 1; i < 60; i++) {
        if (bytes[i] === bytes[i - 1]) continue;
        changes++;
        expect((67 + i) % 8, 'changes at a whole word').toBe(0);
        expect((bytes[i - 1] - bytes[i]) & 255, 'a later byte is older').toBeLessThan(128);
      }
      if (changes > 0) mixed++;
    };
    // One word at a time, so that only WRITEs are torn.
    const words = times(2000, (batch, buffer) => {
      for (let i = 7; i >= 0; i--) {
        const from = Math.max(67, 64 + 8 * i);
        batch.read(0, from, buffer + from - 67, Math.min(127, 72 + 8 * i) - from);
      }
    });
    drive(world, (batch, buffer) => {
      if (batch.count > 0) check(batch, buffer);
      return words(batch, buffer);
    });
    run(world);
    expect(mixed).toBeGreaterThan(20);
  });

  it('of two that set their flag and then read the other, one at least sees it', () => {
    const world = makeWorld([1 << 16], { seed, faults: FAULTS });
    const rounds = 300;
    const saw = [0, 1].map((side) => {
      const seen: number[] = [];
      drive(world, (batch, buffer) => {
        if (batch.count > 0) seen.push(batch.foundLo(1));
        const at = 64 + seen.length * 16;
        if (seen.length === rounds) return false;
        batch.local.bytes[buffer] = 1;
        batch.reset().write(0, at + side * 8, buffer, 8);
        batch.read8(0, at + 8 - side * 8);
        return true;
      });
      return seen;
    });
    run(world);
    expect(saw[0].filter((s, r) => s === 0 && saw[1][r] === 0)).toEqual([]);
    expect(saw[0].filter((s) => s === 0).length).toBeGreaterThan(0);
  });

  it('a crash lets a prefix per MN execute, and a fence ends it', () => {
    let partial = 0;
    for (let s = 0; s < 50; s++) {
      const world = makeWorld([1024, 1024], { seed: seed * 100 + s, faults: FAULTS });
      const client = new SimFabric(world, { localBytes: 1 << 16 });
      const batch = new VerbBatch(client.local, 16);
      for (let i = 0; i < 8; i++) for (const mn of [0, 1]) batch.faa(mn, i * 8, word(0, 1));
      client.post(batch);
      world.at(world.random.below(2000), () => client.crash());
      world.at(10_000 + world.random.below(20_000), () => client.fence());
      run(world);
      for (const mn of [0, 1]) {
        const done = Array.from({ length: 8 }, (_, i) => world.nodes.load(mn, i * 8, word()).lo);
        expect(done, 'a prefix').toEqual([...done].sort().reverse());
        if (done[0] === 1 && done[7] === 0) partial++;
      }
    }
    expect(partial).toBeGreaterThan(10);
  });

  it('nothing executes, and no call is served, behind a fence', () => {
    const world = makeWorld([1024], { seed, faults: FAULTS });
    const { fabric } = drive(world, (batch, buffer) => {
      batch.local.bytes[buffer] = Request.COUNT;
      batch.reset().faa(0, 0, word(0, 1));
      batch.rpc(0, { local: buffer, lengthBytes: 1 }, { local: buffer + 64, capacityBytes: 8 });
      return true;
    });
    let atFence = [0, 0];
    const counted = (): number =>
      new Uint32Array(world.nodes.call(0, Uint8Array.of(Request.COUNTED))!.buffer)[0];
    world.at(500_000, () => {
      fabric.crash();
      fabric.fence();
      atFence = [world.nodes.load(0, 0, word()).lo, counted()];
    });
    run(world);
    expect(atFence[0]).toBeGreaterThan(20);
    expect([world.nodes.load(0, 0, word()).lo, counted()]).toEqual(atFence);
  });

  it('behind a verb lost to a cut link nothing executes until it is mended', () => {
    for (let s = 0; s < 30; s++) {
      const world = makeWorld([1024], { seed: seed * 100 + s, faults: FAULTS });
      const results: Status[][] = [];
      const { fabric } = drive(world, (batch) => {
        if (batch.count > 0) results.push([batch.status(0), batch.status(1)]);
        if (world.nowNs > 60_000) return false;
        batch.reset().faa(0, 0, word(0, 1));
        batch.faa(0, 8, word(0, 1));
        return true;
      });
      world.at(5_000 + s * 100, () => fabric.cutLink(0, true));
      world.at(7_000 + s * 200, () => fabric.cutLink(0, false));
      run(world);
      const failed = results.filter((r) => r.includes(Status.FAIL)).length;
      const executed = [0, 8].map((at) => world.nodes.load(0, at, word()).lo);
      expect(failed).toBeGreaterThan(0);
      expect(results.at(-1)).toEqual([Status.OK, Status.OK]);
      expect(executed[0]).toBeGreaterThanOrEqual(executed[1]);
      expect(executed[1]).toBeGreaterThanOrEqual(results.length - failed);
    }
  });

  it('calls that are lost FAIL in time, and duplicates are served twice but answered once', () => {
    const faults = { ...FAULTS, rpcLoss: 0.2, rpcDuplication: 0.3 };
    const world = makeWorld([1024], { seed, faults });
    let ok = 0;
    let failed = 0;
    const next = times(300, (batch, buffer) => {
      batch.local.bytes[buffer] = Request.COUNT;
      batch.rpc(0, { local: buffer, lengthBytes: 1 }, { local: buffer + 64, capacityBytes: 8 });
    });
    drive(
      world,
      (batch, buffer) => {
        if (batch.count > 0 && batch.status(0) === Status.OK) ok++;
        else if (batch.count > 0) failed++;
        return next(batch, buffer);
      },
      { rpcTimeoutNs: 50_000 },
    );
    run(world);
    const counted = new Uint32Array(world.nodes.call(0, Uint8Array.of(Request.COUNTED))!.buffer)[0];
    expect(ok + failed).toBe(300);
    expect(failed).toBeGreaterThan(50);
    expect(world.weakCpus.timeouts).toBe(failed);
    expect(counted).toBeGreaterThan(ok);
  });
});

describe('a world', () => {
  const digest = (seed: number, faults: SimFaults): string => {
    const world = makeWorld([4096, 4096], { seed, faults });
    for (let c = 0; c < 3; c++)
      drive(
        world,
        times(100, (batch, buffer, round) => {
          batch.faa(c & 1, 0, word(0, round));
          batch.write(1, 64 + c * 8, buffer, 100);
          batch.read(0, 0, buffer, 128);
        }),
      );
    run(world);
    return world.digest;
  };

  it('is the same for the same seed, and another for another', () => {
    expect(digest(7, FAULTS)).toBe(digest(7, FAULTS));
    expect(digest(7, FAULTS)).not.toBe(digest(8, FAULTS));
    expect(digest(7, NO_FAULTS)).not.toBe(digest(7, FAULTS));
  });

  it('has the digest that it had: a change of it changes every simulated result', () => {
    expect(digest(7, FAULTS)).toBe('ce40399d0db01a4b');
  });

  it('executes chains in the order of their arrival, and completes a batch with its last answer', () => {
    const nodes = new SimMemory([1024, 1024]);
    const latency = new ConstantLatency({ rttNs: 2000, serviceNs: 5000 });
    const world = new SimWorld(nodes, { seed: 1, latency });
    const stamps: number[][] = [];
    for (let c = 0; c < 2; c++)
      drive(world, (batch) => {
        if (batch.count > 0) stamps.push([batch.postedNs, batch.completedNs, batch.foundLo(0)]);
        if (stamps.length >= 3) return false;
        batch.reset().faa(0, 0, word(0, 1));
        batch.faa(1, 0, word(0, 1));
        return true;
      });
    run(world);
    expect(stamps).toEqual([
      [0, 2000, 0],
      [0, 2000, 1],
      [2000, 4000, 2],
      [2000, 4000, 3],
    ]);
  });

  it.each([NO_FAULTS, FAULTS])('completes every batch, however many are under way, faults %j', (faults) => {
    // Its tables begin with 64 flights and 128 segments, and must lose nothing while they grow.
    const world = makeWorld([4096, 4096], { faults });
    let completed = 0;
    const clients = 700;
    for (let c = 0; c < clients; c++)
      drive(world, (batch, buffer) => {
        if (batch.count > 0) {
          completed++;
          return false;
        }
        batch.reset().write(c & 1, 0, buffer, 64);
        batch.faa(1 - (c & 1), 64, word(0, 1));
        return true;
      });
    run(world);
    expect(completed).toBe(clients);
  });

  it('tells verbs apart that it tore', () => {
    const world = makeWorld([1024], { faults: { ...NO_FAULTS, tear: 1, tearNs: 10 } });
    const { batch } = drive(
      world,
      times(1, (b, buffer) => {
        b.write(0, 0, buffer, 64);
        b.write(0, 64, buffer, 8);
        b.cas(0, 72, word(), word(0, 1));
      }),
    );
    run(world);
    expect([world.torn, world.verbs]).toEqual([1, 3]);
    expect(batch.opcode(2)).toBe(Opcode.CAS);
  });
});
