/** Numbers under each other, for a terminal. */

/** Lines of a table: columns right-aligned, two blanks apart; the first row is the head. */
export function textTable(rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = rows.map((row) => row.map(String));
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  return cells.map((row) => row.map((cell, column) => cell.padStart(widths[column])).join('  '));
}

/** A share from 0 to 1 as a percentage. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
