/** What a person sees while a run goes on: one moving line per phase on a terminal, plain lines elsewhere. */
import { createLogUpdate } from 'log-update';
import { targetOf } from '../fault/plan.js';
import type { CellProgress } from './cell.js';

/** Where progress goes, and how it looks. */
export interface LiveView {
  /** Progress of one cell. */
  cell(title: string): CellProgress & { done(summary: string): void };
}

const PHASES = {
  start: 'starting',
  load: 'loading',
  run: 'running',
  check: 'reading back',
  fsck: 'walking the memory',
} as const;

/** Shortest time between two updates: a moving line may be lively, a log must not be flooded. */
const MOVING_MS = 200;
const PLAIN_MS = 2000;

const rate = (opsPerSecond: number): string =>
  opsPerSecond >= 1e6
    ? `${(opsPerSecond / 1e6).toFixed(2)} Mops/s`
    : `${(opsPerSecond / 1e3).toFixed(opsPerSecond < 1e4 ? 1 : 0)} kops/s`;
const micros = (ns: number): string => `${(ns / 1000).toFixed(1)} µs`;

/** What a view writes to: standard error, or whatever a test gives. */
export type LiveStream = Pick<NodeJS.WriteStream, 'isTTY' | 'write'> & { readonly rows?: number };

/**
 * Progress goes to `stream`; a moving line only when it is a terminal. There the last line of each phase
 * stays, so that phases can be told apart afterwards.
 * @param now milliseconds; a test brings its own.
 */
export function liveView(stream: LiveStream, now: () => number = () => performance.now()): LiveView {
  // A terminal that says it has no rows shows no moving line either.
  const isMoving = stream.isTTY && stream.rows !== 0;
  // The cursor stays: a program that hides it must bring it back however it ends.
  const moving = isMoving ? createLogUpdate(stream as NodeJS.WriteStream, { showCursor: true }) : null;
  const intervalMs = moving === null ? PLAIN_MS : MOVING_MS;
  const show = (text: string): void => {
    if (moving === null) stream.write(`${text}\n`);
    else moving(text);
  };
  return {
    cell: (title) => {
      let phase: keyof typeof PHASES = 'start';
      let last = { operations: 0, atMs: now() };
      return {
        phase: (name) => {
          if (name !== 'start') moving?.done();
          phase = name;
          last = { operations: 0, atMs: now() };
          show(`${title}: ${PHASES[name]}`);
        },
        update: (operations, p99Ns) => {
          const nowMs = now();
          if (nowMs - last.atMs < intervalMs) return;
          const current = (Math.max(0, operations - last.operations) / (nowMs - last.atMs)) * 1000;
          last = { operations, atMs: nowMs };
          const p99 = p99Ns > 0 ? `, p99 ${micros(p99Ns)}` : '';
          show(`${title}: ${PHASES[phase]}, ${operations} operations, ${rate(current)}${p99}`);
        },
        fault: ({ fault, atNs }, windowNs) => {
          moving?.done();
          const seconds = Math.max(0, (atNs - windowNs) / 1e9).toFixed(2);
          stream.write(`${title}: ${fault.kind} ${targetOf(fault)} at ${seconds} s\n`);
        },
        done: (summary) => {
          moving?.done();
          stream.write(`${title}: ${summary}\n`);
        },
      };
    },
  };
}

/** A view that shows nothing. */
export const silentView = (): LiveView => ({
  cell: () => ({ phase: () => {}, update: () => {}, done: () => {} }),
});
