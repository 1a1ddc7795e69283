/** How many schedules a graph of states stands for: paths from its roots to its ends. */

/** Edges of a growing graph. */
export class Edges {
  count = 0;
  #from = new Int32Array(1 << 12);
  #to = new Int32Array(1 << 12);

  add(from: number, to: number): void {
    if (this.count === this.#from.length) {
      this.#from = doubled(this.#from);
      this.#to = doubled(this.#to);
    }
    this.#from[this.count] = from;
    this.#to[this.count++] = to;
  }

  /** Successors in rows: those of node n from `first[n]` to `first[n + 1]`. */
  rows(nodes: number): { first: Int32Array; to: Int32Array } {
    const first = new Int32Array(nodes + 1);
    for (let e = 0; e < this.count; e++) first[this.#from[e] + 1]++;
    for (let n = 0; n < nodes; n++) first[n + 1] += first[n];
    const at = first.slice();
    const to = new Int32Array(this.count);
    for (let e = 0; e < this.count; e++) to[at[this.#from[e]]++] = this.#to[e];
    return { first, to };
  }
}

/**
 * Paths from the first `roots` nodes to nodes without successors. An edge that closes a circle, as a poll
 * that found nothing does, is taken for none. Depth first, with a stack of its own.
 */
export function countSchedules(edges: Edges, nodes: number, roots: number): number {
  const { first, to } = edges.rows(nodes);
  const paths = new Float64Array(nodes);
  const next = first.slice(0, nodes);
  const state = new Uint8Array(nodes); // 1: on the stack, 2: done
  let total = 0;
  for (let root = 0; root < roots; root++) {
    const stack = [root];
    if (state[root] === 0) state[root] = 1;
    else stack.pop();
    while (stack.length > 0) {
      const at = stack[stack.length - 1];
      if (next[at] < first[at + 1]) {
        const child = to[next[at]++];
        if (state[child] === 2) paths[at] += paths[child];
        else if (state[child] === 0) {
          state[child] = 1;
          stack.push(child);
        }
        continue;
      }
      if (first[at] === first[at + 1]) paths[at] = 1;
      state[at] = 2;
      stack.pop();
      const parent = stack.at(-1);
      if (parent !== undefined) paths[parent] += paths[at];
    }
    total += paths[root];
  }
  return total;
}

function doubled(from: Int32Array): Int32Array<ArrayBuffer> {
  const to = new Int32Array(from.length * 2);
  to.set(from);
  return to;
}
