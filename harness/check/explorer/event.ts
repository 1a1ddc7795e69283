/** What an explorer can let happen. */

/** One thing that happened, for traces and replays. */
export type Event =
  | { readonly type: 'unit'; readonly client: number; readonly unit: number }
  | { readonly type: 'resume'; readonly client: number; readonly choice: number }
  | { readonly type: 'crash'; readonly client: number }
  | { readonly type: 'cut'; readonly client: number; readonly mn: number; readonly executed: number }
  | { readonly type: 'kill'; readonly mn: number };

/** Receives a state, what was wrong with the step to it, and the events of that step. */
export type Emit = (state: Int32Array, violation: string | undefined, events: readonly Event[]) => void;
