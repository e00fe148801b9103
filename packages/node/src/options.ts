/** What a service may set, for the interceptor and for fetch alike. */

import type { PartialPolicy } from '@reg/core';
import type { AuthorizerOptions, Keychain, TokenCache, TokenStore } from '@reg/core/driver';
import manifest from '../package.json' with { type: 'json' };

export interface RegistryOptions {
  /** Where credentials come from. Without one every token is asked for anonymously. */
  readonly keychain?: Keychain;
  /** Laid over `defaultPolicy`. */
  readonly policy?: PartialPolicy;
  /** Tokens in memory, to share them between several clients. */
  readonly cache?: TokenCache;
  /** Tokens and challenges that outlive the process. */
  readonly store?: TokenStore;
  /** Told each step of each handshake, without secrets. What it throws is ignored. */
  readonly onStep?: NonNullable<AuthorizerOptions<unknown>['onStep']>;
  /** Sent where the caller sets none. Default `reg-node/<version>`. */
  readonly userAgent?: string;
  /** `client_id` of OAuth2 token requests. Default `reg`. */
  readonly clientId?: string;
}

export const defaultUserAgent: string = `reg-node/${manifest.version}`;
