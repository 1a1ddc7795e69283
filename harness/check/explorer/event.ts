/** What an explorer can let happen. */

/** One thing that happened, for traces and replays. */
export type Event =
  | { readonly type: 'unit'; readonly client: number; readonly unit: number }
  | { readonly type: 'resume'; readonly client: number; readonly choice: number }
  | { readonly type: 'crash'; readonly client: number }
  | { readonly type: 'cut'; readonly client: number; readonly mn: number; readonly executed: number }
  | { readonly type: 'kill'; readonly mn: number }
  /** A unit executes on an MN that will die before it answers. */
  | { readonly type: 'lose'; readonly client: number; readonly unit: number }
  /** The master decides what slots hold, and publishes a view. */
  | { readonly type: 'arbitrate' }
  /** A client goes on in that view, or its recovery begins anew. */
  | { readonly type: 'adopt'; readonly client: number; readonly choice: number }
  /** A verb of a dead client that nobody fenced executes. */
  | { readonly type: 'stray'; readonly index: number };

/** Whose turn the event is; -1: no client's. */
export const clientOf = (event: Event): number => ('client' in event ? event.client : -1);

/** Receives a state, what was wrong with the step to it, and the events of that step. */
export type Emit = (state: Int32Array, violation: string | undefined, events: readonly Event[]) => void;
