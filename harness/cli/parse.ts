/** Values of command-line options: each bad one is one sentence with the value, the limit and the way out. */
import { UsageError } from '../../fusee/verbs/index.js';

/** A whole number, as `100000`, `100k`, `2M`. */
export function parseCount(name: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text);
    // Read as one number: 2.3 times a million is no whole number.
    const value =
      match === null
        ? Number.NaN
        : Number(match[1] + { '': '', k: 'e3', M: 'e6' }[match[2] as '' | 'k' | 'M']);
    if (!Number.isInteger(value))
      throw new UsageError(`${name} is '${text}'; give a whole number such as 500, 100k or 2M`);
    return value;
  };
}

/** Values separated by commas, each as `parse` takes it. */
export function parseList<T>(parse: (text: string) => T): (text: string) => T[] {
  return (text) => text.split(',').map((part) => parse(part.trim()));
}

/** A size in bytes, as `1024`, `64KiB`, `1GiB`. */
export function parseBytes(name: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+)(B|KiB|MiB|GiB)?$/.exec(text);
    const unit = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[(match?.[2] ?? 'B') as 'B'];
    if (match === null) throw new UsageError(`${name} is '${text}'; give bytes such as 1024, 64KiB or 1GiB`);
    return Number(match[1]) * unit;
  };
}

/** A time in nanoseconds, as `0`, `500ns`, `2us`, `1ms`, `3s`. */
export function parseDuration(name: string): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?)(ns|us|µs|ms|s)$/.exec(text);
    if (text === '0') return 0;
    if (match === null)
      throw new UsageError(`${name} is '${text}'; give a time such as 0, 500ns, 2us, 1ms or 3s`);
    const unit = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 }[match[2] as 'ns'];
    return Math.round(Number(match[1]) * unit);
  };
}

/** Seconds, as `60`, `0.5`. */
export function parseSeconds(name: string): (text: string) => number {
  return (text) => {
    if (!/^\d+(\.\d+)?$/.test(text)) {
      throw new UsageError(`${name} is '${text}'; give seconds such as 60 or 0.5`);
    }
    return Number(text);
  };
}

/** A share from 0 to 1. */
export function parseShare(name: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= 0 && value <= 1)) {
      throw new UsageError(`${name} is '${text}'; give a number from 0 to 1`);
    }
    return value;
  };
}
