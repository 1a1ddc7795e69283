import { expect, it } from 'vitest';
import { EventQueue } from './event-queue.js';
import { SimRandom } from './random.js';

it('gives events by time, those of one time in the order they came, near or far', () => {
  for (let seed = 0; seed < 4; seed++) {
    const random = new SimRandom(seed);
    const queue = new EventQueue();
    const waiting: { timeNs: number; event: number }[] = [];
    let nowNs = 0;
    for (let event = 0; event < 800; event++) {
      // Few different times, on both sides of the wheel's reach: the same one is near for some, far for
      // others.
      const timeNs = nowNs + random.pick([0, 1, 31, 32, 2000, 2047, 2048, 2049, 4096, 1e6]);
      queue.push(timeNs, event);
      waiting.push({ timeNs, event });
      while (queue.size > 0 && random.happens(0.49)) {
        const first = waiting.reduce((a, b) => (b.timeNs < a.timeNs ? b : a));
        waiting.splice(waiting.indexOf(first), 1);
        expect([queue.pop(), queue.timeNs]).toEqual([first.event, first.timeNs]);
        nowNs = queue.timeNs;
      }
      expect(queue.size).toBe(waiting.length);
    }
  }
});
