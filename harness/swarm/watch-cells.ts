/** Which cells the requests of a coroutine take. */
import type { Coroutine } from '../../fusee/ops/index.js';

/** An object that a request took a cell for. */
export interface TakenObject {
  readonly cell: number;
  readonly sizeClass: number;
}

/** Notes which cells a coroutine's request takes, and which go back to its lists. */
export function watchCells({ cx }: Coroutine, objects: TakenObject[], freeCells: Set<number>): void {
  const { takeCell, dropCell } = cx;
  cx.takeCell = (operation) => {
    const took = takeCell.call(cx, operation);
    if (took) {
      freeCells.delete(cx.cell);
      if (objects.at(-1)?.cell !== cx.cell) objects.push({ cell: cx.cell, sizeClass: cx.sizeClass });
    }
    return took;
  };
  cx.dropCell = (operation) => {
    dropCell.call(cx, operation);
    freeCells.add(cx.cell);
  };
}
