/**
 * A grant: what lets a request through, where it may be used, and how long.
 *
 * Rules of this file: a grant is plain data but for its `Secret`s; its life counts from the moment the token request was
 * sent, on the caller's monotonic clock; nothing a token server says can make a grant live longer than a day.
 */

import { isBearerToken } from './credential.ts';
import type { Scheme } from './policy.ts';
import { coversScopes, formatScopes, parseScopes, type Scope } from './scope.ts';
import type { Secret } from './secret.ts';

/** What a request carries in its `Authorization` header. */
export type Authorization =
  | { readonly scheme: 'basic'; readonly username: string; readonly password: Secret }
  | { readonly scheme: 'bearer'; readonly token: Secret };

/** Whose credential a grant was obtained with: 0 is nobody's, others are interned by the driver. */
export type Principal = number;

export const anonymous: Principal = 0;

/** What the handshake asks the seam for. */
export interface Need {
  /** Origin the grant is for. */
  readonly registry: string;
  readonly scheme: Scheme;
  /** Absolute URL of the token server as challenged; `null` for Basic. */
  readonly realm: string | null;
  readonly service: string | null;
  /** All scopes to ask for, the challenge's first. */
  readonly scopes: readonly Scope[];
  /** Those of `scopes` that the challenge itself named. */
  readonly challenged: readonly Scope[];
  /** Repository the request is about, for namespaced credentials. */
  readonly repository: string | null;
  /** A redirect target: no credential may be looked up for it. */
  readonly anonymous: boolean;
}

export interface Grant {
  readonly authorization: Authorization;
  readonly registry: string;
  readonly realm: string | null;
  readonly service: string | null;
  readonly principal: Principal;
  /** `credential` when the header is made of the user's credential itself, so that a refusal refuses the credential. */
  readonly from: 'exchange' | 'credential';
  /** What was asked for. */
  readonly asked: readonly Scope[];
  /** What the token server said it granted, or `null` when it did not say. */
  readonly granted: readonly Scope[] | null;
  /** Epoch milliseconds at which the token request was sent. */
  readonly obtainedAt: number;
  /** Epoch milliseconds, or `null` when it has no end (Basic, a ready bearer token). */
  readonly expiresAt: number | null;
}

/** Why a token response holds no token. */
export type TokenFault = 'too-large' | 'not-json' | 'no-token' | 'not-a-token';

/** What a token response says. Times are epoch milliseconds. */
export type TokenResponse =
  | {
      readonly ok: true;
      readonly token: string;
      readonly expiresAt: number;
      /** Scopes the server says it granted, or `null`. */
      readonly granted: readonly Scope[] | null;
      readonly refreshToken: string | null;
      /** `issued_at` as sent, for the report; it never decides anything (Q26). */
      readonly issuedAt: string | null;
    }
  | { readonly ok: false; readonly reason: TokenFault };

/** The lifetime the token specification gives a token that states none, in seconds. */
const defaultLifetime = 60;
const longestLifetime = 86_400;

/**
 * Reads the body of a token server's 200 answer (distribution "Token Authentication", "OAuth2 Token Authentication").
 * The `Content-Type` is not looked at (Q39), a byte order mark is skipped, unknown members are ignored.
 *
 * @param text decoded body
 * @param at epoch milliseconds at which the request was sent: the life of the token counts from there
 */
export function readTokenResponse(text: string, at: number): TokenResponse {
  const body = parseObject(text);
  if (body === null) return { ok: false, reason: 'not-json' };
  // Every known client prefers `access_token`; either may be missing or empty (requirement 69, Q24).
  const token = member(body, 'access_token') || member(body, 'token');
  if (token === undefined || token === null || token === '') return { ok: false, reason: 'no-token' };
  // A header value with CR, LF or a space in it would be the server writing our headers (requirement 81).
  if (typeof token !== 'string' || !isBearerToken(token)) return { ok: false, reason: 'not-a-token' };
  const scope = member(body, 'scope');
  const refreshToken = member(body, 'refresh_token');
  const issuedAt = member(body, 'issued_at');
  return {
    ok: true,
    token,
    expiresAt: at + lifetime(member(body, 'expires_in')) * 1000,
    granted: typeof scope === 'string' && scope !== '' ? parseScopes(scope) : null,
    refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : null,
    issuedAt: typeof issuedAt === 'string' ? issuedAt : null,
  };
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/** An own member: a polluted `Object.prototype` must not become a token. */
function member(body: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(body, name)?.value;
}

/** Seconds: a number or decimal string in [1, 86400], else the specification's default (requirements 71, 77). */
function lifetime(value: unknown): number {
  const seconds =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && isDecimal(value)
        ? Number(value)
        : Number.NaN;
  return seconds >= 1 && seconds <= longestLifetime ? seconds : defaultLifetime;
}

function isDecimal(text: string): boolean {
  if (text === '' || text.length > 9) return false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x30 || unit > 0x39) return false;
  }
  return true;
}

/** Milliseconds for which the grant may still be sent; infinite when it has no end. */
export function timeLeft({ expiresAt }: Grant, at: number): number {
  return expiresAt === null ? Number.POSITIVE_INFINITY : Math.max(0, expiresAt - at);
}

/**
 * Whether a new grant should be sought although this one is alive: the last tenth of its life, 30 s at most, so that a
 * token of 60 s (the default) is used for 54 s and one of an hour for all but half a minute.
 */
export function isDue(grant: Grant, at: number): boolean {
  const life = timeLeft(grant, grant.obtainedAt);
  return timeLeft(grant, at) <= Math.min(life / 10, 30_000);
}

/** Whether a refusal at `at` may be blamed on age: clocks differ, and some registries answer an old token with 400 (Q43). */
export function isNearExpiry(grant: Grant, at: number): boolean {
  return timeLeft(grant, at) <= 10_000;
}

/** Whether `grant` was given for all of `scopes`: by the server's word if it gave one, else by what was asked. */
export function grantCovers(grant: Grant, scopes: readonly Scope[]): boolean {
  return coversScopes(grant.granted ?? grant.asked, scopes);
}

/**
 * The key under which a grant is held: a grant is never used for another registry, token server, service, principal or
 * set of scopes than these (GHSA-xf85-363p-868w and the cache cases of the same family).
 */
export function grantKey(need: Need, principal: Principal): string {
  return JSON.stringify([
    need.registry,
    need.scheme,
    need.realm,
    need.service,
    principal,
    canonicalScopes(need.scopes),
  ]);
}

/** One text for one set of scopes, in whatever order they were asked for. */
export function canonicalScopes(scopes: readonly Scope[]): string {
  return formatScopes(scopes.length < 2 ? scopes : [...scopes].sort(byText));
}

function byText(a: Scope, b: Scope): number {
  const [left, right] = [formatScopes([a]), formatScopes([b])];
  return left < right ? -1 : left > right ? 1 : 0;
}
