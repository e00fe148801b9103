/**
 * Which dispatcher sends a request, and where a dispatcher sends what it is given.
 *
 * Rules of this file: a dispatcher that the program chose, for this client or for all, is used; a `Client` or `Pool` sends
 * everything to its own origin, whatever the request says. A token request has the password in it, so it is asked first.
 */

import { isDeepStrictEqual } from 'node:util';
import { Agent, type Dispatcher, getGlobalDispatcher } from 'undici';
import { defaultAgent } from './agent.ts';

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

/** What undici made when it was loaded, unless the program was faster. */
const initial = getGlobalDispatcher();
/** Whether it is; found out when it is first asked. */
let isUndicis: boolean | null = null;

/**
 * Whether this is an `Agent` made without options, as undici's own is. undici keeps options under symbols that it shows to
 * nobody: where they are not found, the program is taken to have chosen.
 */
function isBare(dispatcher: Dispatcher): boolean {
  const bare = new Agent();
  return (
    Object.getPrototypeOf(dispatcher) === Agent.prototype &&
    ['options', 'factory'].every((name) => {
      const kept = Object.getOwnPropertySymbols(bare).find(({ description }) => description === name);
      return kept !== undefined && isDeepStrictEqual(Reflect.get(dispatcher, kept), Reflect.get(bare, kept));
    })
  );
}

/** undici's global dispatcher, if the program has set it, or composed or patched the one that undici set. */
function chosenGlobally(): Dispatcher | null {
  const dispatcher = getGlobalDispatcher();
  if (dispatcher !== initial || dispatcher.dispatch !== Agent.prototype.dispatch) return dispatcher;
  isUndicis ??= isBare(initial);
  return isUndicis ? null : dispatcher;
}

/** Chooses what sends each request of a client that was given this dispatcher, or none. */
export function dispatcherFor(
  given: Dispatcher | undefined,
): (url: string, to: 'registry' | 'authority') => Dispatcher {
  let known: { readonly dispatcher: Dispatcher; readonly bound: string | null | undefined } | null = null;
  return (url, to) => {
    const dispatcher = given ?? chosenGlobally() ?? defaultAgent();
    if (known?.dispatcher !== dispatcher) known = { dispatcher, bound: boundOrigin(dispatcher) };
    return servesOrigin(known.bound, url, to) ? dispatcher : defaultAgent();
  };
}
