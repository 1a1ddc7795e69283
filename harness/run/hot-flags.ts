/** Flags of Node for processes whose speed is measured. */

/**
 * The young generation is sized on purpose: with 16 MiB and one thread a collection takes half a millisecond
 * (64 MiB: 1 to 2), and all of them together stay under half a percent of the time. The compiler may inline
 * more than it would: a request passes through many small functions, and every call saves registers (a tenth
 * of the time).
 */
export const HOT_FLAGS: readonly string[] = [
  '--max-semi-space-size=16',
  '--min-semi-space-size=16',
  '--no-parallel-scavenge',
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=3000',
];
