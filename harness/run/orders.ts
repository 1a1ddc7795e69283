/** Orders that clients of a cell are given together, and what is heard until they have answered. */
import type { CellProgress } from './cell.js';
import { type Child, PlannedDeath } from './child.js';
import type { ClientReport, FromClient, ToClient } from './messages.js';

/** A client process. */
export type ClientChild = Child<ToClient, FromClient>;

/** Clients at work report five times a second: one that is silent for so long is stuck or stopped. */
const SILENT_MS = 20_000;

/** Sends all clients an order, and waits for everybody's answer. */
export const all = async <T extends FromClient['type']>(
  clients: readonly ClientChild[],
  order: ToClient,
  answer: T,
  progress: CellProgress,
): Promise<Extract<FromClient, { type: T }>[]> =>
  (await Promise.all(answers(clients, () => order, answer, { progress }))).filter((one) => one !== null);

/** Who hears what clients say before they answer. */
export interface Heard {
  readonly progress: CellProgress;
  readonly onWarm?: () => void;
  readonly onReport?: (client: number, report: ClientReport) => void;
  /** A client has joined, or left. */
  readonly onMember?: (client: number, told: Extract<FromClient, { type: 'joined' | 'left' }>) => void;
  /** How far each client has come, for orders that are not given to all at once. */
  readonly latest?: { readonly operations: number; readonly p99Ns: number }[];
}

/**
 * Sends all clients their orders; their answers, with the clients' progress on the display meanwhile. Who
 * dies as planned, or has done so, answers null.
 * @param first number of the first of them.
 */
export function answers<T extends FromClient['type']>(
  clients: readonly ClientChild[],
  order: (client: number) => ToClient,
  answer: T,
  heard: Heard,
  first = 0,
): Promise<Extract<FromClient, { type: T }> | null>[] {
  const { latest = [] } = heard;
  clients.forEach((client, at) => {
    const i = first + at;
    latest[i] = { operations: 0, p99Ns: 0 };
    client.onMessage = (message) => {
      if (message.type === 'warm') heard.onWarm?.();
      if (message.type === 'joined' || message.type === 'left') heard.onMember?.(i, message);
      if (message.type !== 'progress') return;
      if (message.report !== undefined) heard.onReport?.(i, message.report);
      latest[i] = message;
      heard.progress.update(
        latest.reduce((sum, p) => sum + p.operations, 0),
        latest.reduce((worst, p) => Math.max(worst, p.p99Ns), 0),
      );
    };
  });
  const awaited = clients.map(async (client) => {
    if (client.isGone) return null;
    return client.expect(answer, { silentMs: SILENT_MS }).catch((error: unknown) => {
      if (error instanceof PlannedDeath) return null;
      throw error;
    });
  });
  for (const [i, client] of clients.entries()) client.tell(order(i));
  return awaited;
}
