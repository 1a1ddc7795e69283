/**
 * The key of a cell: a hash over all that determines it. Equal keys mean the same code on the same kind of
 * machine with the same settings, seed and repetition, so that a sweep that was interrupted need not measure
 * the cell again.
 */
import { createHash } from 'node:crypto';
import type { Provenance } from './provenance.js';

/** Of the provenance: what makes results comparable. Time, and what a run was called, do not. */
const codeAndMachine = (provenance: Provenance): object => {
  const { commit, dirtyHash, build, version, benchmark, machine, kernel, node, pinning, nics } = provenance;
  return {
    commit,
    dirtyHash,
    build,
    version,
    benchmark,
    machine: machine.class,
    kernel,
    node,
    pinning,
    nics,
  };
};

/** Key of a cell with these settings, 16 hexadecimal digits, whatever the order of their fields. */
export const cellKeyOf = (provenance: Provenance, settings: object): string =>
  createHash('sha256')
    .update(canonical({ by: codeAndMachine(provenance), settings }))
    .digest('hex')
    .slice(0, 16);

/** JSON with sorted fields; those that are undefined are as good as left out. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : part,
  );
