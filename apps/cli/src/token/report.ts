/**
 * What `reg token` tells of a token.
 *
 * Rules of this file: pure; facts of the transcript and, of the token itself, what it says in its claims. The token is not part
 * of a report: whoever prints it takes it from where it is.
 */

import type { Scope } from '@reg/core';
import type { Authorized } from '@reg/core/driver';
import { type Claims, readClaims, type Transcript } from '@reg/core/transcript';
import { extentOf, type Granted, grantIn, sourceIn } from './granted.ts';

export interface Report {
  /** How the registry wants to know who asks; `null` when it does not. */
  readonly scheme: 'bearer' | 'basic' | null;
  /** Origin of the registry. */
  readonly registry: string;
  /** URL that the token was asked for at; `null` for a token that was there already, or none. */
  readonly realm: string | null;
  readonly service: string | null;
  /** Where the credential is from, or `null` when the token was asked for without one. */
  readonly credential: string | null;
  /** Whether no request to the token server was needed. */
  readonly cached: boolean;
  readonly asked: readonly Scope[];
  /** `null` when neither the token nor its server says. */
  readonly granted: readonly Scope[] | null;
  readonly missing: readonly Scope[];
  /** Epoch milliseconds, as all times here. `null`: nobody says. */
  readonly expiresAt: number | null;
  readonly at: number;
  /** `null` when the token is opaque, and where there is none. */
  readonly claims: Claims | null;
  /** How far the token's beginning is ahead of this machine's clock; 0 when it is not. */
  readonly aheadMs: number;
}

/** Tokens count in whole seconds: what is less than one ahead may be rounding. */
const ROUNDING_MS = 1_000;

/**
 * @param now wall-clock time, for what there is no grant for
 */
export function reportOn({ header, expiresAt }: Authorized, transcript: Transcript, now: number): Report {
  const granted = grantIn(transcript);
  const token = tokenIn(header);
  const claims = token === null ? null : readClaims(token);
  const at = granted?.answer.at ?? now;
  const { realm = null, service = null } = granted?.answer.grant ?? {};
  return {
    scheme: header === null ? null : token === null ? 'basic' : 'bearer',
    registry: new URL(transcript.request.url).origin,
    realm,
    service,
    credential: sourceIn(transcript),
    cached: isFromStore(granted, transcript),
    ...(granted === null || token === null
      ? { asked: [], granted: null, missing: [] }
      : extentOf(granted, claims)),
    expiresAt: expiresAt ?? claims?.expiresAt ?? null,
    at,
    claims,
    aheadMs: ahead(Math.max(claims?.issuedAt ?? 0, claims?.notBefore ?? 0) - at),
  };
}

/** The token of a header, or `null` when it holds none. */
export function tokenIn(header: string | null): string | null {
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length) : null;
}

/** A grant that was exchanged for, and not now. */
function isFromStore(granted: Granted | null, { steps }: Transcript): boolean {
  return granted?.answer.grant.from === 'exchange' && !steps.some((step) => step.machine === 'exchange');
}

function ahead(ms: number): number {
  return ms > ROUNDING_MS ? Math.round(ms) : 0;
}
