/**
 * What a stored entry is called and looks like.
 *
 * Rules of this file: a name is a keyed digest of all of the key, the credential included, so that equal names mean equal
 * credentials and a name tells nothing to who has not the secret; an entry is bound to its name by the same secret, so that
 * one that was torn, copied, renamed or edited is none; every field is checked all the same, since another version may have
 * written it.
 */

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Challenged, Credential } from '@reg/core';
import { readHint, type StoreKey } from '@reg/core/driver';

/** By what a token was obtained. Nothing of a secret. */
export interface Holder {
  readonly type: 'anonymous' | Credential['type'];
  /** Of a password; else `null`. */
  readonly username: string | null;
}

/** What a file holds. Times are epoch milliseconds on the wall clock. */
export type Kept = {
  /** Origin. */
  readonly registry: string;
  readonly obtainedAt: number;
  readonly expiresAt: number;
} & (
  | { readonly kind: 'challenge'; readonly hint: Challenged }
  | {
      readonly kind: 'grant';
      readonly token: string;
      readonly asked: string;
      readonly granted: string | null;
      readonly holder: Holder;
    }
);

/** Bytes of a seal, in hexadecimal, and the line break after it. */
const sealLength = 65;

/** Another layout of names or entries takes another number, and leaves what has this one alone until it ends. */
const layout = 'reg token store 1';

/** The name of the file for `key`: 64 hexadecimal digits, the same on file systems that fold case. */
export function nameOf(key: StoreKey, secret: Uint8Array): string {
  return digest(secret, JSON.stringify([layout, 'name', ...partsOf(key)]));
}

/** The content of the file `name`. */
export function seal(name: string, kept: Kept, secret: Uint8Array): Buffer {
  const text = JSON.stringify(kept);
  return Buffer.from(`${sealOf(name, text, secret)}\n${text}`);
}

/** What the file `name` holds, or `null` when it is not what `seal` made for that name. */
export function unseal(name: string, content: Buffer, secret: Uint8Array): Kept | null {
  const text = content.toString('utf8', sealLength);
  const right = Buffer.from(`${sealOf(name, text, secret)}\n`);
  const found = content.subarray(0, sealLength);
  if (found.length !== right.length || !timingSafeEqual(found, right)) return null;
  return readKept(text);
}

function sealOf(name: string, text: string, secret: Uint8Array): string {
  return digest(secret, JSON.stringify([layout, 'entry', name, text]));
}

function digest(secret: Uint8Array, text: string): string {
  return createHmac('sha256', secret).update(text).digest('hex');
}

/** All of a key, in an order that does not hang on how the object was made. */
function partsOf(key: StoreKey): readonly unknown[] {
  switch (key.kind) {
    case 'challenge':
      return [key.kind, key.origin];
    case 'grant':
      return [key.kind, key.registry, key.realm, key.service, key.scopes, credentialParts(key.credential)];
  }
}

/** Whose a grant is that was obtained with `credential`. */
export function holderOf(credential: Credential | null): Holder {
  if (credential === null) return { type: 'anonymous', username: null };
  return { type: credential.type, username: credential.type === 'password' ? credential.username : null };
}

function credentialParts(credential: Credential | null): unknown {
  switch (credential?.type) {
    case undefined:
      return null;
    case 'password':
      return [credential.type, credential.username, credential.password];
    case 'identity':
    case 'registry':
      return [credential.type, credential.token];
  }
}

function readKept(text: string): Kept | null {
  const body = parseObject(text);
  if (body === null) return null;
  const [kind, registry] = [member(body, 'kind'), member(body, 'registry')];
  const [obtainedAt, expiresAt] = [member(body, 'obtainedAt'), member(body, 'expiresAt')];
  if (typeof registry !== 'string' || !isTime(obtainedAt) || !isTime(expiresAt)) return null;
  const common = { registry, obtainedAt, expiresAt };
  if (kind === 'challenge') {
    const hint = readHint(member(body, 'hint'));
    return hint === null ? null : { kind, ...common, hint };
  }
  const [token, asked, granted] = [member(body, 'token'), member(body, 'asked'), member(body, 'granted')];
  if (kind !== 'grant' || typeof token !== 'string' || !isVisibleAscii(token)) return null;
  const holder = readHolder(member(body, 'holder'));
  if (typeof asked !== 'string' || !isTextOrNull(granted) || holder === null) return null;
  return { kind, ...common, token, asked, granted, holder };
}

function readHolder(holder: unknown): Holder | null {
  if (typeof holder !== 'object' || holder === null) return null;
  const [type, username] = [member(holder, 'type'), member(holder, 'username')];
  if (!isTextOrNull(username)) return null;
  switch (type) {
    case 'anonymous':
    case 'password':
    case 'identity':
    case 'registry':
      return { type, username };
    default:
      return null;
  }
}

function parseObject(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

/** An own member: a polluted `Object.prototype` must not become a token. */
function member(body: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(body, name)?.value;
}

/** JSON has numbers that are infinite: `1e999`. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** A token with a line break or a space in it would be a header of its writer's. */
function isVisibleAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x21 || unit > 0x7e) return false;
  }
  return text !== '';
}
