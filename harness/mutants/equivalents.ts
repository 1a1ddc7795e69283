/**
 * Mutants that survive because they change nothing that anybody could see: with the reason, by id.
 *
 * An id follows from file, operator and snippet. When the code changes, entries whose mutant is gone fail a
 * test.
 */
export const EQUIVALENTS: Readonly<Record<string, string>> = {
  'negation-8597bd2b':
    'claim-replicated.ts: after its deadline INSERT answers UNAVAILABLE, whether its undo went through or not.',
  'verb-cdc6dce7':
    'claim-replicated.ts: READs of the buckets and of objects in one batch; objects never change, so they commute.',
  'comparison-d8a888d3':
    'snapshot.ts, castVotes: one word more is copied, behind the votes; nobody counts it, and there is room.',
  'verb-936651dc':
    'context.ts, appendBuckets: which of the two is read first is for the hash to say; no rule depends on it.',
  'verb-94e56f7f':
    'insert.ts: the object and the buckets share no byte, and nobody knows the object before a later batch.',
};
