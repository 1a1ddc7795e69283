import { describe, expect, it } from 'vitest';
import { Geometry, makeSlot, View } from '../../fusee/layout/index.js';
import { smallPool } from '../../fusee/node/in-process.js';
import { word } from '../../fusee/verbs/index.js';
import { Addresses } from './addresses.js';

describe('addresses', () => {
  it.each([
    [1, 1],
    [3, 2],
    [4, 3],
  ])('are found again on %i nodes, with %i data replicas', (nodes, dataReplicas) => {
    const pool = smallPool({ nodes, dataReplicas, indexReplicas: 1, regionsPerNode: 3 });
    const geometry = new Geometry(pool);
    const view = new View(geometry);
    const addresses = new Addresses(view, []);
    for (let pointer = 64; pointer < geometry.regions * pool.regionBytes; pointer += 777 * 64) {
      for (let replica = 0; replica < dataReplicas; replica++) {
        const region = Math.floor(pointer / pool.regionBytes);
        const place = addresses.dataPlace(view.dataMn(pointer, replica), view.dataOffset(pointer, replica));
        expect(place).toEqual({ region, replica, pointer });
        const table = addresses.dataPlace(view.regionMn(region, replica), view.tableOffset(region, replica));
        expect(table).toEqual({ region, replica, pointer: -1 });
      }
    }
    expect(addresses.dataPlace(0, geometry.nodeBytes)).toBeUndefined();
  });

  it('of words say what kind they are', () => {
    const addresses = new Addresses(new View(new Geometry(smallPool())), []);
    expect(addresses.wordName(word())).toBe('EMPTY');
    expect(addresses.wordName(makeSlot(word(), 640, 1, 7))).toBe('KV(object at 640)');
    expect(addresses.wordName(makeSlot(word(), 640, 0, 7))).toBe('TOMB(object at 640)');
    expect(addresses.wordName(makeSlot(word(), 641, 1, 7))).toBe('TENT(object at 640)');
  });
});
