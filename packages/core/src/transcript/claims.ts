/**
 * What a token says of itself.
 *
 * Rules of this file:
 * 1. Claims are read by name from a list of what is known to be harmless: who issued the token, for whom, until when and for
 *    what. The names of the others are told and their values are not: some servers put another token into one, and by `jti`
 *    a server may find a token again.
 * 2. Nothing is verified, since only the registry has the key: what is said here decides nothing.
 * 3. The signature is not looked at, and no part of the token leaves this file but those claims.
 */

import { type Scope, unionScopes } from '../scope.ts';

/** Claims of a JWT (RFC 7519 §4.1; `access` as distribution's "Token Authentication Implementation" has it). */
export interface Claims {
  readonly issuer: string | null;
  readonly subject: string | null;
  readonly audience: readonly string[];
  /** Epoch milliseconds on the clock of whoever issued it, as the other two. */
  readonly issuedAt: number | null;
  readonly notBefore: number | null;
  readonly expiresAt: number | null;
  /** What it lets do; `null` when it does not say. */
  readonly access: readonly Scope[] | null;
  /** Names of the claims that are not shown. */
  readonly others: readonly string[];
}

/** Tells what a transcript may hold of a token: `null` for one that says nothing, `undefined` to hold nothing. */
export type ClaimsReader = (token: string) => Claims | null | undefined;

/** More than any token has, and a bound on what one can make a reader look at. */
const mostEntries = 100;

const known = new Set(['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'access']);

/** The claims of `token`, or `null` when it is opaque, which is no fault. Never throws. */
export function readClaims(token: string): Claims | null {
  const [header = '', payload = '', ...rest] = token.split('.');
  const claims = rest.length === 1 && jsonObject(header) !== null ? jsonObject(payload) : null;
  if (claims === null) return null;
  return {
    issuer: textIn(claims.get('iss')),
    subject: textIn(claims.get('sub')),
    audience: listIn(claims.get('aud')),
    issuedAt: timeIn(claims.get('iat')),
    notBefore: timeIn(claims.get('nbf')),
    expiresAt: timeIn(claims.get('exp')),
    access: accessIn(claims.get('access')),
    others: [...claims.keys()].filter((name) => !known.has(name)).slice(0, mostEntries),
  };
}

/** What `token` lets do, if it says so, and nothing else of it: for a transcript that tells what of a scope was granted. */
export function readAccess(token: string): Claims | undefined {
  const access = readClaims(token)?.access ?? null;
  return access === null ? undefined : { ...nothing, access };
}

const nothing: Claims = {
  issuer: null,
  subject: null,
  audience: [],
  issuedAt: null,
  notBefore: null,
  expiresAt: null,
  access: null,
  others: [],
};

/** The members of a JSON object in base64url (RFC 7515 §2), or `null`. */
function jsonObject(encoded: string): ReadonlyMap<string, unknown> | null {
  try {
    const binary = atob(encoded.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return isObject(value) ? new Map(Object.entries(value)) : null;
  } catch {
    return null;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textIn(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

/** One text, or the texts of a list (RFC 7519 §4.1.3). */
function listIn(value: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(value) ? value.slice(0, mostEntries) : [value];
  return values.flatMap((one) => textIn(one) ?? []);
}

/** The last second that a date can say, 9999-12-31T23:59:59Z. */
const lastSecond = 253_402_300_799;

/** Seconds since the epoch (RFC 7519 §2, "NumericDate") as milliseconds. */
function timeIn(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 && value <= lastSecond ? value * 1_000 : null;
}

/** An entry that cannot be written as a scope grants nothing that could be asked for. */
function accessIn(value: unknown): readonly Scope[] | null {
  if (!Array.isArray(value)) return null;
  const entries = value.slice(0, mostEntries).flatMap((entry: unknown): readonly Scope[] => {
    const members = new Map(isObject(entry) ? Object.entries(entry) : []);
    const [type, name] = [textIn(members.get('type')), textIn(members.get('name'))];
    const group = textIn(members.get('class'));
    const actions = listIn(members.get('actions'));
    if (type === null || name === null || ![type, name, group ?? '', ...actions].every(isWord)) return [];
    return [{ type, ...(group === null ? {} : { class: group }), name, actions }];
  });
  return unionScopes(entries, []);
}

/** Whether `text` has no blank in it, which would begin another scope, and no control character. */
function isWord(text: string): boolean {
  return [...text].every((char) => char > ' ' && char !== '\x7f');
}
