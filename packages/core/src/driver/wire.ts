/**
 * Where secrets become text.
 *
 * Rules of this file: it is the only one that may call `reveal` (lint); a header or a form is revealed for the very URL it
 * goes to; nothing here keeps what it made.
 */

import { basicValue } from '../credential.ts';
import type { RegistrySend, TokenSend } from '../effect.ts';
import type { Authorization } from '../grant.ts';
import type { HeaderList } from '../message.ts';
import { reveal, Secret } from '../secret.ts';

/** The header fields of a request, `authorization` and a form's `content-type` included. */
export function headersFor(effect: RegistrySend | TokenSend): HeaderList {
  const headers: (readonly [string, string])[] = effect.headers.map(([name, value]) => [
    name,
    value instanceof Secret ? reveal(value, effect.url) : value,
  ]);
  if (effect.to === 'authority' && effect.form !== null) {
    headers.push(['content-type', 'application/x-www-form-urlencoded']);
  }
  if (effect.authorization !== null)
    headers.push(['authorization', headerFor(effect.authorization, effect.url)]);
  return headers;
}

/** The value of an `Authorization` header for a request to `url`. */
export function headerFor(authorization: Authorization, url: string): string {
  return authorization.scheme === 'basic'
    ? basicValue(authorization.username, reveal(authorization.password, url))
    : `Bearer ${reveal(authorization.token, url)}`;
}

/** The text of a token request's form, or `null` when it has none. */
export function bodyFor(effect: RegistrySend | TokenSend): string | null {
  if (effect.to === 'registry' || effect.form === null) return null;
  const form = new URLSearchParams();
  for (const [name, value] of effect.form) {
    form.append(name, value instanceof Secret ? reveal(value, effect.url) : value);
  }
  return form.toString();
}

/** The text of a secret, for the store and the keychain that keep it and the recorder that hides it. */
export function textOf(secret: Secret): string {
  return reveal(secret, secret.origin);
}
