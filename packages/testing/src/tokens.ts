/**
 * Tokens: what one says, how it is written, and whether it is to be believed.
 *
 * Rules of this file: both forms say the same and are checked by the same function, against the clock that was given. An
 * opaque token is a row in a table; a signed one is an RS256 JWT as CNCF Distribution reads it (its auth spec, "jwt").
 */

import { generateKeyPair, type KeyObject, sign, verify, type X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { Scope, Subject } from './access.ts';
import { createCertificate } from './certificate.ts';
import { canary } from './tap.ts';

/** Times are epoch seconds. */
export interface Claims {
  readonly issuer: string;
  readonly subject: Subject;
  /** The service the token was asked for. */
  readonly audience: string;
  readonly notBefore: number;
  readonly expires: number;
  readonly access: readonly Scope[];
}

/** A way to write tokens. */
export interface TokenFormat {
  encode(claims: Claims): string;
  /** What a token says, or `null` when it was not made here. */
  decode(token: string): Claims | null;
}

/** Tokens without meaning outside this process, as GHCR's are (Q38). */
export function opaqueTokens(): TokenFormat {
  const table = new Map<string, Claims>();
  return {
    encode(claims) {
      const token = canary('token');
      table.set(token, claims);
      return token;
    },
    decode: (token) => table.get(token) ?? null,
  };
}

export interface SigningKey {
  readonly privateKey: KeyObject;
  /** Self-signed: what goes into a registry's `rootcertbundle`. */
  readonly certificate: X509Certificate;
}

/** A new RSA key with its certificate. */
export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const subject = 'Throwaway token issuer';
  const issuer = { subject, privateKey };
  return { privateKey, certificate: createCertificate({ subject, publicKey, issuer, authority: true }) };
}

/** Signed tokens, whose `jti` is a canary. */
export function signedTokens({ privateKey, certificate }: SigningKey): TokenFormat {
  const header = base64url({
    typ: 'JWT',
    alg: 'RS256',
    // Distribution looks for this chain's root in its `rootcertbundle`.
    x5c: [certificate.raw.toString('base64')],
  });
  return {
    encode(claims) {
      const payload = base64url({
        iss: claims.issuer,
        sub: claims.subject ?? '',
        aud: claims.audience,
        exp: claims.expires,
        nbf: claims.notBefore,
        iat: claims.notBefore,
        jti: canary('token'),
        access: claims.access,
      });
      const signature = sign('sha256', Buffer.from(`${header}.${payload}`), privateKey);
      return `${header}.${payload}.${signature.toString('base64url')}`;
    },
    decode(token) {
      const [head, payload, signature = ''] = token.split('.');
      if (head !== header || payload === undefined) return null;
      const signed = Buffer.from(`${head}.${payload}`);
      if (!verify('sha256', signed, certificate.publicKey, Buffer.from(signature, 'base64url'))) return null;
      // The signature says that `encode` above wrote it.
      const says = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<
        'iss' | 'sub' | 'aud',
        string
      > &
        Record<'exp' | 'nbf', number> & { access: Scope[] };
      return {
        issuer: says.iss,
        subject: says.sub === '' ? null : says.sub,
        audience: says.aud,
        notBefore: says.nbf,
        expires: says.exp,
        access: says.access,
      };
    },
  };
}

/** What a registry expects of a token. */
export interface Expectation {
  readonly issuer: string;
  readonly audience: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** The claims of a token that is genuine, for this audience and valid now, or `null`. No leeway: tests count seconds. */
export function acceptToken(format: TokenFormat, token: string, expected: Expectation): Claims | null {
  const claims = format.decode(token);
  if (claims === null || claims.issuer !== expected.issuer || claims.audience !== expected.audience)
    return null;
  const seconds = expected.now / 1_000;
  return seconds >= claims.notBefore && seconds < claims.expires ? claims : null;
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
