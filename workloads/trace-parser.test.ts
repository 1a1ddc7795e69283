import { describe, expect, it } from 'vitest';
import { WorkloadError } from './errors.js';
import { RequestKind, valueBytesMax } from './requests.js';
import { traceKeyBytesMax } from './trace-keys.js';
import { TraceParser, type TraceRequests, traceLineBytesMax } from './trace-parser.js';

function parse(text: string | Buffer, chunkBytes = 1 << 16): TraceRequests {
  const bytes = Buffer.from(text);
  const parser = new TraceParser('t.txt');
  for (let i = 0; i < bytes.length; i += chunkBytes) parser.push(bytes.subarray(i, i + chunkBytes));
  return parser.finish();
}

function lines(requests: TraceRequests): [number, string, number][] {
  return [...requests.kinds].map((kind, i) => [
    kind,
    requests.table.nameOf(requests.keys[i]),
    requests.sizes[i],
  ]);
}

describe('TraceParser', () => {
  it('knows every operation in any case', () => {
    const names = [
      'READ',
      'search',
      'Get',
      'INSERT',
      'update',
      'DELETE',
      'put',
      'SET',
      'rmw',
      'ReadModifyWrite',
    ];
    const { SEARCH, INSERT, UPDATE, DELETE, PUT, READ_MODIFY_WRITE } = RequestKind;
    expect([...parse(names.map((name) => `${name} k\n`).join('')).kinds]).toEqual([
      ...[SEARCH, SEARCH, SEARCH, INSERT, UPDATE, DELETE, PUT, PUT],
      ...[READ_MODIFY_WRITE, READ_MODIFY_WRITE],
    ]);
  });

  it('reads keys and sizes, skips comments and empty lines, and bears tabs, returns and a missing last end', () => {
    const text = '# a trace\nREAD a\r\n\n  UPDATE\tb  300 \n   \nread a 0\nINSERT caf\u00e9 12';
    expect(lines(parse(text))).toEqual([
      [RequestKind.SEARCH, 'a', 0],
      [RequestKind.UPDATE, 'b', 300],
      [RequestKind.SEARCH, 'a', 0],
      [RequestKind.INSERT, Buffer.from('caf\u00e9').toString('latin1'), 12],
    ]);
  });

  it('gives the same requests however the text is cut into chunks', () => {
    const text = Array.from({ length: 50 }, (_, i) => `UPDATE key${i % 7} ${i + 1}\r\n`).join('');
    const whole = lines(parse(text));
    expect(whole.length).toBe(50);
    for (const chunkBytes of [1, 2, 3, 7, 64]) expect(lines(parse(text, chunkBytes))).toEqual(whole);
  });

  it("understands YCSB's own lines, with the table and the fields", () => {
    const text =
      'READ usertable user1 [ <all fields>]\nINSERT usertable user2 [ field0=a b c ]\nUPDATE usertable 5\n' +
      'READ usertable\nPUT user3 70\n';
    expect(lines(parse(text))).toEqual([
      [RequestKind.SEARCH, 'user1', 0],
      [RequestKind.INSERT, 'user2', 0],
      [RequestKind.UPDATE, '5', 0],
      [RequestKind.SEARCH, 'usertable', 0],
      [RequestKind.PUT, 'user3', 70],
    ]);
  });

  it('takes more requests and keys than its first arrays hold', () => {
    const requests = parse(Array.from({ length: 10_000 }, (_, i) => `READ k${i % 6000}`).join('\n'));
    expect(requests.kinds.length).toBe(10_000);
    expect(requests.table.rowCount).toBe(6000);
    expect(requests.keys[9999]).toBe(3999);
  });
});

describe('TraceParser refuses, with the line and the text,', () => {
  it.each([
    [
      'an unknown operation',
      'READ a\nFOO b\n',
      "t.txt:2: operation 'FOO' is unknown; known: READ, SEARCH, GET",
    ],
    ['a scan', 'SCAN a 10\n', "t.txt:1: operation 'SCAN' is unknown"],
    ['a missing key', 'READ a\n\nREAD\n', "t.txt:3: 'READ' has no key"],
    ['a size that is no number', 'PUT a 12x\n', "t.txt:1: value size '12x' is not an integer from 1"],
    ['a negative size', 'PUT a -1\n', "value size '-1'"],
    ['a size of 0 for a write', 'UPDATE a 0\n', "value size '0' is not an integer from 1"],
    ['a size over the limit', `PUT a ${valueBytesMax + 1}\n`, `to ${valueBytesMax} bytes`],
    ['text behind the size', 'PUT a 1 extra words\n', "t.txt:1: 'extra words' follows the request"],
    [
      'a key that is too long',
      `READ ${'k'.repeat(traceKeyBytesMax + 1)}\n`,
      `exceeds the limit of ${traceKeyBytesMax}`,
    ],
    ['unprintable text', 'R\u0000\u0007D a\n', "operation 'R..D'"],
    [
      'an endless line',
      `READ ${'k'.repeat(traceLineBytesMax + 100)}`,
      `t.txt:1: a line exceeds the limit of ${traceLineBytesMax}`,
    ],
    ['an empty trace', '# nothing\n', 't.txt has no requests'],
  ])('%s', (_, text, message) => {
    expect(() => parse(text)).toThrow(WorkloadError);
    expect(() => parse(text)).toThrow(message);
  });

  it('a long text cut short', () => {
    expect(() => parse(`${'x'.repeat(500)} a`)).toThrow(`'${'x'.repeat(40)}...'`);
  });
});
