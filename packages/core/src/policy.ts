/**
 * The policy: every choice a deployment may make, as plain data that prints, diffs and serialises.
 *
 * Rules of this file: no behaviour but laying a partial policy over the default, and no value that JSON cannot hold.
 * What the fields mean is decided where they are read: `realm.ts`, `redirect.ts`, `handshake.ts`, `exchange.ts`, `driver/`.
 * A value added here must be added to `model/alphabet.ts` too, or that file does not compile.
 */

import { type ChallengeLimits, challengeLimits } from './challenge.ts';

/** Schemes this client can answer. */
export type Scheme = 'bearer' | 'basic';

/** A registry and the token server that may see its users' credentials, both as origins. */
export interface RealmPair {
  readonly registry: string;
  readonly realm: string;
}

export interface Limits extends ChallengeLimits {
  /** Grants asked for in one handshake, redirects included. */
  readonly grants: number;
  /** Redirects followed for one request. */
  readonly hops: number;
  /** Decoded bytes of a token response. 128 KiB: the largest known token, a JWT with 100 scopes, is below 16 KiB. */
  readonly tokenBodyBytes: number;
  /** Decoded bytes of a registry's error body that are read for `problem`. */
  readonly problemBytes: number;
  /** Grants held in memory. */
  readonly cachedGrants: number;
  /** Origins whose challenge is remembered. */
  readonly origins: number;
}

export interface Retry {
  /** Sends of one token request, the first included. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
  /** Tokens in the bucket each token server has: a retry costs 5, after a timeout 10, a success gives 1 back. */
  readonly budget: number;
}

export interface Policy {
  /** Schemes to answer, in order of preference. */
  readonly schemes: readonly Scheme[];
  readonly realms: {
    /** `paired` releases a credential to the registry's own realm, an ancestor domain or a pair; `any-https` to any https realm. */
    readonly mode: 'paired' | 'any-https';
    /** Added to the built-in pairs. */
    readonly pairs: readonly RealmPair[];
  };
  readonly redirects: {
    /** `judge` follows hop by hop; `platform` leaves it to a fetch that hides `Location`. */
    readonly mode: 'judge' | 'platform';
    readonly max: number;
    /** At another origin: answer its challenge anonymously, send bare and answer nothing, or do not go there. */
    readonly crossOrigin: 'anonymous' | 'bare' | 'refuse';
  };
  /** `host:port` of registries that may speak http. Loopback always may. */
  readonly insecureHosts: readonly string[];
  /** What a refused credential means for a pull: failure, or one try without it. */
  readonly rejectedCredential: 'fail' | 'anonymous-pull';
  /** `prefer` POSTs a password as an OAuth2 grant first. An identity token is always POSTed. */
  readonly oauth2: 'identity-only' | 'prefer';
  /** Send `account=<username>` with a password, as Docker does. */
  readonly account: boolean;
  /** Milliseconds that obtaining one grant may take, look-up, waiting and retries included. */
  readonly deadlineMs: number;
  /** Of the token exchange; registry requests are never repeated for their status. */
  readonly retry: Retry;
  readonly limits: Limits;
}

/** A policy with any part left out. */
export type PartialPolicy = {
  readonly [K in keyof Policy]?: Policy[K] extends readonly unknown[] | string | number | boolean
    ? Policy[K]
    : Partial<Policy[K]>;
};

export const defaultPolicy: Policy = {
  schemes: ['bearer', 'basic'],
  realms: { mode: 'paired', pairs: [] },
  redirects: { mode: 'judge', max: 5, crossOrigin: 'anonymous' },
  insecureHosts: [],
  rejectedCredential: 'fail',
  oauth2: 'identity-only',
  account: true,
  deadlineMs: 30_000,
  retry: { attempts: 3, baseMs: 100, capMs: 20_000, budget: 500 },
  limits: {
    grants: 3,
    hops: 5,
    ...challengeLimits,
    tokenBodyBytes: 131_072,
    problemBytes: 4_096,
    cachedGrants: 10_000,
    origins: 1_000,
  },
};

/** Lays `partial` over `defaultPolicy`, one level deep; arrays replace. */
export function completePolicy(partial: PartialPolicy = {}): Policy {
  return {
    ...defaultPolicy,
    ...partial,
    realms: { ...defaultPolicy.realms, ...partial.realms },
    redirects: { ...defaultPolicy.redirects, ...partial.redirects },
    retry: { ...defaultPolicy.retry, ...partial.retry },
    limits: { ...defaultPolicy.limits, ...partial.limits },
  };
}
