/**
 * Schedules as text: one word per event, in order.
 *
 *     0.3     client 0 executes unit 3 of its batch
 *     0>      client 0 goes on; 0>1: taking free slot 1
 *     0!      client 0 dies, its recovery begins
 *     0/2+1   client 0's link to MN 2 fails, after 1 unit in flight
 *     x2      MN 2 dies
 *     0~3     client 0 executes unit 3 on the MN that will die before it answers
 *     m       the master decides what slots hold, and publishes the next view
 *     0^      client 0 adopts it; 0^1: taking free slot 1
 *     z1      of the verbs that dead clients have in flight, number 1 executes
 */
import { UsageError } from '../../fusee/verbs/index.js';
import type { Event } from './explorer/event.js';

/** A schedule's text. */
export const formatSchedule = (events: readonly Event[]): string => events.map(formatEvent).join(' ');

function formatEvent(event: Event): string {
  switch (event.type) {
    case 'unit':
      return `${event.client}.${event.unit}`;
    case 'resume':
      return `${event.client}>${event.choice === 0 ? '' : event.choice}`;
    case 'crash':
      return `${event.client}!`;
    case 'cut':
      return `${event.client}/${event.mn}+${event.executed}`;
    case 'kill':
      return `x${event.mn}`;
    case 'lose':
      return `${event.client}~${event.unit}`;
    case 'arbitrate':
      return 'm';
    case 'adopt':
      return `${event.client}^${event.choice === 0 ? '' : event.choice}`;
    case 'stray':
      return `z${event.index}`;
  }
}

/** @throws UsageError naming the word that is no event. */
export function parseSchedule(text: string): Event[] {
  return text.split(/\s+/).filter(Boolean).map(parseEvent);
}

function parseEvent(text: string): Event {
  if (/^x\d$/.test(text)) return { type: 'kill', mn: Number(text[1]) };
  if (/^z\d+$/.test(text)) return { type: 'stray', index: Number(text.slice(1)) };
  if (text === 'm') return { type: 'arbitrate' };
  const match = /^(\d)(?:\.(\d+)|(>)(\d*)|(!)|\/(\d)\+(\d+)|~(\d+)|(\^)(\d*))$/.exec(text);
  if (match === null)
    throw new UsageError(`"${text}" is no event; use 0.3, 0>, 0>1, 0!, 0/2+1, x2, 0~3, m, 0^, 0^1 or z1`);
  const client = Number(match[1]);
  if (match[2] !== undefined) return { type: 'unit', client, unit: Number(match[2]) };
  if (match[3] !== undefined) return { type: 'resume', client, choice: Number(match[4]) };
  if (match[5] !== undefined) return { type: 'crash', client };
  if (match[8] !== undefined) return { type: 'lose', client, unit: Number(match[8]) };
  if (match[9] !== undefined) return { type: 'adopt', client, choice: Number(match[10]) };
  return { type: 'cut', client, mn: Number(match[6]), executed: Number(match[7]) };
}
