/**
 * Why a handshake or an exchange ended without what was asked for.
 *
 * Rules of this file: a failure holds facts and no prose, no `Error` and no secret; `describe` is the one place with
 * English, `blame` the one place that says whose fault it is. A kind added here must be added to `model/alphabet.ts`.
 */

import type { CredentialFault } from './credential.ts';
import type { TokenFault } from './grant.ts';
import type { exposeChallenge, Problem } from './message.ts';
import type { RealmPair, Scheme } from './policy.ts';
import type { ContactReason, ReleaseReason } from './realm.ts';
import type { Bound, RedirectReason } from './redirect.ts';

/** Where a request without a response ended. */
export type NetworkPhase = 'lookup' | 'connect' | 'tls' | 'send' | 'head' | 'body' | 'unknown';

/**
 * Whether a network failure's code is this client's own (`ERR_REG_…`): it did not go there, for a reason that trying again
 * does not change.
 */
export function isOwnRefusal(code: string): boolean {
  return code.startsWith('ERR_REG_');
}

export type Failure =
  /** A 401 that names no challenge this client can answer (requirement 6, Q05, Q06). */
  | {
      readonly kind: 'challenge-unusable';
      readonly url: string;
      readonly reason: 'absent' | 'malformed' | 'unsupported-scheme' | 'no-realm';
      /** Schemes that were offered, as sent but lower-cased. */
      readonly offered: readonly string[];
      readonly problems: readonly { readonly offset: number; readonly message: string }[];
    }
  /** A 401 to a request of a page, which the platform does not let see the challenge in it (WHATWG Fetch, CORS). */
  | {
      readonly kind: 'challenge-hidden';
      readonly url: string;
      /** What the registry, or a proxy before it, must add to its answers. */
      readonly line: typeof exposeChallenge;
    }
  /** Basic from an origin that uses Bearer with a token server elsewhere: the password stays here. */
  | {
      readonly kind: 'scheme-downgrade';
      readonly url: string;
      readonly registry: string;
      /** The token server the origin offered before, or `null` when a pair names the registry. */
      readonly realm: string | null;
    }
  /** The realm may not be contacted by anyone. */
  | {
      readonly kind: 'realm-forbidden';
      readonly registry: string;
      readonly realm: string;
      readonly reason: ContactReason;
    }
  /** The realm may not have this registry's credential; `pair` is the line that would allow it. */
  | {
      readonly kind: 'realm-untrusted';
      readonly registry: string;
      readonly realm: string;
      readonly reason: ReleaseReason;
      readonly pair: RealmPair;
    }
  /** A secret would travel over plain http (requirement 95). */
  | { readonly kind: 'insecure-transport'; readonly url: string; readonly host: string }
  /** A credential is needed and there is none. */
  | {
      readonly kind: 'credential-missing';
      readonly registry: string;
      readonly scheme: Scheme;
      /** The token server that refused an anonymous request, or `null` for Basic. */
      readonly realm: string | null;
      readonly status: number;
      readonly problems: readonly Problem[];
    }
  /** The credential was sent and refused. */
  | {
      readonly kind: 'credential-rejected';
      readonly registry: string;
      readonly scheme: Scheme;
      readonly realm: string | null;
      readonly status: number;
      /** Whether `rejectedCredential: 'anonymous-pull'` would have gone on without it. */
      readonly anonymousPull: boolean;
      readonly problems: readonly Problem[];
    }
  /** The credential cannot be put into a header or form. */
  | {
      readonly kind: 'credential-unusable';
      readonly registry: string;
      readonly scheme: Scheme;
      readonly reason: CredentialFault;
    }
  /** The keychain failed: a helper is missing, a file cannot be read. */
  | { readonly kind: 'credential-unavailable'; readonly registry: string; readonly message: string }
  /** The token server answered with an error status. */
  | {
      readonly kind: 'token-refused';
      readonly registry: string;
      readonly realm: string;
      readonly status: number;
      readonly asked: string;
      readonly anonymous: boolean;
      readonly problems: readonly Problem[];
    }
  /** The token server answered 2xx with something that is no token. */
  | {
      readonly kind: 'token-invalid';
      readonly registry: string;
      readonly realm: string;
      readonly status: number;
      readonly reason: TokenFault;
    }
  /** The token server answered with a redirect; token requests follow none. */
  | {
      readonly kind: 'token-redirected';
      readonly registry: string;
      readonly realm: string;
      readonly status: number;
      /** Origin of `Location`, or `null` when there is none that parses. */
      readonly location: string | null;
    }
  /** The token server answered 429 and the wait does not fit the deadline. */
  | {
      readonly kind: 'rate-limited';
      readonly registry: string;
      readonly realm: string;
      /** Milliseconds the server asked to wait, or `null` when it did not say. */
      readonly retryAfterMs: number | null;
      readonly problems: readonly Problem[];
    }
  /** The registry's own 401 or 403 to a request that carried what could be had. */
  | {
      readonly kind: 'denied';
      readonly url: string;
      readonly status: number;
      readonly reason:
        | 'insufficient-scope'
        | 'token-refused'
        /** A token was refused, and the challenge that would say why is hidden from the page. */
        | 'challenge-hidden'
        | 'forbidden'
        | 'redirect-target'
        | 'caller-authorization';
      readonly asked: string;
      readonly challenged: string;
      readonly granted: string | null;
      readonly anonymous: boolean;
      readonly problems: readonly Problem[];
    }
  /** A 401 after a body that cannot be sent twice. */
  | { readonly kind: 'body-spent'; readonly url: string }
  | {
      readonly kind: 'redirect-refused';
      readonly from: string;
      /** Origin and path of the target; its query may hold a signature. */
      readonly to: string;
      readonly reason: RedirectReason;
      readonly hops: number;
      /** Of a `hidden` one: what binds the request to its origin, so that no platform may follow either. */
      readonly bound?: Bound;
    }
  /** `policy.limits.grants` were asked for and the registry still wants another. */
  | { readonly kind: 'limit'; readonly url: string; readonly limit: 'grants'; readonly max: number }
  | {
      readonly kind: 'network';
      readonly url: string;
      readonly to: 'registry' | 'authority';
      readonly phase: NetworkPhase;
      readonly code: string;
      readonly message: string;
    }
  /** Obtaining a grant took longer than `policy.deadlineMs`. */
  | {
      readonly kind: 'deadline';
      readonly registry: string;
      readonly realm: string | null;
      readonly ms: number;
    };

export type FailureKind = Failure['kind'];
