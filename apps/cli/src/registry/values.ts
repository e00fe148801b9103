/**
 * What the text of one option says: numbers, scopes, origins.
 *
 * Rules of this file: exactly what is meant, or a complaint; nothing is taken for a number that only begins like one.
 */

import { usage } from '../report/complaint.ts';

/** A day: longer is no timeout. */
const LONGEST_TIMEOUT = 86_400;

/** A whole number from `least` to `most`, for an option that counts. Throws a `Complaint` for any other text. */
export function readCount(option: string, text: string, most: number, least = 0): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= least && count <= most))
    throw usage(`${option} takes a whole number from ${least} to ${most}`);
  return count;
}

/** Seconds, more than 0, for an option. Throws a `Complaint` for any other text. */
export function readSeconds(option: string, text: string): number {
  // `Number` alone would take `0x10` and an empty text.
  const seconds = /^\d{1,15}(?:\.\d{1,15})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= LONGEST_TIMEOUT) return seconds;
  throw usage(`${option} takes seconds, more than 0 and at most ${LONGEST_TIMEOUT}`);
}

/** The scopes that were named, as one text. Throws a `Complaint` for what is none (RFC 6749 §3.3, `scope-token`). */
export function readScopes(scopes: readonly string[]): string {
  if (!scopes.every((scope) => /^[!#-[\]-~]+$/.test(scope)))
    throw usage('--scope takes one scope, like repository:o/app:pull,push; for more it is repeated');
  return scopes.join(' ');
}

/** An origin of the web that `text` is and no more; `null` for what is none. */
export function originIn(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  return url !== null && web && url.href === `${url.origin}/` ? url.origin : null;
}
