import { HistogramLogReader, listTags } from 'hdr-histogram-js';
import { describe, expect, test } from 'vitest';
import { LatencyHistogram } from './histogram.js';
import { formatTag, HlogWriter, mergeByTag, parseTag, readHlog } from './hlog.js';

const START_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

const histogramOf = (...values: number[]): LatencyHistogram => {
  const histogram = new LatencyHistogram();
  for (const value of values) histogram.record(value);
  return histogram;
};

const sampleLog = (): string => {
  let text = '';
  const log = new HlogWriter((lines) => {
    text += lines;
  }, START_MS);
  log.append({ tag: 'a/search', startMs: 0, endMs: 1000, histogram: histogramOf(1000, 2000, 3_000_001) });
  log.append({ tag: 'a/update', startMs: 0, endMs: 1000, histogram: histogramOf(9000) });
  log.append({ tag: 'a/search', startMs: 1000, endMs: 2500, histogram: histogramOf(4000, 61e9) });
  log.append({ tag: 'a/insert', startMs: 1000, endMs: 2500, histogram: new LatencyHistogram() });
  return text;
};

describe('a log', () => {
  test("is read by HdrHistogram's own log reader, with tags, times and counts", () => {
    const text = sampleLog();
    expect(text.startsWith('#[Histogram log format version 1.3]\n')).toBe(true);
    expect(listTags(text)).toEqual(['a/search', 'a/update']);
    const reader = new HistogramLogReader(text, 64);
    const first = reader.nextIntervalHistogram()!;
    expect([first.tag, first.totalCount, first.startTimeStampMsec, first.endTimeStampMsec]).toEqual([
      'a/search',
      3,
      START_MS,
      START_MS + 1000,
    ]);
    expect(first.getValueAtPercentile(50)).toBe(histogramOf(1000, 2000, 3_000_001).percentile(50));
    expect(reader.nextIntervalHistogram()!.tag).toBe('a/update');
    expect(reader.nextIntervalHistogram()!.endTimeStampMsec).toBe(START_MS + 2500);
    expect(reader.nextIntervalHistogram()).toBeNull();
  });

  test('gives Interval_Max in ms', () => {
    expect(sampleLog()).toMatch(/\nTag=a\/search,0\.000,1\.000,3\.000,HISTFAAAA/);
    expect(sampleLog()).toMatch(/\nTag=a\/update,0\.000,1\.000,0\.009,HISTFAAAA/);
  });

  test('keeps exact extremes and overflow, which the format cannot', () => {
    const { intervals, damage } = readHlog(sampleLog(), 'latency.hlog');
    expect(damage).toEqual([]);
    expect(intervals.map((i) => [i.tag, i.startMs, i.endMs])).toEqual([
      ['a/search', 0, 1000],
      ['a/update', 0, 1000],
      ['a/search', 1000, 2500],
    ]);
    const search = mergeByTag(intervals).get('a/search')!;
    expect([search.count, search.overflow, search.minNs, search.maxNs]).toEqual([5, 1, 1000, 61e9]);
    expect(intervals[0].histogram.maxNs).toBe(3_000_001);
  });

  test('without our comments, as other tools write it, is read all the same', () => {
    const foreign = sampleLog().replace(/^#\[(Beside|Sealed).*\n/gm, '');
    const search = mergeByTag(readHlog(foreign, 'x.hlog').intervals).get('a/search')!;
    expect([search.count, search.overflow]).toEqual([4, 0]);
    expect(search.maxNs).toBeGreaterThanOrEqual(3_000_001);
  });

  test('with a damaged line loses that line, and says which', () => {
    const torn = readHlog(`${sampleLog()}Tag=a/search,0.000,1.0`, 'torn.hlog');
    const lines = sampleLog().split('\n').length;
    expect(torn.intervals).toHaveLength(3);
    expect(torn.damage).toEqual([{ file: 'torn.hlog', line: lines, reason: 'not an interval line' }]);
    const changed = sampleLog().replace(/(HISTFAAAA.{20})./, (_, kept: string) => `${kept}${'_'}`);
    expect(readHlog(changed, 'x.hlog').intervals).toHaveLength(2);
    expect(readHlog(changed, 'x.hlog').damage[0]).toMatchObject({ file: 'x.hlog' });
  });

  test('knows a line by its check that was changed, lost, or parted from its comment', () => {
    const log = sampleLog();
    const first = (text: string, from: RegExp, to: string): string => text.replace(from, to);
    const changed = /was changed after it was written/;
    for (const [text, line, reason] of [
      // Still numbers that any reader takes.
      [first(log, /,1\.000,3\.000,/, ',1.001,3.000,'), 8, changed],
      [first(log, /a\/search,0\.000/, 'a/search,0.500'), 8, changed],
      [first(log, /Tag=a\/search/, 'Tag=a/update'), 8, changed],
      [first(log, /"maxNs":3000001/, '"maxNs":3000002'), 8, changed],
      [first(log, /#\[Beside.*\n/, ''), 7, /has lost its check/],
      [first(log, /,"check":"[0-9a-f]+"/, ''), 8, /has lost its check/],
      [first(log, /Tag=a\/search.*\n/, ''), 7, /interval that belongs to the line is missing/],
      [first(log, /#\[Beside: \{/, '#[Beside: {{'), 8, changed],
    ] as const) {
      const { intervals, damage } = readHlog(text, 'x.hlog');
      expect([text, intervals.length]).toEqual([text, 2]);
      expect(damage).toEqual([{ file: 'x.hlog', line, reason: expect.stringMatching(reason) }]);
    }
  });

  test('of an older version, which has no checks, is read as it is', () => {
    const older = sampleLog()
      .replace(/^#\[Sealed.*\n/m, '')
      .replace(/,"check":"[0-9a-f]+"/g, '');
    expect(readHlog(older, 'x.hlog')).toEqual(readHlog(sampleLog(), 'x.hlog'));
  });

  test('refuses an interval that runs backwards', () => {
    const log = new HlogWriter(() => {}, START_MS);
    const histogram = histogramOf(1);
    expect(() => log.append({ tag: 'a/search', startMs: 5, endMs: 4, histogram })).toThrow(
      /from 5 ms to 4 ms/,
    );
  });
});

describe('a tag', () => {
  test('comes back in its parts', () => {
    for (const tag of [
      { workload: 'ycsb-a', operation: 'search' },
      { label: '8-clients', workload: 'ycsb-a', operation: 'rmw' },
    ]) {
      expect(parseTag(formatTag(tag))).toEqual(tag);
    }
    expect(parseTag('anything')).toBeNull();
  });

  test('that would break the format is refused', () => {
    for (const workload of ['a b', 'a,b', 'a/b', '']) {
      expect(() => formatTag({ workload, operation: 'search' })).toThrow(/may not be empty nor hold/);
    }
    const log = new HlogWriter(() => {}, START_MS);
    expect(() => log.append({ tag: 'a,b/c', startMs: 0, endMs: 1, histogram: histogramOf(1) })).toThrow(
      /"a,b"/,
    );
  });
});
