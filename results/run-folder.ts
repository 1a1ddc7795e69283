/**
 * Folders for runs, made one by one: on a place where nothing can be made, such as /proc, Node's recursive
 * mkdir never returns.
 */
import { existsSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and what is missing above it; on an error, removes what it made.
 * @returns the folders made, outermost first.
 * @throws errors of the file system.
 */
export function makeFolders(path: string): string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at) && at !== dirname(at); at = dirname(at)) missing.push(at);
  const made: string[] = [];
  try {
    for (const folder of missing.reverse()) if (make(folder)) made.push(folder);
    return made;
  } catch (error) {
    removeEmpty(made);
    throw error;
  }
}

/** Removes folders that {@link makeFolders} made, unless others have put something there since. */
export function removeEmpty(made: readonly string[]): void {
  for (const folder of made.toReversed()) {
    try {
      rmdirSync(folder);
    } catch (error) {
      // Something is in it, or it is gone: either way it is no longer ours to remove.
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? ''))
        throw error;
    }
  }
}

/** False when another process made it first. */
function make(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    if (isThere && statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return false;
    throw error;
  }
}
