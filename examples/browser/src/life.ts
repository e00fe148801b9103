/**
 * A token's life, which runs down.
 *
 * Rules of this file: pure; times are epoch milliseconds of the client's monotonic clock, so that a token never gets younger.
 */

import { duration } from './duration.ts';

export interface Life {
  /** Of the whole life, from 1 down to 0. */
  readonly left: number;
  readonly words: string;
  readonly over: boolean;
}

/** What is left at `now` of a life from `from` to `until`. */
export function lifeAt(now: number, from: number, until: number): Life {
  const whole = Math.max(1, until - from);
  const remaining = Math.min(whole, Math.max(0, until - now));
  if (remaining === 0) return { left: 0, words: `over after ${duration(whole)}`, over: true };
  // Whole seconds, so that the words change when a second has passed and not in between.
  const words = `${duration(Math.ceil(remaining / 1000) * 1000)} left of ${duration(whole)}`;
  return { left: remaining / whole, words, over: false };
}
