/**
 * One piece of work at a time for each key, shared by all who want it.
 *
 * Rules of this file: a result belongs to those who waited for it and is not kept, a failure neither (buildkit#1957); a waiter
 * that leaves does not end the flight, the last one does; a flight that was ended takes nobody on.
 */

import type { AbortSignalLike } from './port.ts';

interface Flight<T> {
  readonly landing: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/** A wait for a flight. Call `leave` when it is over, whatever the outcome. */
export interface Seat<T> {
  readonly landing: Promise<T>;
  leave(): void;
}

export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  /** Flights under way. */
  get size(): number {
    return this.#flights.size;
  }

  /** Whether there is a flight for `key`. */
  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Takes a seat on the flight for `key`, which `fly` starts when there is none. */
  board(key: string, fly: (signal: AbortSignalLike) => Promise<T>): Seat<T> {
    const flight = this.#flights.get(key) ?? this.#takeOff(key, fly);
    flight.waiters += 1;
    let seated = true;
    return {
      landing: flight.landing,
      leave: () => {
        if (!seated) return;
        seated = false;
        flight.waiters -= 1;
        if (flight.waiters > 0 || this.#flights.get(key) !== flight) return;
        this.#flights.delete(key);
        flight.controller.abort();
      },
    };
  }

  /** Ends every flight. */
  ground(): void {
    for (const flight of this.#flights.values()) flight.controller.abort();
    this.#flights.clear();
  }

  #takeOff(key: string, fly: (signal: AbortSignalLike) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const landing = fly(controller.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    // Whoever waits sees the rejection; a flight that the last waiter left ends unseen.
    landing.catch(() => {});
    const flight: Flight<T> = { landing, controller, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}
