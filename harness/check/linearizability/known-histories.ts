/** Histories drawn by hand whose verdict is known, each named by what it shows. Format: `parseHistory`. */

/** A history, what was known around it, and whether it is linearizable. */
export interface KnownHistory {
  name: string;
  linearizable: boolean;
  history: string;
  initial?: ReadonlyMap<number, number>;
  final?: ReadonlyMap<number, number>;
  clockBoundNs?: number;
}

const LOADED = new Map([[0, 1]]);
const ABSENT_AT_END = new Map([[0, -1]]);

/** The histories that have a linearization. */
const LINEARIZABLE: Omit<KnownHistory, 'linearizable'>[] = [
  { name: 'nothing happened', history: '' },
  { name: 'a loaded key is read', initial: LOADED, history: '0-1 c0 SEARCH OK(1)' },
  {
    name: 'reads during a write see new, and old later in another write',
    initial: LOADED,
    history: `
      0-100 c0 UPDATE(2) OK
      10-20 c1 SEARCH OK(1)
      15-30 c2 SEARCH OK(2)
      40-50 c1 SEARCH OK(2)`,
  },
  {
    name: 'two UPDATEs at once, the loser linearized just before the winner',
    initial: LOADED,
    history: `
      0-50 c0 UPDATE(2) OK
      10-60 c1 UPDATE(3) OK
      70-80 c2 SEARCH OK(2)`,
  },
  {
    name: 'INSERT EXISTS beside the INSERT that wins',
    history: `
      0-50 c0 INSERT(2) OK
      10-20 c1 INSERT(3) EXISTS
      30-40 c2 SEARCH OK(2)`,
  },
  {
    name: 'INSERT, DELETE, INSERT at once, in the only order',
    history: `
      0-90 c0 INSERT(2) OK
      0-90 c1 INSERT(3) OK
      0-90 c2 DELETE OK
      95-99 c3 SEARCH OK(2)`,
  },
  {
    name: 'DELETE loses to a DELETE and finds nothing',
    initial: LOADED,
    final: ABSENT_AT_END,
    history: `
      0-50 c0 DELETE OK
      10-40 c1 DELETE NOT_FOUND`,
  },
  {
    name: 'a pending INSERT is seen',
    history: `
      0- c0 INSERT(2) PENDING
      10-20 c1 SEARCH OK(2)`,
  },
  {
    name: 'a pending INSERT is not seen, then seen',
    history: `
      0- c0 INSERT(2) PENDING
      10-20 c1 SEARCH NOT_FOUND
      30-40 c1 SEARCH OK(2)`,
  },
  {
    name: 'a pending INSERT never takes effect',
    final: ABSENT_AT_END,
    history: `
      0- c0 INSERT(2) PENDING
      10-20 c1 SEARCH NOT_FOUND`,
  },
  {
    name: 'an unavailable UPDATE takes effect long after its answer',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) UNAVAILABLE
      20-30 c1 UPDATE(3) OK
      40-50 c1 SEARCH OK(3)
      60-70 c1 SEARCH OK(2)`,
  },
  {
    name: 'an unavailable DELETE takes effect after a cut',
    initial: LOADED,
    history: `
      0-10 c0 DELETE UNAVAILABLE
      20-30 c1 SEARCH OK(1)
      40-50 c1 SEARCH NOT_FOUND`,
  },
  {
    name: 'an unavailable INSERT waits for the key to be deleted',
    initial: LOADED,
    history: `
      0-10 c0 INSERT(2) UNAVAILABLE
      20-30 c1 DELETE OK
      40-50 c1 INSERT(3) EXISTS
      60-70 c1 SEARCH OK(2)`,
  },
  {
    name: 'two pending DELETEs explain two disappearances',
    initial: LOADED,
    history: `
      0- c0 DELETE PENDING
      0- c1 DELETE PENDING
      10-20 c2 SEARCH NOT_FOUND
      30-40 c2 INSERT(2) OK
      50-60 c2 INSERT(3) OK`,
  },
  {
    name: 'equal timestamps are concurrent',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) OK
      10-20 c1 SEARCH OK(1)`,
  },
  {
    name: 'a stale read within the clock bound',
    initial: LOADED,
    clockBoundNs: 3,
    history: `
      0-10 c0 UPDATE(2) OK
      15-20 c1 SEARCH OK(1)`,
  },
  {
    name: 'PUT inserts and updates',
    history: `
      0-10 c0 PUT(2) OK
      20-30 c0 PUT(3) OK
      40-50 c1 SEARCH OK(3)`,
  },
  {
    name: 'INSERT without memory had no effect',
    final: ABSENT_AT_END,
    history: `
      0-10 c0 INSERT(2) NO_MEMORY
      20-30 c1 INSERT(3) INDEX_FULL
      40-50 c1 SEARCH NOT_FOUND`,
  },
  {
    name: 'the same value written twice is read around another',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) OK
      20-30 c0 UPDATE(3) OK
      40-50 c0 UPDATE(2) OK
      60-70 c1 SEARCH OK(2)`,
  },
  {
    name: 'keys are independent',
    history: `
      0-10 c0 k1 INSERT(2) OK
      20-30 c1 k2 SEARCH NOT_FOUND
      40-50 c1 k1 SEARCH OK(2)`,
  },
];

/** The histories that have none. */
const NOT_LINEARIZABLE: Omit<KnownHistory, 'linearizable'>[] = [
  {
    name: 'lost update: the last of two UPDATEs in turn is not what is read',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) OK
      20-30 c1 UPDATE(3) OK
      40-50 c2 SEARCH OK(2)`,
  },
  {
    name: 'stale read after a finished write',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) OK
      11-20 c1 SEARCH OK(1)`,
  },
  {
    name: 'new-old inversion: a read sees the new value and a later one the old',
    initial: LOADED,
    history: `
      0-100 c0 UPDATE(2) OK
      10-20 c1 SEARCH OK(2)
      30-40 c2 SEARCH OK(1)`,
  },
  {
    name: 'two readers disagree on the order of two writes',
    initial: LOADED,
    history: `
      0-100 c0 UPDATE(2) OK
      0-100 c1 UPDATE(3) OK
      10-20 c2 SEARCH OK(2)
      30-40 c2 SEARCH OK(3)
      30-40 c3 SEARCH OK(3)
      50-60 c3 SEARCH OK(2)`,
  },
  {
    name: 'duplicate INSERT: both report OK',
    history: `
      0-50 c0 INSERT(2) OK
      10-60 c1 INSERT(3) OK`,
  },
  {
    name: 'a losing DELETE reports OK though the key exists afterwards',
    initial: LOADED,
    history: `
      0-50 c0 UPDATE(2) OK
      10-60 c1 DELETE OK
      70-80 c2 SEARCH OK(2)
      90-99 c2 SEARCH NOT_FOUND`,
  },
  {
    name: 'a DELETE loses to an UPDATE, reports OK, and the key is read back',
    initial: LOADED,
    final: new Map([[0, 2]]),
    history: `
      0-50 c0 UPDATE(2) OK
      10-60 c1 DELETE OK`,
  },
  {
    name: 'a pending INSERT is seen, then unseen',
    history: `
      0- c0 INSERT(2) PENDING
      10-20 c1 SEARCH OK(2)
      30-40 c1 SEARCH NOT_FOUND`,
  },
  {
    name: 'a pending write is read before it was invoked',
    initial: LOADED,
    history: `
      10-20 c1 SEARCH OK(2)
      30- c0 UPDATE(2) PENDING`,
  },
  {
    name: 'an unavailable UPDATE takes effect twice',
    initial: LOADED,
    history: `
      0-10 c0 UPDATE(2) UNAVAILABLE
      20-30 c1 SEARCH OK(2)
      40-50 c1 UPDATE(3) OK
      60-70 c1 SEARCH OK(2)`,
  },
  { name: 'UPDATE of an absent key reports OK', history: '0-10 c0 UPDATE(2) OK' },
  { name: 'UPDATE of a loaded key finds nothing', initial: LOADED, history: '0-10 c0 UPDATE(2) NOT_FOUND' },
  {
    name: 'DELETE twice reports OK',
    initial: LOADED,
    history: `
      0-50 c0 DELETE OK
      10-60 c1 DELETE OK`,
  },
  { name: 'DELETE of an absent key reports OK', history: '0-10 c0 DELETE OK' },
  { name: 'EXISTS with no INSERT', history: '0-10 c0 INSERT(2) EXISTS' },
  {
    name: 'EXISTS because of an INSERT that had no memory',
    history: `
      0-10 c0 INSERT(2) NO_MEMORY
      20-30 c1 INSERT(3) EXISTS`,
  },
  { name: 'a value that no one wrote', initial: LOADED, history: '0-10 c0 SEARCH OK(7)' },
  {
    name: 'a deleted value returns',
    initial: LOADED,
    history: `
      0-10 c0 DELETE OK
      20-30 c1 SEARCH OK(1)`,
  },
  {
    name: 'an overwritten value is read again before it is written again, its first writer still open',
    initial: LOADED,
    history: `
      0-100 c0 UPDATE(2) OK
      10-20 c1 SEARCH OK(2)
      25-30 c1 UPDATE(3) OK
      40-50 c1 SEARCH OK(2)
      110-120 c1 UPDATE(2) OK`,
  },
  {
    name: 'PUT is lost',
    history: `
      0-10 c0 PUT(2) OK
      20-30 c1 SEARCH NOT_FOUND`,
  },
  {
    name: 'three disappearances from two pending DELETEs',
    initial: LOADED,
    history: `
      0- c0 DELETE PENDING
      0- c1 DELETE PENDING
      10-20 c2 INSERT(2) OK
      30-40 c2 INSERT(3) OK
      50-60 c2 INSERT(4) OK`,
  },
  {
    name: 'a stale read beyond the clock bound',
    initial: LOADED,
    clockBoundNs: 2,
    history: `
      0-10 c0 UPDATE(2) OK
      15-20 c1 SEARCH OK(1)`,
  },
  { name: 'the read-back lacks a finished INSERT', final: ABSENT_AT_END, history: '0-10 c0 INSERT(2) OK' },
  {
    name: 'the read-back of a key no one touched differs from the load',
    initial: LOADED,
    final: new Map([[0, 2]]),
    history: '0-10 c0 k5 INSERT(2) OK',
  },
  {
    name: 'a winning UPDATE overlaps a cut where the loser was already read',
    initial: LOADED,
    history: `
      0-100 c0 UPDATE(2) OK
      0-100 c1 UPDATE(3) OK
      110-120 c2 SEARCH OK(2)
      130-140 c2 SEARCH OK(3)`,
  },
];

/** All of them. */
export const KNOWN_HISTORIES: readonly KnownHistory[] = [
  ...LINEARIZABLE.map((known) => ({ ...known, linearizable: true })),
  ...NOT_LINEARIZABLE.map((known) => ({ ...known, linearizable: false })),
];
