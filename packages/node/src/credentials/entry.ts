/**
 * An entry of a config: what is kept for one registry.
 *
 * Rules of this file: an entry gives one credential or none; what cannot be sent as it stands is an error, nothing is repaired
 * but the padding that Docker writes; `registrytoken` over `identitytoken` over `auth` over user name and password.
 */

import type { Credential } from '@reg/core';
import { isObject, shown, textIn } from './config.ts';
import { CredentialsError } from './error.ts';

/** The credential of the entry `key`; `null` for an empty one, which marks a helper's (requirement 107, Q66). */
export function credentialIn(path: string, key: string, entry: unknown): Credential | null {
  const at = `the entry ${shown(key)}`;
  if (!isObject(entry)) throw new CredentialsError(path, `${at} is not an object`);
  const text = (name: string): string => textIn(path, entry, name, ` of ${at}`);
  const registry = text('registrytoken');
  if (registry !== '') return { type: 'registry', token: registry };
  const identity = text('identitytoken');
  if (identity !== '') return { type: 'identity', token: identity };
  const auth = text('auth');
  if (auth !== '') {
    const login = decodeAuth(auth);
    if (login === null) throw new CredentialsError(path, `"auth" of ${at} is not base64 of user:password`);
    return sendable(path, at, login);
  }
  const username = text('username');
  const password = text('password');
  if (username !== '') return sendable(path, at, { type: 'password', username, password });
  if (password !== '') throw new CredentialsError(path, `${at} has a password and no user name`);
  return null;
}

/** `credential`, unless no header may hold it (RFC 7617 §2, requirement 102). `at` says whose it is. */
export function sendable(path: string, at: string, credential: Credential): Credential {
  if (credential.type !== 'password') return credential;
  const { username, password } = credential;
  if (hasControl(username) || hasControl(password)) {
    throw new CredentialsError(path, `${at} has a control character in its user name or password`);
  }
  // Whoever reads the header takes the first colon for the end of the name (RFC 7617 §2).
  if (username.includes(':')) throw new CredentialsError(path, `${at} has a colon in its user name`);
  return credential;
}

/** User name and password of an `auth` member (requirement 106), or `null`. What Buffer alone would skip is refused. */
function decodeAuth(auth: string): Credential | null {
  const encoded = auth.replaceAll('\r', '').replaceAll('\n', '');
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('base64') === encoded ? utf8(bytes) : null;
  const colon = text?.indexOf(':') ?? -1;
  if (text === null || colon < 1) return null;
  return { type: 'password', username: text.slice(0, colon), password: trimNul(text.slice(colon + 1)) };
}

/** Docker pads some passwords (Q72). */
function trimNul(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}

/** `bytes` as text, or `null`: what is replaced in a password makes another one. */
function utf8(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** C0, DEL and C1. */
export function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || (unit >= 0x7f && unit <= 0x9f)) return true;
  }
  return false;
}
