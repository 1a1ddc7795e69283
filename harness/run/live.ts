/** What a person sees while a run goes on: one moving line per phase on a terminal, plain lines elsewhere. */
import { createLogUpdate } from 'log-update';
import type { CellProgress } from './cell.js';

/** Where progress goes, and how it looks. */
export interface LiveView {
  /** Progress of one cell. */
  cell(title: string): CellProgress & { done(summary: string): void };
  /** A line of its own. */
  line(text: string): void;
}

const PHASES = { start: 'starting', load: 'loading', run: 'running', check: 'reading back' } as const;

const rate = (opsPerSecond: number): string =>
  opsPerSecond >= 1e6
    ? `${(opsPerSecond / 1e6).toFixed(2)} Mops/s`
    : `${(opsPerSecond / 1e3).toFixed(0)} kops/s`;
const micros = (ns: number): string => `${(ns / 1000).toFixed(1)} µs`;

/** Progress goes to `stream`; a moving line only when it is a terminal. */
export function liveView(stream: NodeJS.WriteStream): LiveView {
  const moving = stream.isTTY ? createLogUpdate(stream) : null;
  const line = (text: string): void => {
    moving?.clear();
    stream.write(`${text}\n`);
  };
  return {
    line,
    cell: (title) => {
      let phase: keyof typeof PHASES = 'start';
      let last = { operations: 0, atMs: performance.now() };
      return {
        phase: (name) => {
          phase = name;
          last = { operations: 0, atMs: performance.now() };
          const text = `${title}: ${PHASES[name]}`;
          if (moving === null) line(text);
          else moving(text);
        },
        update: (operations, p99Ns) => {
          const nowMs = performance.now();
          const seconds = (nowMs - last.atMs) / 1000;
          if (seconds < 0.2) return;
          const current = rate(Math.max(0, operations - last.operations) / seconds);
          last = { operations, atMs: nowMs };
          const p99 = p99Ns > 0 ? `, p99 ${micros(p99Ns)}` : '';
          const text = `${title}: ${PHASES[phase]}, ${operations} operations, ${current}${p99}`;
          if (moving === null) line(text);
          else moving(text);
        },
        done: (summary) => line(`${title}: ${summary}`),
      };
    },
  };
}

/** A view that shows nothing. */
export const silentView = (): LiveView => ({
  line: () => {},
  cell: () => ({ phase: () => {}, update: () => {}, done: () => {} }),
});
