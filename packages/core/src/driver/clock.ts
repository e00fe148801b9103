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
    const timer = setTimeout(end, ms);
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
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    if (signal.aborted) abort();
  });
}

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
  const abort = (): void => controller.abort();
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
