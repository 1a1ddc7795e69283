/** One thread that does one thing after another: requests, and steps of its client's background. */
import { executeVerb } from '../../../fusee/fabric/execute-verb.js';
import type { MemoryNodes } from '../../../fusee/fabric/memory-nodes.js';
import type { VerbBatch } from '../../../fusee/verbs/index.js';
import type { Actor } from './world.js';

/** Actors of one client, run one behind the other as one. */
export class ScriptActor implements Actor {
  readonly name: string;
  readonly group: string;
  readonly mayCrash: boolean;
  readonly #parts: readonly Actor[];
  readonly #ended: ((part: Actor) => void) | undefined;
  #at = 0;
  #told = '';

  /** @param options.ended hears of each part that has ended. */
  constructor(
    parts: readonly Actor[],
    options: { name: string; group: string; mayCrash?: boolean; ended?: (part: Actor) => void },
  ) {
    this.#ended = options.ended;
    this.#parts = parts;
    this.name = options.name;
    this.group = options.group;
    this.mayCrash = options.mayCrash ?? true;
  }

  next(): VerbBatch | null {
    this.#told = '';
    for (; this.#at < this.#parts.length; this.#at++) {
      const part = this.#parts[this.#at];
      const batch = part.next();
      const told = part.told?.() ?? '';
      if (told !== '') this.#told += `${this.#told === '' ? '' : ', '}${told}`;
      if (batch !== null) return batch;
      this.#ended?.(part);
    }
    return null;
  }

  executed(): void {
    this.#parts[this.#at]?.executed?.();
  }

  told(): string {
    return this.#told;
  }
}

/** Runs an operation to its end, at once and in order; `onPoll` hears of each poll. */
export function runNow(nodes: MemoryNodes, op: Iterator<unknown>, onPoll?: () => void): void {
  for (let step = op.next(); step.done !== true && step.value !== null; step = op.next()) {
    const batch = step.value as VerbBatch;
    if (batch.isPoll) onPoll?.();
    for (let i = 0; i < batch.count; i++) executeVerb(nodes, batch, i);
  }
}
