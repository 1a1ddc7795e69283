import { describe, expect, it } from 'vitest';
import { executeVerb } from '../fabric/execute-verb.js';
import { HEADER_BYTES, LINE_BYTES, LOG_COMMIT_BYTES, readOldValue } from '../layout/index.js';
import { type ByHand, poolByHand } from '../ops/by-hand.js';
import { Outcome } from '../ops/index.js';
import { Field, Opcode, word } from '../verbs/index.js';
import { Recovered, recoverRequest } from './index.js';

/** A value of three lines. */
const VALUE = 'v'.repeat(130);

/** A pool, a client that dies after `batches` batches of an INSERT, and what changes the object it left. */
function fixture(indexReplicas: number, batches: number) {
  const pool = poolByHand({ indexReplicas, dataReplicas: 2, clients: 3 });
  const { view } = pool;
  const [victim, recoverer, reader] = pool.clients;
  victim.warm(1, VALUE.length).insert('k', VALUE).step(batches);
  const { cell, lines } = victim.cx;
  return {
    reader,
    /**
     * Flips bits of the byte `fromStart` bytes from the object's start, on one data replica; -1 is its last.
     */
    flip: (replica: number, fromStart: number, bits: number): void => {
      const end = view.dataOffset(cell, replica) + LINE_BYTES;
      const at = fromStart < 0 ? end + fromStart : end - lines * LINE_BYTES + fromStart;
      flipByte(recoverer, { mn: view.dataMn(cell, replica), at, bits });
    },
    recover: () => recover(recoverer, victim),
  };
}

function recover({ cx, nodes }: ByHand, victim: ByHand) {
  const recovery = recoverRequest(cx, victim.cx);
  let batches = 0;
  for (let step = recovery.next(); batches < 100; step = recovery.next(), batches++) {
    if (step.done) return { recovered: step.value, batches };
    for (let i = 0; i < step.value.count; i++) executeVerb(nodes, step.value, i);
  }
  return expect.unreachable('a recoverer waits');
}

function flipByte({ cx, nodes }: ByHand, { mn, at, bits }: { mn: number; at: number; bits: number }): void {
  const b = cx.batch.reset();
  b.read(mn, at, cx.matchArea, 1);
  executeVerb(nodes, b, 0);
  cx.client.local.bytes[cx.matchArea] ^= bits;
  b.reset().write(mn, at, cx.matchArea, 1);
  expect(b.opcode(0)).toBe(Opcode.WRITE);
  executeVerb(nodes, b, 0);
}

describe.each([1, 2])('recovery over %i index replicas', (indexReplicas) => {
  it('drops a request whose used bit is clear, and looks at no slot', () => {
    const { flip, recover } = fixture(indexReplicas, 1);
    for (const replica of [0, 1]) flip(replica, -1, 1);
    expect(recover()).toEqual({ recovered: Recovered.DROPPED, batches: 2 });
  });

  it.each([
    ['its lengths', 0],
    ['its checksum', 4],
    ['its key', HEADER_BYTES],
    ['its value', HEADER_BYTES + 100],
  ])('drops an object with a bit wrong in %s, and looks at no slot', (_, at) => {
    const { flip, recover } = fixture(indexReplicas, 1);
    for (const replica of [0, 1]) flip(replica, at, 0x10);
    expect(recover()).toEqual({ recovered: Recovered.DROPPED, batches: 2 });
  });
});

describe('recovery of an INSERT whose word stands on the backup', () => {
  it.each([0, 1])('needs the object whole on one replica, and believes no other (%i)', (damaged) => {
    const { flip, recover, reader } = fixture(2, 2);
    flip(damaged, HEADER_BYTES, 0x10);
    expect(recover().recovered).toBe(Recovered.FINISHED);
    flip(damaged, HEADER_BYTES, 0x10);
    expect(reader.search('k').finish()).toBe(Outcome.OK);
    expect(reader.value).toBe(VALUE);
  });
});

describe('recovery of a round that another dead client has won', () => {
  it('leaves the slot to the winner, and does not wait for it', () => {
    const [winner, loser, recoverer, reader] = poolByHand({ indexReplicas: 4, clients: 4 }).clients;
    expect(reader.insert('k', 'before').finish()).toBe(Outcome.OK);
    for (const [client, backups] of [
      [winner, [0, 1]],
      [loser, [2]],
    ] as const) {
      client.warm(1, 6).update('k', `of ${client.cx.client.cid}`);
      while (client.batch?.opcode(0) !== Opcode.CAS) client.step();
      client.execute(backups);
    }
    expect(recover(recoverer, loser).recovered).toBe(Recovered.NOTHING_TO_DO);
    expect(recover(recoverer, winner).recovered).toBe(Recovered.FINISHED);
    expect(reader.search('k').finish()).toBe(Outcome.OK);
    expect(reader.value).toBe('of 1');
  });
});

describe('recovery of a request whose log is committed on one data replica only', () => {
  it('commits it on all, before the primary changes', () => {
    const { clients, view } = poolByHand({ indexReplicas: 2, dataReplicas: 2, clients: 3 });
    const [victim, recoverer, reader] = clients;
    victim.warm(1, 6).insert('k', 'value');
    while (victim.batch?.field(0, Field.LENGTH) !== LOG_COMMIT_BYTES) victim.step();
    victim.execute([0]);
    expect(recover(recoverer, victim).recovered).toBe(Recovered.FINISHED);
    expect(reader.search('k').finish()).toBe(Outcome.OK);
    const { cell, batch, matchArea, client } = recoverer.cx;
    for (const replica of [0, 1]) {
      batch.reset().read(view.dataMn(cell, replica), view.dataOffset(cell, replica), matchArea, LINE_BYTES);
      executeVerb(recoverer.nodes, batch, 0);
      expect(readOldValue(client.local.bytes, matchArea + LINE_BYTES, word()), `${replica}`).toBe(true);
    }
  });
});
