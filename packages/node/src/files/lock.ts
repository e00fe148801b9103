/**
 * One process at a time for a file.
 *
 * Rules of this file: a lock is a folder beside the file, since making a folder either succeeds for one alone or fails; a wait
 * is bounded; a holder that was stopped for longer than `staleMs` may lose its lock, and can find that out before it writes.
 * Why a library, and what it does not promise: docs/decisions/0040-lock-library.md.
 */

import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolveTarget } from './target.ts';

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

  constructor(path: string, waitMs: number) {
    super(`${path}: still locked by another process after ${waitMs} ms`);
    this.path = path;
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
 * `LockedError` when the lock cannot be had within `waitMs`, with the system's error when it cannot be made at all, and with
 * what `work` rejects with.
 */
export async function withLock<T>(
  path: string,
  work: (held: Held) => Promise<T>,
  { waitMs = 30_000 }: LockOptions = {},
): Promise<T> {
  const target = (await resolveTarget(path)).path;
  const folder = `${target}.lock`;
  let lost = false;
  const release = await acquire(target, folder, performance.now() + waitMs, () => {
    lost = true;
  });
  if (release === null) throw new LockedError(path, waitMs);
  const mine = await identity(folder);
  const isHeld = async () => !lost && mine !== null && (await identity(folder)) === mine;
  try {
    return await work(async () => {
      if (!(await isHeld())) throw new LockLostError(path);
    });
  } finally {
    // What is another's by now stays: the library would remove it as readily as ours. A lock that cannot be removed is no
    // failure of the work, and ends by itself.
    if (await isHeld()) await release().catch(() => undefined);
  }
}

/** Tries until `until`, at random moments, so that a hundred processes do not knock together; `null` when time is up. */
async function acquire(
  target: string,
  lockfilePath: string,
  until: number,
  onCompromised: () => void,
): Promise<(() => Promise<void>) | null> {
  // Not before it is needed: what it is built on replaces functions of `process` and `fs` for everyone (decision 0040).
  const { lock } = await import('proper-lockfile');
  for (let longest = 10; ; longest = Math.min(longest * 1.5, 200)) {
    try {
      return await lock(target, { realpath: false, lockfilePath, stale: staleMs, onCompromised });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ELOCKED')) throw error;
    }
    if (performance.now() >= until) return null;
    await sleep(1 + Math.random() * longest);
  }
}

/** Tells one folder of that name from the next; `null` for none. The number alone is soon given again. */
async function identity(folder: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeNs }: BigIntStats = await stat(folder, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch {
    return null;
  }
}
