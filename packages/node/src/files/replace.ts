/**
 * Writing a small file so that nobody ever sees half of it.
 *
 * Rules of this file: a reader finds the old file or the new one, also after a crash at any step; what is written is readable
 * by its owner alone from the first byte on; a name that somebody else put there is never opened.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { resolveTarget, type Target, UnsafeFileError } from './target.ts';

export interface ReplaceOptions {
  /** Awaited when the content is on disk, just before it takes the place of the old one. If it rejects, the old file stays. */
  readonly confirm?: () => Promise<void>;
}

/**
 * Replaces or creates `path` (or what it, a link, leads to) so that a reader finds the old file or the new one, whole. A new
 * file has mode 0600; an old one keeps its mode and its owner. The folder must exist.
 *
 * Rejects with `UnsafeFileError` or the system's error and leaves what was there.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  { confirm }: ReplaceOptions = {},
): Promise<void> {
  const target = await resolveTarget(path);
  // Heavy to load for those who only read.
  const { randomBytes } = await import('node:crypto');
  const temporary = `${temporaryPrefix(target.path)}${randomBytes(12).toString('hex')}`;
  // O_EXCL fails on whatever has that name, a link included: it is a new file, or none (attack file-write-05).
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
  const file = await open(temporary, flags, 0o600);
  try {
    try {
      await file.writeFile(content);
      await keepOwnerAndMode(file, path, target);
      await file.sync();
    } finally {
      await file.close();
    }
    await confirm?.();
    await rename(temporary, target.path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target.path));
}

/**
 * Removes what writers of `path` left behind when they were killed. Only for who holds the lock of `path`: of a writer that
 * lost the lock without knowing, it takes away what that one was about to put in place.
 */
export async function removeLeftovers(path: string): Promise<void> {
  const target = await resolveTarget(path);
  const prefix = basename(temporaryPrefix(target.path));
  const folder = dirname(target.path);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    // As `replaceFile` makes them: somebody's copy may have a name that begins like ours, and a folder or a link was never ours.
    const isOurs = entry.name.startsWith(prefix) && /^[0-9a-f]{24}$/.test(entry.name.slice(prefix.length));
    if (isOurs && entry.isFile()) await rm(join(folder, entry.name), { force: true });
  }
}

function temporaryPrefix(path: string): string {
  return join(dirname(path), `.${basename(path)}.reg-`);
}

async function keepOwnerAndMode(file: FileHandle, path: string, { stats }: Target): Promise<void> {
  if (stats === null) return;
  const { uid, gid } = await file.stat();
  if (uid !== stats.uid || gid !== stats.gid) {
    try {
      await file.chown(stats.uid, stats.gid);
    } catch {
      // Another group is the folder's choice or ours, and worth no failure; another owner's file would become ours.
      if (uid !== stats.uid) throw new UnsafeFileError(path, 'belongs to another user');
    }
  }
  await file.chmod(stats.mode & 0o777);
}

/** Makes the rename itself survive a power failure. Windows has no handle for a folder that could be synced. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
