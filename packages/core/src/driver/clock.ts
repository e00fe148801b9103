/**
 * The platform's clock and timer, where the caller brings none.
 *
 * Rules of this file: time never goes back, and a timer never outlives what waits for it.
 */

import type { AbortSignalLike, Now, Sleep } from './port.ts';

/** Epoch milliseconds from the monotonic clock: a wall clock set back must not revive a token. */
export const monotonicNow: Now = () => performance.timeOrigin + performance.now();

export const timerSleep: Sleep = (ms, signal) =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    // More than 31 bits would ring at once.
    const timer = setTimeout(end, Math.min(ms, 2_147_483_647));
    signal.addEventListener('abort', end);
  });

/** What a wait ends with when its signal aborts first. */
export class Aborted extends Error {
  override readonly name = 'AbortError';
}

/** `work`, unless `signal` aborts first: then rejects with `Aborted`, and leaves no listener on the signal. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignalLike): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      signal.removeEventListener('abort', abort);
      reject(new Aborted('aborted'));
    };
    signal.addEventListener('abort', abort);
    work.then(
      (value) => {
        signal.removeEventListener('abort', abort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', abort);
        reject(error);
      },
    );
    if (signal.aborted) abort();
  });
}

/** Why a deadline's signal aborts: one reason for all, since the platform would make one with a stack each time. */
const ended = new Aborted('ended');

/** A time limit on a piece of work, which also ends when the caller's signal aborts. */
export interface Deadline {
  readonly signal: AbortSignalLike;
  /** Milliseconds left, by the clock the limit was set on. */
  left(): number;
  readonly expired: boolean;
  /** Ends the timer and the listener. */
  done(): void;
}

export function startDeadline(ms: number, now: Now, sleep: Sleep, signal?: AbortSignalLike): Deadline {
  const controller = new AbortController();
  const end = now() + ms;
  let expired = false;
  let over = false;
  const abort = (): void => controller.abort(ended);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort);
  void sleep(ms, controller.signal).then(() => {
    if (over || controller.signal.aborted) return;
    expired = true;
    abort();
  });
  return {
    signal: controller.signal,
    left: () => end - now(),
    get expired() {
      return expired;
    },
    done() {
      over = true;
      signal?.removeEventListener('abort', abort);
      abort();
    },
  };
}
