/** The figure of `fusee fabric probe`: what verbs take by their size, alone and in chains. */
import type { Line, LineFigure } from './figure.js';
import { writeFigure } from './ycsb.js';

/** What was measured of one kind of chain. */
export interface ProbeCell {
  readonly verb: string;
  readonly bytes: number;
  readonly chain: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
}

/**
 * Draws a panel per length of the chain: p50 as a line, p99 as the upper edge of its band. Atomics, which
 * have one size, are left to the table.
 * @returns the paths written.
 */
export function drawProbe(
  cells: readonly ProbeCell[],
  options: { fabric: string; simulated: boolean; outFolder: string },
): Promise<string[]> {
  const sized = cells.filter(({ verb }) => verb === 'READ' || verb === 'WRITE');
  const chains = [...new Set(sized.map(({ chain }) => chain))];
  const origin = options.simulated ? 'simulated' : 'measured';
  const line = (verb: string, chain: number): Line => ({
    series: verb,
    origin,
    points: sized
      .filter((cell) => cell.verb === verb && cell.chain === chain)
      .map(({ bytes, p50Ns, p99Ns }) => ({ x: bytes, y: p50Ns / 1e3, low: p50Ns / 1e3, high: p99Ns / 1e3 })),
  });
  const highest = Math.max(...sized.map(({ p99Ns }) => p99Ns / 1e3));
  const sizes = sized.map(({ bytes }) => bytes);
  const figure: LineFigure = {
    kind: 'lines',
    id: `probe-${options.fabric}`,
    title: `Verbs over ${options.fabric}`,
    caption: [`fabric ${options.fabric}`, 'one batch at a time; lines are p50, bands reach to p99', origin],
    trusted: true,
    x: { label: 'size', unit: 'bytes', scale: 'log', domain: [Math.min(...sizes), Math.max(...sizes)] },
    y: { label: 'latency', unit: 'µs', domain: [0, highest * 1.05] },
    step: false,
    panels: chains.map((chain) => ({
      title: chain === 1 ? 'one verb' : `chains of ${chain}`,
      lines: ['READ', 'WRITE'].map((verb) => line(verb, chain)),
    })),
  };
  return writeFigure(figure, { outFolder: options.outFolder });
}
