/**
 * Throwaway X.509 certificates (RFC 5280), for HTTPS on loopback and for a registry's `rootcertbundle`.
 *
 * Rules of this file: Node signs but does not issue, so the certificate is encoded here and no program is called; keys
 * live as long as the process and validity is a year, since nothing outside a test may trust these.
 */

import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  bitString,
  boolean,
  context,
  integer,
  nothing,
  objectIdentifier,
  octetString,
  sequence,
  set,
  utcTime,
  utf8String,
} from './der.ts';

export interface CertificateOptions {
  /** Common name of the holder. */
  readonly subject: string;
  /** The holder's key. */
  readonly publicKey: KeyObject;
  /** Who signs. For a self-signed certificate: the holder. */
  readonly issuer: { readonly subject: string; readonly privateKey: KeyObject };
  readonly authority: boolean;
  /** DNS names and IP addresses it is for. */
  readonly names?: readonly string[];
  /** Whom it is for, unless it is an authority's. Default: a server. */
  readonly usage?: 'server' | 'client';
  /** Epoch milliseconds at which it expires. Default: a year from now. */
  readonly until?: number;
}

const DAY_MS = 86_400_000;

/** Makes a certificate. */
export function createCertificate(options: CertificateOptions): X509Certificate {
  const { issuer, until = Date.now() + 365 * DAY_MS } = options;
  const issuerKey = createPublicKey(issuer.privateKey);
  const algorithm = signatureAlgorithm(issuer.privateKey);
  const body = sequence(
    context(0, true, integer(Buffer.from([2]))),
    // A first byte of 0x01–0x7f: positive and never all zero.
    integer(Buffer.concat([Buffer.from([0x2a]), randomBytes(15)])),
    algorithm,
    name(issuer.subject),
    sequence(utcTime(Math.min(Date.now(), until) - DAY_MS), utcTime(until)),
    name(options.subject),
    spki(options.publicKey),
    context(3, true, sequence(...extensions(options, issuerKey))),
  );
  const signature = sign('sha256', body, issuer.privateKey);
  return new X509Certificate(sequence(body, algorithm, bitString(signature)));
}

/** A certificate authority and a certificate for loopback servers, both as PEM. */
export interface ServerCertificate {
  /** What a client has to trust. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Makes a new authority and a server certificate for 127.0.0.1, ::1, localhost and `names`. */
export function createServerCertificate(names: readonly string[] = []): ServerCertificate {
  const authorityKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serverKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = { subject: 'Throwaway test authority', privateKey: authorityKeys.privateKey };
  const ca = createCertificate({
    subject: issuer.subject,
    publicKey: authorityKeys.publicKey,
    issuer,
    authority: true,
  });
  const cert = createCertificate({
    subject: 'Throwaway test server',
    publicKey: serverKeys.publicKey,
    issuer,
    authority: false,
    names: ['127.0.0.1', '::1', 'localhost', ...names],
  });
  return {
    ca: ca.toString(),
    cert: cert.toString(),
    key: serverKeys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function signatureAlgorithm(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return sequence(objectIdentifier('1.2.840.113549.1.1.11'), nothing);
    case 'ec':
      return sequence(objectIdentifier('1.2.840.10045.4.3.2'));
    default:
      throw new TypeError(
        `[@reg/testing] no certificate can be signed with a key of type ${key.asymmetricKeyType}`,
      );
  }
}

const name = (commonName: string): Buffer =>
  sequence(set(sequence(objectIdentifier('2.5.4.3'), utf8String(commonName))));

const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });

/** SHA-1 over the key, as RFC 5280 §4.2.1.2 suggests: a name for it, no security rests on the hash. */
const keyIdentifier = (key: KeyObject): Buffer => createHash('sha1').update(spki(key)).digest();

function extensions(options: CertificateOptions, issuerKey: KeyObject): Buffer[] {
  const { authority, names = [], usage: purpose = 'server' } = options;
  // keyUsage bits: digitalSignature is 0, keyCertSign 5, cRLSign 6. An authority here signs tokens as well.
  const usage = authority
    ? bitString(Buffer.from([0b1000_0110]), 1)
    : bitString(Buffer.from([0b1000_0000]), 7);
  const list = [
    extension('2.5.29.19', true, sequence(...(authority ? [boolean(true)] : []))),
    extension('2.5.29.15', true, usage),
    extension('2.5.29.14', false, octetString(keyIdentifier(options.publicKey))),
    extension('2.5.29.35', false, sequence(context(0, false, keyIdentifier(issuerKey)))),
  ];
  const purposeId = purpose === 'server' ? '1.3.6.1.5.5.7.3.1' : '1.3.6.1.5.5.7.3.2';
  if (!authority) list.push(extension('2.5.29.37', false, sequence(objectIdentifier(purposeId))));
  if (names.length > 0) list.push(extension('2.5.29.17', false, sequence(...names.map(alternativeName))));
  return list;
}

const extension = (id: string, critical: boolean, value: Buffer): Buffer =>
  sequence(objectIdentifier(id), ...(critical ? [boolean(true)] : []), octetString(value));

/** GeneralName: dNSName is [2], iPAddress [7] with 4 or 16 bytes (RFC 5280 §4.2.1.6). */
function alternativeName(text: string): Buffer {
  switch (isIP(text)) {
    case 4:
      return context(7, false, Buffer.from(text.split('.').map(Number)));
    case 6:
      return context(7, false, ipv6Bytes(text));
    default:
      return context(2, false, Buffer.from(text));
  }
}

/** The 16 bytes of an IPv6 address without a dotted tail. */
function ipv6Bytes(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
