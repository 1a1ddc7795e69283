/** The vega-lite specification of any figure. */
import type { TopLevelSpec } from 'vega-lite';
import { barSpec } from './bars.js';
import { checkDrawable, type Figure } from './figure.js';
import { heatSpec } from './heat.js';
import { lineSpec } from './lines.js';

/**
 * The vega-lite specification of a figure.
 * @throws ResultError when it has nothing to draw, or a value that is no number.
 */
export const figureSpec = (figure: Figure): TopLevelSpec => {
  checkDrawable(figure);
  if (figure.kind === 'heat') return heatSpec(figure);
  return figure.kind === 'bars' ? barSpec(figure) : lineSpec(figure);
};
