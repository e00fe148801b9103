/**
 * Digests of content (OCI image-spec "Digests").
 *
 * Rules of this file: content is what its digest says, or it is not handed on as such. A digest of an algorithm that cannot be
 * computed here is never taken for a match.
 */

import { createHash, type Hash } from 'node:crypto';
import type { Again } from '../registry/argument.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';

/** Hex digits by algorithm: OCI's registered ones, and SHA-384 of go-digest. */
const hexDigits = { sha256: 64, sha384: 96, sha512: 128 } as const;

type Algorithm = keyof typeof hexDigits;

export interface Digest {
  readonly algorithm: Algorithm;
  /** `sha256:9c1…`, as it was read. */
  readonly text: string;
}

/** Reads a digest; `null` when it is none, or of an algorithm that is not known here. */
export function readDigest(text: string): Digest | null {
  const algorithm = text.slice(0, Math.max(text.indexOf(':'), 0));
  if (!isAlgorithm(algorithm)) return null;
  const hex = text.slice(algorithm.length + 1);
  return hex.length === hexDigits[algorithm] && /^[0-9a-f]*$/.test(hex) ? { algorithm, text } : null;
}

/** The digest that the user named. Throws a `Complaint` when it cannot be computed here. */
export function digestNamed(text: string): Digest {
  const digest = readDigest(text);
  if (digest === null)
    throw usage('a digest of this algorithm cannot be verified here: sha256, sha384 and sha512 can');
  return digest;
}

function isAlgorithm(text: string): text is Algorithm {
  return Object.hasOwn(hexDigits, text);
}

/** The digest of `bytes`. */
export function digestOf(bytes: Uint8Array, algorithm: Algorithm = 'sha256'): string {
  return textOf(algorithm, createHash(algorithm).update(bytes));
}

/** Hands `chunks` on. Throws a `Complaint` behind the last one when together they are not what `digest` says. */
export async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  { algorithm, text }: Digest,
  again: Again,
): AsyncGenerator<Uint8Array> {
  const hash = createHash(algorithm);
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = textOf(algorithm, hash);
  if (actual !== text) throw otherContent(text, actual, again);
}

/** What was sent is not what was asked for. */
export function otherContent(wanted: string, actual: string, { command, trace }: Again): Complaint {
  return new Complaint(
    exitCode.protocol,
    `what the registry sent is not ${wanted}: its digest is ${actual}`,
    { code: 'digest-mismatch', hint: command === trace ? command : `${trace}   # where it came from` },
  );
}

function textOf(algorithm: Algorithm, hash: Hash): string {
  return `${algorithm}:${hash.digest('hex')}`;
}
