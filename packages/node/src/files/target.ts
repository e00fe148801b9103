/**
 * Where a path leads, found link by link.
 *
 * Rules of this file: a link counts as its own only if it belongs to whom the file belongs to, so that nobody's link makes us
 * write into somebody else's file (attack file-write-04); a link that leads nowhere yet names the place of a new file.
 */

import type { Stats } from 'node:fs';
import { lstat, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';

/** A file that must not or cannot be written: what is there is not ours to replace. */
export class UnsafeFileError extends Error {
  override readonly name = 'UnsafeFileError';
  readonly code = 'ERR_REG_UNSAFE_FILE';
  readonly path: string;
  /** The message without the path. */
  readonly fault: string;

  constructor(path: string, fault: string) {
    super(`${path}: ${fault}`);
    this.path = path;
    this.fault = fault;
  }
}

export interface Target {
  /** Absolute, in a folder that exists, with no link in it. */
  readonly path: string;
  /** What is there: a plain file, or nothing. */
  readonly stats: Stats | null;
}

/** As many links as Linux follows. */
const mostLinks = 40;

/**
 * Follows `path` to the file that a write would replace, or to the place where it would make one. Rejects with
 * `UnsafeFileError` for a loop, for what is no plain file and for a link of another owner than the file's; with the system's
 * error where a folder is missing or cannot be searched.
 */
export async function resolveTarget(path: string): Promise<Target> {
  const linkOwners = new Set<number>();
  let next = path;
  for (let links = 0; links <= mostLinks; links++) {
    // The folder first: `..` after a link is the parent of where that link leads, which no joining of text would find.
    const here = join(await realpath(dirname(next)), basename(next));
    const stats = await lstatOrNull(here);
    if (!stats?.isSymbolicLink()) {
      if (stats !== null && !stats.isFile()) throw new UnsafeFileError(path, 'is not a plain file');
      const owner = stats?.uid ?? process.geteuid?.() ?? 0;
      for (const linkOwner of linkOwners) {
        if (linkOwner !== owner) throw new UnsafeFileError(path, 'is a link to a file of another owner');
      }
      return { path: here, stats };
    }
    linkOwners.add(stats.uid);
    const leads = await readlink(here);
    next = isAbsolute(leads) ? leads : `${dirname(here)}/${leads}`;
  }
  throw new UnsafeFileError(path, 'is a loop of links');
}

async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
