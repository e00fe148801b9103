/** What a page or a worker may set. */

import type { PartialPolicy } from '@reg/core';
import type { AuthorizerOptions, Keychain, TokenCache, TokenStore } from '@reg/core/driver';

export interface RegistryFetchOptions {
  /** Where credentials come from. Without one every token is asked for anonymously. */
  readonly keychain?: Keychain;
  /** Laid over `defaultPolicy`; `redirects.mode` is `platform` in a browser, which hides where a redirect leads, unless set here. */
  readonly policy?: PartialPolicy;
  /** Tokens in memory, to share them between several clients. */
  readonly cache?: TokenCache;
  /** Tokens and challenges that outlive the page. */
  readonly store?: TokenStore;
  /** Told each step of each handshake, without secrets. What it throws is ignored. */
  readonly onStep?: NonNullable<AuthorizerOptions<unknown>['onStep']>;
  /** Sent where the caller sets none. Default `reg-browser`; in a page what the browser sends, any other needs a preflight. */
  readonly userAgent?: string;
  /** `client_id` of OAuth2 token requests. Default `reg`. */
  readonly clientId?: string;
  /**
   * What registries would say in `WWW-Authenticate`, by origin, where a page may not read it:
   * `{ 'https://registry.example': 'Bearer realm="https://auth.example/token",service="registry.example"' }`.
   */
  readonly challenges?: Readonly<Record<string, string>>;
  /** What puts requests on the wire. Default: the platform's `fetch`, as it is when the client is made. */
  readonly fetch?: typeof fetch;
}
