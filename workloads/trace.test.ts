import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { RequestKind } from './requests.js';
import { readTrace, type Trace, traceStream } from './trace.js';

const folder = mkdtempSync(join(tmpdir(), 'trace-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const text = Array.from(
  { length: 30_000 },
  (_, i) => `${i % 3 === 0 ? 'UPDATE' : 'READ'} key${i % 1000}\n`,
).join('');

describe('readTrace', () => {
  it('reads plain, gzip and brotli files alike', async () => {
    const plain = await readTrace(file('a.txt', text));
    expect(plain.length).toBe(30_000);
    expect(plain.table.rowCount).toBe(1000);
    const hash = traceStream(plain, { lane: 0, laneCount: 1 }).hash;
    for (const path of [file('a.gz', zlib.gzipSync(text)), file('a.br', zlib.brotliCompressSync(text))]) {
      expect(traceStream(await readTrace(path), { lane: 0, laneCount: 1 }).hash).toBe(hash);
    }
  });

  it('reads zstd where Node can, and says what to do where it cannot', async () => {
    const compress = (zlib as { zstdCompressSync?: (text: string) => Buffer }).zstdCompressSync;
    if (compress !== undefined) {
      expect((await readTrace(file('a.zst', compress(text)))).length).toBe(30_000);
    } else {
      await expect(readTrace(file('a.zst', 'x'))).rejects.toThrow('use Node 22.15 or later, or compress');
    }
  });

  it('gives each request its size, the default where a line has none, and no sizes where no line has any', async () => {
    const sized = await readTrace(file('s.txt', 'PUT a 10\nREAD a\nUPDATE b\n'), { valueBytes: 77 });
    expect([...(sized.valueSizes ?? [])]).toEqual([10, 77, 77]);
    const unsized = await readTrace(file('u.txt', 'PUT a\nREAD a\n'), { valueBytes: 77 });
    expect(unsized.valueSizes).toBeUndefined();
    expect(unsized.valueBytes).toBe(77);
    expect((await readTrace(file('v.txt', 'PUT a\n'))).valueBytes).toBe(1000);
  });

  it('lists the keys to load: those used before they are inserted or put', async () => {
    const trace = await readTrace(
      file('l.txt', 'INSERT a 5\nREAD b\nUPDATE b 9\nPUT c\nREAD c\nDELETE d\nREAD a\n'),
    );
    expect([...trace.loadKeys].map((key) => trace.table.nameOf(key))).toEqual(['b', 'd']);
    expect([...trace.loadSizes]).toEqual([9, 1000]);
  });

  it('names file, line and text of what it cannot parse, compressed or not', async () => {
    const bad = file('bad.gz', zlib.gzipSync(`${text}NOP x\n`));
    await expect(readTrace(bad)).rejects.toThrow(`${bad}:30001: operation 'NOP' is unknown`);
    await expect(readTrace(bad)).rejects.toThrow(WorkloadError);
  });

  it('refuses files it cannot read, broken compression, emptiness and bad sizes', async () => {
    await expect(readTrace(join(folder, 'none.txt'))).rejects.toThrow(/none\.txt cannot be read: ENOENT/);
    await expect(readTrace(folder)).rejects.toThrow(WorkloadError);
    await expect(readTrace(file('b.gz', 'READ a\n'))).rejects.toThrow(
      /b\.gz cannot be read: incorrect header/,
    );
    const cut = zlib.gzipSync(text).subarray(0, 1000);
    await expect(readTrace(file('c.gz', cut))).rejects.toThrow(/c\.gz cannot be read: unexpected end/);
    await expect(readTrace(file('e.txt', ''))).rejects.toThrow('has no requests');
    await expect(readTrace(file('a2.txt', text), { valueBytes: 0 })).rejects.toThrow(
      'value size in bytes is 0',
    );
  });
});

describe('traceStream', () => {
  const small = async (): Promise<Trace> =>
    readTrace(file('d.txt', 'READ a\nUPDATE b 5\nDELETE a\nRMW c\nINSERT d\n'));

  it('deals requests out in turn', async () => {
    const trace = await small();
    const lanes = [0, 1].map((lane) => traceStream(trace, { lane, laneCount: 2 }));
    expect(lanes.map(({ keys }) => [...keys])).toEqual([
      [0, 0, 3],
      [1, 2],
    ]);
    expect([...lanes[0].kinds]).toEqual([RequestKind.SEARCH, RequestKind.DELETE, RequestKind.INSERT]);
    expect([...(lanes[1].valueSizes ?? [])]).toEqual([5, 1000]);
    expect(lanes[0].fromLatest.every((flag) => flag === 0)).toBe(true);
  });

  it('or in slices; either way each request goes to one lane', async () => {
    const trace = await small();
    const slices = [0, 1].map((lane) => traceStream(trace, { lane, laneCount: 2, split: 'contiguous' }));
    expect(slices.map(({ keys }) => [...keys])).toEqual([
      [0, 1],
      [0, 2, 3],
    ]);
    for (const split of ['interleaved', 'contiguous'] as const) {
      for (let laneCount = 1; laneCount <= 5; laneCount++) {
        let total = 0;
        for (let lane = 0; lane < laneCount; lane++)
          total += traceStream(trace, { lane, laneCount, split }).length;
        expect(total).toBe(5);
      }
    }
  });

  it('refuses more lanes than requests, and lanes that do not exist', async () => {
    const trace = await small();
    expect(() => traceStream(trace, { lane: 0, laneCount: 6 })).toThrow(
      'has 5 requests, and every coroutine needs one',
    );
    expect(() => traceStream(trace, { lane: 2, laneCount: 2 })).toThrow('lane is 2');
  });
});
