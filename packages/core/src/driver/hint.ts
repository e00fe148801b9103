/**
 * What comes out of a store as the challenge of an origin.
 *
 * Rules of this file: a store may hold anybody's writing, and a password is sent to the realm that is read here once policy
 * allows it: only a hint that a handshake itself might have learnt is one. Own members alone are read: a polluted
 * `Object.prototype` must not become a realm.
 */

import type { Challenged } from '../handshake.ts';

/** The hint that `value`, parsed JSON of unknown origin, is; `null` when it is none. What a hint has not is left out. */
export function readHint(value: unknown): Challenged | null {
  if (typeof value !== 'object' || value === null) return null;
  const [scheme, realm] = [member(value, 'scheme'), member(value, 'realm')];
  const [service, elsewhere] = [member(value, 'service'), member(value, 'elsewhere')];
  if (!isTextOrNull(service) || !isTextOrNull(elsewhere)) return null;
  if (scheme === 'basic' && realm === null) return { scheme, realm, service, elsewhere };
  if (scheme === 'bearer' && typeof realm === 'string' && URL.canParse(realm)) {
    return { scheme, realm, service, elsewhere };
  }
  return null;
}

function member(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}
