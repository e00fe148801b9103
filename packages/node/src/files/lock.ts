/**
 * One process at a time for a file.
 *
 * Rules of this file: a lock is a file beside the file, which opens for the one that makes it; a wait is bounded; a holder that
 * was stopped for longer than `staleMs` may lose its lock, and can find that out before it writes; whether a lock is one's own
 * is asked of the open file, never of its name. Why a library, why not as it comes, and why nothing is lost when a lock is:
 * docs/decisions/0040-lock-library.md.
 */

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveTarget, UnsafeFileError } from './target.ts';

/** Rejects with `LockLostError` once the lock is not this holder's any more. */
export type Held = () => Promise<void>;

export interface LockOptions {
  /** How long to wait for other holders. Default: 30,000 ms. */
  readonly waitMs?: number;
}

/** Another process held the lock for all of the wait. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
  readonly code = 'ERR_REG_LOCKED';
  readonly path: string;
  /** The lock itself, for who knows that nobody holds it. */
  readonly lock: string;

  constructor(path: string, lock: string, waitMs: number) {
    super(`${path}: still locked by another process after ${waitMs} ms; if none is running, remove ${lock}`);
    this.path = path;
    this.lock = lock;
  }
}

/** This process was stopped for so long that another took the lock. */
export class LockLostError extends Error {
  override readonly name = 'LockLostError';
  readonly code = 'ERR_REG_LOCK_LOST';
  readonly path: string;

  constructor(path: string) {
    super(`${path}: another process took the lock over`);
    this.path = path;
  }
}

/** A holder renews its lock every half of this; a lock not renewed for as long belongs to a process that was killed. */
const staleMs = 5_000;

/**
 * Runs `work` while no other process holds the lock of `path`, or of the file it leads to. The folder must exist.
 *
 * `work` may be handed `held`: awaited just before a write, it keeps a holder that lost its lock from writing. Rejects with
 * `LockedError` when the lock cannot be had within `waitMs`, with `UnsafeFileError` when something else is in its place, with the
 * system's error when it cannot be made at all, and with what `work` rejects with.
 */
export async function withLock<T>(
  path: string,
  work: (held: Held) => Promise<T>,
  { waitMs = 30_000 }: LockOptions = {},
): Promise<T> {
  const target = (await resolveTarget(path)).path;
  const lock = await acquire(target, performance.now() + waitMs);
  if (lock === null) throw new LockedError(path, lockOf(target), waitMs);
  try {
    return await work(async () => {
      if (!lock.isHeld()) throw new LockLostError(path);
    });
  } finally {
    await lock.release();
  }
}

interface Lock {
  isHeld(): boolean;
  release(): Promise<void>;
}

/** Tries until `until`, at random moments, so that a hundred processes do not knock together; `null` when time is up. */
async function acquire(target: string, until: number): Promise<Lock | null> {
  for (let longest = 10; ; longest = Math.min(longest * 1.5, 200)) {
    const lock = await tryOnce(target);
    if (lock !== null || performance.now() >= until) return lock;
    await sleep(1 + Math.random() * longest);
  }
}

async function tryOnce(target: string): Promise<Lock | null> {
  // Not before it is needed: what it is built on replaces functions of `process` and `fs` for everyone.
  const { lock } = await import('proper-lockfile');
  const lockfilePath = lockOf(target);
  const file = new LockFile(target);
  let isLost = false;
  const onCompromised = () => {
    isLost = true;
  };
  let unlock: () => Promise<void>;
  try {
    unlock = await lock(target, {
      realpath: false,
      lockfilePath,
      stale: staleMs,
      onCompromised,
      fs: {
        ...fs,
        mkdir: (_: string, done: (error: Error | null) => void) => file.make(done),
        stat: (_: string, done: Done<fs.Stats>) => file.look(done),
        rmdir: (_: string, done: (error: Error | null) => void) => file.remove(done),
        rmdirSync: fs.unlinkSync,
      },
    });
  } catch (error) {
    // Made, and gone before the library looked at it: another who found the one before it old has removed this one.
    const isGone = file.isMade && codeOf(error) === 'ENOENT';
    file.close();
    if (isGone || codeOf(error) === 'ELOCKED') return null;
    throw error;
  }
  const isHeld = () => !isLost && file.isOurs();
  return {
    isHeld,
    async release() {
      // What is another's by now stays: the library would remove it as readily as ours. A lock that cannot be removed is no
      // failure of the work, and ends by itself.
      if (isHeld()) await unlock().catch(() => undefined);
      file.close();
    },
  };
}

type Done<T> = (error: Error | null, result?: T) => void;

function lockOf(target: string): string {
  return `${target}.lock`;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/**
 * The lock on the disk, in place of the folder that the library would make: of two folders that had the same name one after
 * the other nobody can say which one he made. A file can be told from the next as long as it is open, since until then no
 * other gets its number.
 */
class LockFile {
  readonly #path: string;
  /** Of the file, once it was made here. */
  #descriptor: number | null = null;

  constructor(target: string) {
    this.#path = lockOf(target);
  }

  make(done: (error: Error | null) => void): void {
    fs.open(this.#path, 'wx', 0o600, (error, descriptor) => {
      if (error === null) this.#descriptor = descriptor;
      done(error);
    });
  }

  /**
   * What the lock's age is told by. One from the future was renewed before the clock was set back, or by a machine whose clock
   * is ahead, and would have no age for as long: it counts as left behind. If it was not, its holder finds that out.
   */
  look(done: Done<fs.Stats>): void {
    fs.stat(this.#path, (error, stats) => {
      if (error !== null) return done(error);
      if (!this.isMade && stats.mtimeMs > Date.now() + staleMs) stats.mtime = new Date(0);
      done(null, stats);
    });
  }

  /** Removes the lock: this one, or one left behind. What is no lock stays: a lock is a file with nothing in it. */
  remove(done: (error: Error | null) => void): void {
    const unlink = () => fs.unlink(this.#path, done);
    if (this.isMade) {
      unlink();
      return;
    }
    fs.lstat(this.#path, (error, stats) => {
      if (error !== null || (stats.isFile() && stats.size === 0)) {
        unlink();
        return;
      }
      done(new UnsafeFileError(this.#path, 'is something else than a lock: move it away'));
    });
  }

  get isMade(): boolean {
    return this.#descriptor !== null;
  }

  /** Whether the name is still that of the file that was made here. */
  isOurs(): boolean {
    if (this.#descriptor === null) return false;
    try {
      const named = fs.statSync(this.#path, { bigint: true });
      const { dev, ino } = fs.fstatSync(this.#descriptor, { bigint: true });
      return named.dev === dev && named.ino === ino;
    } catch {
      return false;
    }
  }

  close(): void {
    if (this.#descriptor !== null) fs.closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}
