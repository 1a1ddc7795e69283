/** Flags of Node for processes whose speed is measured. */

/**
 * The young generation is sized on purpose: few collections, each short. The compiler may inline more than it
 * would: a request passes through many small functions, and every call saves registers (a tenth of the
 * time).
 */
export const HOT_FLAGS: readonly string[] = [
  '--max-semi-space-size=64',
  '--min-semi-space-size=64',
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=3000',
];
