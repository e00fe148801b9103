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
    /**
     * `judge` follows hop by hop. `platform` leaves it to a fetch that hides `Location`, for a GET or HEAD without headers of the
     * caller's own: what would take along more is judged where it can be, and refused where it is hidden.
     */
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

/**
 * Lays `partial` over `defaultPolicy`, one level deep; arrays replace. Origins and hosts are written as URLs spell them, so that
 * `https://Sso.example/` is the `https://sso.example` it means.
 *
 * @throws TypeError when a pair names no origin, or `insecureHosts` no `host[:port]`: it would match nothing, in silence
 */
export function completePolicy(partial: PartialPolicy = {}): Policy {
  const realms = { ...defaultPolicy.realms, ...partial.realms };
  return {
    ...defaultPolicy,
    ...partial,
    realms: { ...realms, pairs: realms.pairs.map(pairOf) },
    redirects: { ...defaultPolicy.redirects, ...partial.redirects },
    insecureHosts: (partial.insecureHosts ?? defaultPolicy.insecureHosts).map(hostOf),
    retry: { ...defaultPolicy.retry, ...partial.retry },
    limits: { ...defaultPolicy.limits, ...partial.limits },
  };
}

function pairOf({ registry, realm }: RealmPair, index: number): RealmPair {
  const at = `policy.realms.pairs[${index}]`;
  return { registry: originOf(registry, `${at}.registry`), realm: originOf(realm, `${at}.realm`) };
}

/**
 * The origin that `text` is.
 *
 * @throws TypeError that names the place (`at`) and not the text: a URL in the wrong place may hold a password
 */
export function originOf(text: string, at: string): string {
  const url = bareUrl(text);
  if (url !== null && (url.protocol === 'https:' || url.protocol === 'http:')) return url.origin;
  throw new TypeError(
    `[@reg/core] ${at} must be an origin, https://host or https://host:port, and nothing after it`,
  );
}

function hostOf(text: string, index: number): string {
  const url = text.includes('/') ? null : bareUrl(`http://${text}`);
  if (url !== null) return url.host;
  throw new TypeError(`[@reg/core] policy.insecureHosts[${index}] must be host or host:port`);
}

/** A URL that is all origin, or `null`. */
function bareUrl(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  const rest = url === null ? '' : url.username + url.password + url.search + url.hash;
  return url !== null && rest === '' && url.pathname === '/' ? url : null;
}
