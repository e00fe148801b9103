/**
 * When a credential ends, read from the credential itself.
 *
 * Rules of this file: nothing is asked of anybody and nothing is verified: the end that a credential states is told, and of one
 * that states none nothing is known. Bounded: what is longer than any credential is not taken apart.
 */

import type { Credential } from '@reg/core';
import { isObject, member } from './config.ts';

/** As long as what is saved (`saveCredential`). */
const longestText = 16_384;

/**
 * The end of `credential`, in epoch milliseconds of the wall clock, as it states it itself: the password that ECR hands out for
 * 12 hours, and JSON Web Tokens (`exp`, RFC 7519 §4.1.4) such as Azure's and GitLab's. `null` for any other: what is not stated
 * is not guessed.
 */
export function expiryOf(credential: Credential): number | null {
  const secret = credential.type === 'password' ? credential.password : credential.token;
  if (secret.length > longestText) return null;
  const isEcr = credential.type === 'password' && credential.username === 'AWS';
  const seconds = isEcr ? member(jsonIn(secret, 'base64'), 'expiration') : expOf(secret);
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return null;
  // As far as a date goes (ECMA-262 §21.4.1.1).
  return seconds <= 8.64e12 ? Math.round(seconds * 1_000) : null;
}

function expOf(token: string): unknown {
  const [header = '', payload = '', signature, more] = token.split('.', 4);
  if (signature === undefined || more !== undefined) return null;
  if (member(jsonIn(header, 'base64url'), 'alg') === undefined) return null;
  return member(jsonIn(payload, 'base64url'), 'exp');
}

/** The object whose JSON is encoded in `text`; an empty one where there is none. */
function jsonIn(text: string, encoding: 'base64' | 'base64url'): object {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, encoding).toString());
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
