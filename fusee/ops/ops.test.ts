import { describe, expect, it } from 'vitest';
import { SequentialClient } from '../client/sequential.js';
import { MemoryFabric } from '../fabric/memory.js';
import { Geometry, View } from '../layout/index.js';
import { makeNodes, smallPool } from '../node/in-process.js';
import { Outcome } from './index.js';

function pool(replicas: { indexReplicas: number; dataReplicas: number }, clients = 1) {
  const config = smallPool({ nodes: 4, ...replicas });
  const nodes = makeNodes(config);
  const view = new View(new Geometry(config));
  return {
    nodes,
    clients: Array.from(
      { length: clients },
      (_, i) =>
        new SequentialClient(new MemoryFabric(nodes, { localBytes: 1 << 20 }), {
          view,
          cid: i + 1,
          cache: { bytes: 1 << 16, keyBytes: 32, threshold: 0.1 },
        }),
    ),
  };
}

describe.each([1, 2, 3, 4])('requests with %i index replicas', (indexReplicas) => {
  it.each([1, 2, 3])('keep what they acknowledge, with %i data replicas', (dataReplicas) => {
    const { clients } = pool({ indexReplicas, dataReplicas }, 2);
    const [a, b] = clients;
    expect(a.search('k')).toBe(Outcome.NOT_FOUND);
    expect(a.update('k', 'x')).toBe(Outcome.NOT_FOUND);
    expect(a.delete('k')).toBe(Outcome.NOT_FOUND);
    expect(a.insert('k', 'one')).toBe(Outcome.OK);
    expect(b.insert('k', 'two')).toBe(Outcome.EXISTS);
    expect(b.search('k')).toBe('one');
    expect(b.update('k', 'three')).toBe(Outcome.OK);
    expect(a.search('k')).toBe('three');
    expect(a.delete('k')).toBe(Outcome.OK);
    expect(b.search('k')).toBe(Outcome.NOT_FOUND);
    expect(b.delete('k')).toBe(Outcome.NOT_FOUND);
    expect(b.put('k', 'four')).toBe(Outcome.OK);
    expect(a.put('k', 'five')).toBe(Outcome.OK);
    expect(b.search('k')).toBe('five');
  });

  it('hold many keys of many sizes', () => {
    const { clients } = pool({ indexReplicas, dataReplicas: 2 }, 2);
    const value = (i: number): string => `${i}:`.padEnd(((i * 37) % 3000) + 1, 'v');
    for (let i = 0; i < 150; i++) expect(clients[i & 1].insert(`key-${i}`, value(i))).toBe(Outcome.OK);
    for (let i = 0; i < 150; i += 3) expect(clients[1].update(`key-${i}`, value(i + 1))).toBe(Outcome.OK);
    for (let i = 0; i < 150; i += 7) expect(clients[0].delete(`key-${i}`)).toBe(Outcome.OK);
    for (let i = 0; i < 150; i++) {
      const expected = i % 7 === 0 ? Outcome.NOT_FOUND : value(i % 3 === 0 ? i + 1 : i);
      expect(clients[i & 1].search(`key-${i}`)).toBe(expected);
    }
  });
});
