/**
 * Where a dispatcher sends what it is given.
 *
 * Rules of this file: a `Client` or `Pool` sends everything to its own origin, whatever the request says. A token request has the
 * password in it, so it is asked first.
 */

import type { Dispatcher } from 'undici';

/** The origin a dispatcher is bound to; `null` when it chooses by itself (`BalancedPool`), `undefined` when it is bound to none. */
export function boundOrigin(dispatcher: Dispatcher): string | null | undefined {
  let bound: string | null | undefined;
  // undici tells interceptors, and nobody else.
  dispatcher.compose((dispatch: Dispatcher['dispatch'], origin?: string | null) => {
    bound = origin;
    return dispatch;
  });
  return bound;
}

/** Whether a dispatcher bound like this takes a request for `url` there. One that chooses by itself has registries to choose from. */
export function servesOrigin(
  bound: string | null | undefined,
  url: string,
  to: 'registry' | 'authority',
): boolean {
  if (bound === undefined) return true;
  return bound === null ? to === 'registry' : new URL(url).origin === bound;
}
