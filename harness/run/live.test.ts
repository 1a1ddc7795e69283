import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type LiveStream, liveView, silentView } from './live.js';

function setUp(isTTY: boolean, rows = 24) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const write = ((text: string) => written.push(text) > 0) as LiveStream['write'];
  const view = liveView({ isTTY, rows, write } as LiveStream, () => clock.ms);
  return { written, clock, view, lines: () => written.join('').split('\n').slice(0, -1) };
}

/** Plays one cell: phases, and an update each 100 ms. */
function play({ view, clock }: ReturnType<typeof setUp>, updates: number): void {
  const cell = view.cell('ycsb-a');
  for (const phase of ['start', 'load', 'run', 'check'] as const) {
    cell.phase(phase);
    for (let i = 1; i <= updates; i++) {
      clock.ms += 100;
      cell.update(i * 50_000, 12_345);
    }
  }
  cell.done('0.500 Mops/s');
}

describe('where there is no terminal', () => {
  it('a line tells each phase and the result, without control characters', () => {
    const live = setUp(false);
    play(live, 0);
    expect(live.lines()).toEqual([
      'ycsb-a: starting',
      'ycsb-a: loading',
      'ycsb-a: running',
      'ycsb-a: reading back',
      'ycsb-a: 0.500 Mops/s',
    ]);
  });

  it('nor one that has no rows: lines all the same', () => {
    const live = setUp(true, 0);
    play(live, 0);
    expect(live.lines().length).toBe(5);
  });

  it('updates come every two seconds at most, so that a log is not flooded', () => {
    const live = setUp(false);
    play(live, 50);
    const running = live.lines().filter((line) => line.startsWith('ycsb-a: running,'));
    expect(running).toEqual([
      'ycsb-a: running, 1000000 operations, 500 kops/s, p99 12.3 µs',
      'ycsb-a: running, 2000000 operations, 500 kops/s, p99 12.3 µs',
    ]);
  });
});

describe('on a terminal', () => {
  it('one line moves, with current throughput and p99; the last of each phase stays', () => {
    const live = setUp(true);
    play(live, 4);
    const plain = stripVTControlCharacters(live.written.join(''));
    for (const phase of ['loading', 'running', 'reading back']) {
      expect(plain).toContain(`ycsb-a: ${phase}, 200000 operations, 500 kops/s, p99 12.3 µs`);
    }
    expect(plain.trimEnd().endsWith('ycsb-a: 0.500 Mops/s')).toBe(true);
    // It moves: the line is erased and written anew.
    expect(live.written.join('')).toContain('\u001B[');
  });

  it('never hides the cursor: whatever ends the process, the terminal is as it was', () => {
    const live = setUp(true);
    play(live, 4);
    expect(live.written.join('')).not.toContain('\u001B[?25l');
  });
});

it('slow progress is shown with a digit, fast progress in Mops/s', () => {
  const live = setUp(false);
  const cell = live.view.cell('c');
  cell.phase('run');
  live.clock.ms = 2000;
  cell.update(3000, 0);
  live.clock.ms = 4000;
  cell.update(6_003_000, 0);
  expect(live.lines().slice(1)).toEqual([
    'c: running, 3000 operations, 1.5 kops/s',
    'c: running, 6003000 operations, 3.00 Mops/s',
  ]);
});

it('a silent view shows nothing', () => {
  const cell = silentView().cell('c');
  cell.phase('run');
  cell.update(1, 1);
  expect(cell.done('done')).toBeUndefined();
});
