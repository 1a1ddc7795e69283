import { describe, expect, it } from 'vitest';
import { CorruptionError, FabricError, UsageError } from '../../fusee/verbs/index.js';
import { ResultError } from '../../results/error.js';
import { WorkloadError } from '../../workloads/index.js';
import { explain } from './explain.js';
import { parseBytes, parseCount, parseDuration, parseSeconds, parseShare } from './parse.js';

type Parse = (name: string) => (text: string) => number;

const accepted: [string, Parse, [string, number][]][] = [
  [
    'a count',
    parseCount,
    [
      ['0', 0],
      ['500', 500],
      ['100k', 1e5],
      ['2M', 2e6],
      ['2.3M', 2_300_000],
      ['1.5k', 1500],
    ],
  ],
  [
    'a size',
    parseBytes,
    [
      ['0', 0],
      ['1024', 1024],
      ['7B', 7],
      ['64KiB', 65_536],
      ['3MiB', 3 << 20],
      ['2GiB', 2 ** 31],
    ],
  ],
  [
    'a time',
    parseDuration,
    [
      ['0', 0],
      ['500ns', 500],
      ['2us', 2000],
      ['2µs', 2000],
      ['1.5ms', 1.5e6],
      ['3s', 3e9],
    ],
  ],
  [
    'seconds',
    parseSeconds,
    [
      ['60', 60],
      ['0.5', 0.5],
      ['0', 0],
    ],
  ],
  [
    'a share',
    parseShare,
    [
      ['0', 0],
      ['1', 1],
      ['0.25', 0.25],
      ['.5', 0.5],
    ],
  ],
];

const refused: [string, Parse, string[], string][] = [
  [
    'a count',
    parseCount,
    ['', '-1', '1.5', '1.2345k', 'many', '1e6', '5 ', '0x10', '3m', '1,000'],
    'give a whole number such as 500, 100k or 2M',
  ],
  [
    'a size',
    parseBytes,
    ['', '-1', '1.5KiB', '1kb', '1 KiB', 'KiB', '1e3'],
    'give bytes such as 1024, 64KiB or 1GiB',
  ],
  [
    'a time',
    parseDuration,
    ['', '5', '-1ms', '2us5', '1 ms', '1m', '00'],
    'give a time such as 0, 500ns, 2us, 1ms or 3s',
  ],
  ['seconds', parseSeconds, ['', '-1', '1s', '.5', 'NaN', 'Infinity'], 'give seconds such as 60 or 0.5'],
  ['a share', parseShare, ['', ' ', '-0.1', '1.1', 'NaN', 'half', '50%'], 'give a number from 0 to 1'],
];

describe.each(accepted)('%s', (_, parse, cases) => {
  it.each(cases)('may be %s', (text, value) => {
    expect(parse('it')(text)).toBe(value);
  });
});

describe.each(refused)('%s', (_, parse, texts, wayOut) => {
  it.each(texts)('may not be %j; the message names it and the way out', (text) => {
    expect(() => parse('the thing')(text)).toThrow(UsageError);
    expect(() => parse('the thing')(text)).toThrow(`the thing is '${text}'; ${wayOut}`);
  });
});

describe('an error reaches the user', () => {
  it.each([
    [new UsageError('u'), 'u', 2],
    [new WorkloadError('w'), 'w', 2],
    [new FabricError('f'), 'f', 1],
    [new CorruptionError('c'), 'c', 1],
    [new ResultError('r'), 'r', 1],
    [
      Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' }),
      'ENOSPC: no space left',
      1,
    ],
  ] as const)('%o as its one sentence', (error, text, status) => {
    expect(explain(error)).toEqual({ text, status });
  });

  it('with its stack when it is a bug', () => {
    const { text, status } = explain(new TypeError('undefined is not a function'));
    expect(text).toMatch(/TypeError: undefined is not a function\n\s+at /);
    expect(status).toBe(1);
    expect(explain('thrown')).toEqual({ text: 'thrown', status: 1 });
  });
});
