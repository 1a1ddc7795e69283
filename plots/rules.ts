/** Vertical rules with labels: what happened, and when. */
import type { Panel } from './figure.js';
import { INK, SOFT_INK } from './style.js';

/** Rows of rules' labels, and the height of one. */
const RULE_ROWS = 4;
const RULE_ROW_PX = 11;

const X = { field: 'x', type: 'quantitative' } as const;

/** Labels that follow each other stand one below the other, and left of their rules in the right half. */
export const ruleLayers = (
  panel: Pick<Panel, 'rules'>,
  [lowest, highest]: readonly [number, number],
): object[] => {
  if (!panel.rules?.length) return [];
  const rules = [...panel.rules].sort((a, b) => a.x - b.x);
  const labels = rules.map((rule, i) => {
    const isRight = rule.x > (lowest + highest) / 2;
    return {
      data: { values: [rule] },
      mark: {
        type: 'text',
        align: isRight ? 'right' : 'left',
        baseline: 'top',
        dx: isRight ? -3 : 3,
        dy: 2 + (i % RULE_ROWS) * RULE_ROW_PX,
        fontSize: 9,
        color: INK,
        clip: true,
      },
      encoding: { x: X, y: { value: 0 }, text: { field: 'label' } },
    };
  });
  const mark = { type: 'rule', color: SOFT_INK, strokeWidth: 0.75, clip: true };
  return [{ data: { values: rules }, mark, encoding: { x: X } }, ...labels];
};
