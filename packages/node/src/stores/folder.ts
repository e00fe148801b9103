/**
 * A folder that is one user's own.
 *
 * Rules of this file: no link is followed in it; what belongs to another user or is open to others is neither read nor
 * written, which is said once; a file in it is whole or not there, also after SIGKILL; what cannot be read is not there.
 */

import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toVisible } from '@reg/core';

/** Windows knows neither flag. A pipe must not keep its reader waiting for a writer. */
const unlinked = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

export class PrivateFolder {
  readonly path: string;
  #warned = false;

  constructor(path: string) {
    this.path = path;
  }

  /** Whether there is such a folder and nobody else may write to it. */
  async isTrusted(): Promise<boolean> {
    const stats = await lstat(this.path).catch(() => null);
    if (stats === null) return false;
    // Whoever may write to a folder may put another file in the place of ours.
    return !this.#refuse(this.path, stats.isDirectory() ? faultOf(stats, 0o022) : 'is a link or a file');
  }

  /** Makes the folder where it is missing, closed to others; as `isTrusted`. Rejects when it cannot be made. */
  async make(): Promise<boolean> {
    if ((await lstat(this.path).catch(() => null)) === null) {
      await mkdir(this.path, { recursive: true, mode: 0o700 });
    }
    return this.isTrusted();
  }

  /** The bytes of a file that nobody else can read, `limit` at most; else `null`. */
  async read(name: string, limit: number): Promise<Buffer | null> {
    const path = join(this.path, name);
    let file: FileHandle | null = null;
    try {
      file = await open(path, constants.O_RDONLY | unlinked);
      // Of what was opened, not of what the name stands for by now.
      const stats = await file.stat();
      if (this.#refuse(path, faultOf(stats, 0o077)) || stats.size > limit) return null;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(stats.size), 0, stats.size, 0);
      return bytesRead === stats.size ? buffer : null;
    } catch (error) {
      if (codeOf(error) === 'ELOOP') this.#refuse(path, 'is a symbolic link');
      return null;
    } finally {
      await file?.close();
    }
  }

  /**
   * Puts a file in the place of what has that name, a link included. Not synced: a machine that loses power may lose it.
   *
   * @param until epoch milliseconds that become the file's time of modification: when it may be swept away
   */
  async write(name: string, content: Uint8Array, until: number): Promise<void> {
    await this.#withNew(name, content, until, (temporary) => rename(temporary, join(this.path, name)));
  }

  /** Makes a file unless there is one. Whoever makes it first has made it for all. */
  async create(name: string, content: Uint8Array): Promise<void> {
    await this.#withNew(name, content, null, async (temporary) => {
      try {
        // Unlike a file that is opened and then written, a link shows its content as soon as its name.
        await link(temporary, join(this.path, name));
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      await rm(temporary, { force: true });
    });
  }

  /**
   * The names in a folder of the user's own, however open it is to others; none where there is no folder. Rejects with the
   * system's error when they cannot be read, and for a folder that is somebody else's, or none.
   */
  async ownNames(): Promise<readonly string[]> {
    let stats: Stats;
    try {
      stats = await lstat(this.path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
    const fault = stats.isDirectory() ? faultOf(stats, 0) : 'is a link or a file';
    if (fault !== null) {
      throw Object.assign(new Error(`${toVisible(this.path)} ${fault}`), { code: 'REG_STORE_NOT_TRUSTED' });
    }
    return readdir(this.path);
  }

  /** Removes a file or a link. Where others may write, what is below a folder need not be what it was a moment ago: it stays. */
  async unlink(name: string): Promise<void> {
    await rm(join(this.path, name), { force: true });
  }

  /** Removes what has that name, whatever it is. A link goes, and what it leads to stays. */
  async remove(name: string): Promise<void> {
    await rm(join(this.path, name), { force: true, recursive: true });
  }

  /** The names in it; none when it cannot be read. */
  async names(): Promise<readonly string[]> {
    return readdir(this.path).catch(() => []);
  }

  /** What there is under a name, or `null`. */
  async look(name: string): Promise<Stats | null> {
    return lstat(join(this.path, name)).catch(() => null);
  }

  async #withNew(
    name: string,
    content: Uint8Array,
    until: number | null,
    place: (temporary: string) => Promise<void>,
  ): Promise<void> {
    const temporary = join(this.path, `${name}.${randomBytes(8).toString('hex')}.tmp`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | unlinked;
    const file = await open(temporary, flags, 0o600);
    try {
      try {
        await file.writeFile(content);
        if (until !== null) await file.utimes(until / 1000, until / 1000);
      } finally {
        await file.close();
      }
      await place(temporary);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Whether there is a fault. The first one is told: one is as bad as many, and a service would fill its log. */
  #refuse(path: string, fault: string | null): boolean {
    if (fault === null) return false;
    if (!this.#warned) {
      this.#warned = true;
      process.emitWarning(`the token store does not use ${toVisible(path)}, which ${fault}`, {
        type: 'RegWarning',
        code: 'REG_STORE_NOT_TRUSTED',
      });
    }
    return true;
  }
}

/** Why somebody else may have a hand in it, or `null`. Windows has no owner and mode to judge by; the profile is the user's. */
function faultOf({ uid, mode }: Stats, forbidden: number): string | null {
  const user = process.geteuid?.();
  if (user === undefined) return null;
  if (uid !== user) return 'belongs to another user';
  return (mode & forbidden) === 0 ? null : `is open to other users (mode ${(mode & 0o777).toString(8)})`;
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
