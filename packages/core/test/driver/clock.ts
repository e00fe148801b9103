/** A clock that moves only when everybody waits. */

import type { AbortSignalLike } from '../../src/driver/port.ts';

interface Timer {
  readonly due: number;
  readonly ring: () => void;
}

export class VirtualClock {
  #now = 1_750_000_000_000;
  readonly #timers = new Set<Timer>();

  readonly now = (): number => this.#now;

  readonly sleep = (ms: number, signal: AbortSignalLike): Promise<void> =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        this.#timers.delete(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer: Timer = { due: this.#now + ms, ring: end };
      this.#timers.add(timer);
      signal.addEventListener('abort', end);
    });

  /** Timers that have not rung. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, ringing nothing. */
  skip(ms: number): void {
    this.#now += ms;
  }

  /** Lets everything happen that can, moving on from timer to timer, until `work` has settled. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    work.then(mark, mark);
    for (;;) {
      await idle();
      if (settled) return work;
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0];
      if (next === undefined) throw new Error('nothing is left that could settle this');
      this.#now = Math.max(this.#now, next.due);
      next.ring();
    }
  }
}

/** Resolves when no microtask is left. */
export function idle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
