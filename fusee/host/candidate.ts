/** Who is to have a place, and what filling it (`filling.ts`) needs of the rest of the master's process. */
import type { Peer } from '../control/server.js';
import type { HostFabric, NodeAccess } from '../fabric/open.js';
import type { View } from '../layout/index.js';
import type { Filler, Repairer } from '../master/index.js';
import type { Context } from '../ops/index.js';
import type { Op } from '../verbs/index.js';
import type { NodeWatch } from './node-watch.js';

/** What the rest of the master's process does for it. */
export interface FillingHost {
  readonly access: NodeAccess;
  /** Over TCP: what nodes know this master by. */
  readonly key: bigint | undefined;
  readonly fabric: HostFabric;
  readonly watch: NodeWatch;
  readonly cx: Context;
  readonly repairer: Repairer;
  /** Its own place among the clients. */
  readonly cid: number;
  /** Runs an op on {@link fabric}; undefined: it was not run to its end. */
  run<T>(steps: Op<T>): Promise<T | undefined>;
  isDead(mn: number): boolean;
  /** Looks whether nodes have died. */
  look(): Promise<void>;
  offered(mn: number): void;
  withdrawn(mn: number): void;
  filled(mn: number): void;
  /** Nobody can fill the place: of something nothing is left. */
  bereft(mn: number): void;
  /** The place is another process's. */
  entered(mn: number): void;
  log(line: string): void;
}

/** Somebody who has offered itself for a place. */
export interface Candidate {
  readonly mn: number;
  readonly peer: Peer;
  /** Where it is reached before it has its place, and {@link placeTaken}. */
  readonly place: string;
  readonly placeTaken: string;
  readonly fabric: HostFabric;
  /** The view that sources are looked up in. */
  readonly view: View;
  readonly filler: Filler;
  isCopying: boolean;
  /** It was told to take the name of its place. */
  isTaking: boolean;
  /** Told that it has taken its name. */
  onTaken: (isTaken: boolean) => void;
}
