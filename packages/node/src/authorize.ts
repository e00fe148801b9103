/**
 * Headers for a client of one's own.
 *
 * Rules of this file: nothing of the caller's is sent; what is sent is a ping and token requests, through the dispatcher that was
 * given; a header that a registry refused is given out again only if it is a new one.
 */

import { type Authorized, createAuthorizer } from '@reg/core/driver';
import { channels } from './diagnostics.ts';
import type { RegistryFetchOptions } from './fetch.ts';
import type { Leg } from './leg.ts';
import { defaultUserAgent } from './options.ts';
import { dispatcherFor } from './origin.ts';
import { type Carried, createSend } from './send.ts';

/** A request that a header is wanted for. */
export interface AuthorizeRequest {
  readonly url: string | URL;
  /** Default `GET`. */
  readonly method?: string;
  /** What to ask for, in place of what the method needs at this URL: `repository:team/app:pull,push`. */
  readonly scopes?: string;
  /** A header from here that the registry answered with 401: it ended early or was revoked, and another is wanted. */
  readonly refused?: string | null;
  readonly signal?: AbortSignal;
}

export interface RegistryAuthorizer {
  /**
   * The `Authorization` that a request needs, from memory where there is one; `header: null` when the registry asks for none. On
   * an unknown origin this pings `/v2/` once.
   *
   * The header is a secret for the origin of `url`, and for no host that origin redirects to.
   *
   * @throws RegistryAuthError when there is none to be had, no other than the one that was `refused` included; the signal's
   *   reason when it aborts
   */
  authorize(request: AuthorizeRequest): Promise<Authorized>;
  /** Forgets tokens, challenges and credentials of one registry, or of all. */
  forget(origin?: string): void;
}

/** Authorizes requests that another HTTP client sends. Each call of this has a memory of its own, unless `cache` is shared. */
export function createRegistryAuthorizer(options: RegistryFetchOptions = {}): RegistryAuthorizer {
  const { dispatcher, userAgent = defaultUserAgent, ...core } = options;
  const choose = dispatcherFor(dispatcher);
  const send = createSend<Carried>(
    (wire, leg, { url, to }) => void choose(url, to).dispatch(wire, leg),
    userAgent,
  );
  const authorizer = createAuthorizer<Leg, Carried>({ ...core, channels, send });

  return {
    authorize: ({ refused = null, ...request }) =>
      authorizer.authorize(refused === null ? request : { ...request, refused }),
    forget: (origin) => authorizer.forget(origin),
  };
}
