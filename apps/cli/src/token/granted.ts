/**
 * What a token was asked for, and what it is good for.
 *
 * Rules of this file: facts of a transcript and of the token itself. What the token says counts before what its server said
 * beside it, since that is what the registry goes by; where neither says, nothing is made up.
 */

import { formatScopes, missingScopes, type Scope } from '@reg/core';
import type { Claims, ObtainedStep, Transcript } from '@reg/core/transcript';
import type { Again } from '../registry/argument.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';

/** The last grant of an operation. */
export type Granted = ObtainedStep & { readonly answer: { readonly type: 'granted' } };

export function grantIn({ steps }: Transcript): Granted | null {
  const step = steps.findLast((one) => one.phase === 'obtaining');
  return step !== undefined && isGranted(step) ? step : null;
}

function isGranted(step: ObtainedStep): step is Granted {
  return step.answer.type === 'granted';
}

export interface Extent {
  readonly asked: readonly Scope[];
  /** `null` where nobody says. */
  readonly granted: readonly Scope[] | null;
  readonly missing: readonly Scope[];
}

/** What was asked for and granted; a token that was there already, not exchanged for, was asked of nobody. */
export function extentOf({ effect, answer }: Granted, claims: Claims | null): Extent {
  const { grant } = answer;
  const asked = grant.from === 'exchange' ? effect.need.scopes : [];
  const granted = claims?.access ?? grant.granted;
  return { asked, granted, missing: granted === null ? [] : missingScopes(granted, asked) };
}

/** What the last token of a transcript says, where that was recorded. */
export function claimsIn({ steps }: Transcript): Claims | null {
  for (const step of steps.toReversed()) {
    if ('answer' in step && step.answer.type === 'token-response') return step.answer.claims ?? null;
  }
  return null;
}

/** Where the credential is from that was used; `null` when it was nobody's. */
export function sourceIn({ steps }: Transcript): string | null {
  const found = steps.findLast((step) => step.phase === 'credential')?.found ?? null;
  return found === null || found.type === 'anonymous' ? null : found.source;
}

/** The complaint about a token that is good for less than was asked for, or `null`. */
export function complaintAboutGrant(
  transcript: Transcript,
  claims: Claims | null,
  { login, doctor }: Pick<Again, 'login' | 'doctor'>,
): Complaint | null {
  const step = grantIn(transcript);
  const missing = step === null ? [] : extentOf(step, claims).missing;
  if (missing.length === 0) return null;
  const what = `not granted: ${formatScopes(missing)}`;
  return sourceIn(transcript) === null
    ? new Complaint(exitCode.unauthenticated, `${what}; the token was asked for without a credential`, {
        code: 'not-granted',
        hint: login,
      })
    : new Complaint(exitCode.denied, what, {
        code: 'not-granted',
        hint: `${doctor}   # finds out why`,
      });
}
