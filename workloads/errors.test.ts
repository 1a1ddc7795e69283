import { describe, expect, it } from 'vitest';
import { requireInteger, requireOneOf, WorkloadError } from './errors.js';

describe('requireInteger', () => {
  it('gives back a value within its limits, both ends included', () => {
    expect(requireInteger('n', 1, { min: 1, max: 3 })).toBe(1);
    expect(requireInteger('n', 3, { min: 1, max: 3 })).toBe(3);
  });

  it.each([0, 4, 1.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'names the value %s, the limits and the way out',
    (value) => {
      const call = () => requireInteger('key count', value, { min: 1, max: 3, wayOut: 'use fewer' });
      expect(call).toThrow(WorkloadError);
      expect(call).toThrow(`key count is ${value}, but must be an integer from 1 to 3: use fewer`);
    },
  );
});

describe('requireOneOf', () => {
  it('gives back a known value and lists the known ones for another', () => {
    expect(requireOneOf('colour', 'red', ['red', 'blue'])).toBe('red');
    expect(() => requireOneOf('colour', 'pink', ['red', 'blue'])).toThrow(
      "colour 'pink' is unknown; known: red, blue",
    );
  });
});
