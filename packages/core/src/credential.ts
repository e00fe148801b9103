/**
 * The three credential kinds, and what RFC 7617 lets into a Basic header.
 *
 * Rules of this file: a credential that cannot be sent is refused here, before any machine holds it; nothing is repaired.
 */

import type { Scheme } from './policy.ts';

/**
 * What a user has for a registry.
 *
 * - `password`: a user name with a password or an access token in its place.
 * - `identity`: an OAuth2 refresh token (`identitytoken` in a Docker config, the secret of the user `<token>` in a helper).
 * - `registry`: a ready bearer token (`registrytoken`), sent as it is.
 */
export type Credential =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  | { readonly type: 'identity'; readonly token: string }
  | { readonly type: 'registry'; readonly token: string };

/** What a token server may be shown: a registry token is ready, and no matter for an exchange. */
export type Exchangeable = Exclude<Credential, { type: 'registry' }>;

/** Why a credential cannot be used for a scheme. */
export type CredentialFault =
  | 'empty'
  | 'too-long'
  | 'colon-in-username'
  | 'control-character'
  | 'lone-surrogate'
  | 'not-a-token'
  | 'identity-token-for-basic'
  | 'registry-token-for-basic';

/** UTF-16 units of a user name, a password or a token: Node, like most servers, takes 16 KiB of header fields in all. */
export const longestSecret = 16_384;

/**
 * Why `credential` cannot answer a challenge of `scheme`, or `null` when it can (RFC 7617 §2, RFC 6750 §2.1).
 * A password answers both schemes, so the same refusals hold for both.
 */
export function credentialFault(credential: Credential, scheme: Scheme): CredentialFault | null {
  switch (credential.type) {
    case 'password':
      // No registry takes a name alone, and each refused try counts towards a lock-out.
      if (credential.password === '') return 'empty';
      if (credential.username.includes(':')) return 'colon-in-username';
      return textFault(credential.username) ?? textFault(credential.password);
    case 'identity':
      if (scheme === 'basic') return 'identity-token-for-basic';
      return credential.token === '' ? 'empty' : textFault(credential.token);
    case 'registry':
      if (scheme === 'basic') return 'registry-token-for-basic';
      if (credential.token === '') return 'empty';
      if (credential.token.length > longestSecret) return 'too-long';
      return isBearerToken(credential.token) ? null : 'not-a-token';
  }
}

/**
 * RFC 7617 §2 forbids control characters, and the profiles its §2.1 names forbid those of C1 too (RFC 8265 §4); a lone
 * surrogate has no UTF-8 form and would become another password.
 */
function textFault(text: string): CredentialFault | null {
  if (text.length > longestSecret) return 'too-long';
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) return 'control-character';
    if (unit >= 0xd800 && unit <= 0xdfff) {
      const next = text.charCodeAt(i + 1);
      if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return 'lone-surrogate';
      i++;
    }
  }
  return null;
}

/** Whether `text` is a `b64token` (RFC 6750 §2.1): what may stand after `Bearer `. */
export function isBearerToken(text: string): boolean {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0x3d) end--;
  if (end === 0) return false;
  for (let i = 0; i < end; i++) {
    const unit = text.charCodeAt(i);
    const alphanumeric =
      (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
    if (!alphanumeric && !'-._~+/'.includes(text.charAt(i))) return false;
  }
  return true;
}

/** The value of an `Authorization: Basic` header, in UTF-8 (RFC 7617 §2.1). */
export function basicValue(username: string, password: string): string {
  let bytes = '';
  for (const byte of new TextEncoder().encode(`${username}:${password}`)) bytes += String.fromCharCode(byte);
  return `Basic ${btoa(bytes)}`;
}

/** One text for one credential: equal kind, user and secret give equal texts. It holds the secret: a key for memory only. */
export function credentialKey(credential: Credential): string {
  switch (credential.type) {
    case 'password':
      return JSON.stringify(['password', credential.username, credential.password]);
    case 'identity':
    case 'registry':
      return JSON.stringify([credential.type, credential.token]);
  }
}
