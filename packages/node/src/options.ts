/**
 * The options that fetch and the interceptor share.
 *
 * Rules of this file: an option is the driver's, handed on; nothing is decided here.
 */

import type { PartialPolicy } from '@reg/core';
import type { AuthorizerOptions, Keychain, TokenCache, TokenStore } from '@reg/core/driver';
import type { TranscriptStep } from '@reg/core/transcript';

export interface RegistryOptions {
  /** Where credentials come from. Without one every token is asked for anonymously. */
  readonly keychain?: Keychain;
  readonly policy?: PartialPolicy;
  /** Grants in memory, to share them. */
  readonly cache?: TokenCache;
  /** Grants and challenges that outlive the process. */
  readonly store?: TokenStore;
  /** Told each step of each handshake, without secrets. */
  readonly onStep?: (step: TranscriptStep) => void;
  /** `User-Agent` of requests that bring none. Some registries refuse those without (Q57). Default `reg-node`. */
  readonly userAgent?: string;
  /** `client_id` of OAuth2 token requests. Default `reg`. */
  readonly clientId?: string;
}

/** The part of `options` that the driver takes. */
export function driverOptions(options: RegistryOptions): Omit<AuthorizerOptions<never>, 'send'> {
  const { keychain, policy, cache, store, onStep, clientId } = options;
  return {
    ...(keychain === undefined ? {} : { keychain }),
    ...(policy === undefined ? {} : { policy }),
    ...(cache === undefined ? {} : { cache }),
    ...(store === undefined ? {} : { store }),
    ...(onStep === undefined ? {} : { onStep }),
    ...(clientId === undefined ? {} : { clientId }),
  };
}

export const defaultUserAgent = 'reg-node';
