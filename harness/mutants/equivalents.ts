/**
 * Mutants that survive because they change nothing that anybody could see: with the reason, by id.
 *
 * An id follows from file, operator and snippet. When the code changes, entries whose mutant is gone fail a test.
 */
export const EQUIVALENTS: Readonly<Record<string, string>> = {};
