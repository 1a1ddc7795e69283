/** Random numbers of the statistics: seeded, so that the same data always gives the same verdict. */

/** Uniform numbers in [0, 1), each call the next one. */
export type Random = () => number;

/** A stream of sfc32 (Doty-Humphrey, PractRand), its state from `seed`; the same on every machine. */
export const seededRandom = (seed: number): Random => {
  let a = seed | 0;
  let b = (seed / 4294967296) | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4294967296;
  };
  // A dozen rounds before every bit of the state reaches every bit of the output.
  for (let i = 0; i < 16; i++) next();
  return next;
};

/** A standard normal number, by Box and Muller. */
export const normalFrom = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Puts `values` in random order, in place, every order as likely (Fisher and Yates). */
export const shuffle = (values: Uint32Array, random: Random): void => {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const held = values[i];
    values[i] = values[j];
    values[j] = held;
  }
};
