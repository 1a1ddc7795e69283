/**
 * Mutants that survive because they change nothing that anybody could see: with the reason, by id.
 *
 * An id follows from file, operator and snippet. When the code changes, entries whose mutant is gone fail a
 * test.
 */
export const EQUIVALENTS: Readonly<Record<string, string>> = {
  'negation-8597bd2b':
    'claim-replicated.ts, undone or not after the deadline: INSERT answers UNAVAILABLE to EXPIRED as to FAILED.',
  'verb-9d849d8c':
    'snapshot.ts, the two READs of the duplicate check: both are behind the CAS, and no slot is in both.',
};
