/**
 * Manifests: what a tag or digest names, and what an index offers.
 *
 * Rules of this file: bytes are what their digest says (OCI distribution-spec "Pulling manifests"), or they are not handed on.
 * What a manifest says is read as what somebody wrote: nothing in it is taken for granted.
 */

import type { Delivered } from '@reg/core/driver';
import { complaintAboutPage } from '../registry/answer.ts';
import type { Again } from '../registry/argument.ts';
import { type Client, manifestTypes } from '../registry/client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import { answerTo, chunksOf, good, goodAnswer, headerOf, lengthOf } from './answer.ts';
import { bytesOf } from './bytes.ts';
import { type Digest, digestNamed, digestOf, otherContent, readDigest } from './digest.ts';

/** What a registry says about a manifest. */
export interface ManifestHead {
  /** `null` where the registry does not say. */
  readonly mediaType: string | null;
  readonly size: number | null;
  readonly digest: string | null;
}

/** A manifest that is what its digest says. */
export interface Manifest extends ManifestHead {
  readonly size: number;
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** What registries take, and clients read (distribution-spec "Pushing Manifests"): 4 MiB. */
const MANIFEST_BYTES = 4 * 1024 * 1024;

/** The manifest at `url`. `wanted` is its digest where it was asked for by that. Throws a `Complaint` when it cannot be had. */
export async function fetchManifest(
  client: Client,
  url: URL,
  wanted: string | undefined,
  again: Again,
): Promise<Manifest> {
  const answer = await goodAnswer(
    client,
    { method: 'GET', url, headers: [['accept', manifestTypes]], stored: true },
    again,
  );
  const bytes = await bytesOf(chunksOf(answer, again), MANIFEST_BYTES);
  if (bytes === null) throw malformed(`it is larger than ${MANIFEST_BYTES / 1024 / 1024} MiB`, again);
  const signed = signedBytes(bytes, mediaTypeOf(answer));
  const claimed = digestIn(answer);
  for (const digest of [wanted === undefined ? null : digestNamed(wanted), claimed]) {
    if (digest === null) continue;
    const actual = digestOf(signed, digest.algorithm);
    if (actual !== digest.text) throw otherContent(digest.text, actual, again);
  }
  return {
    mediaType: mediaTypeOf(answer) ?? textIn(objectIn(new TextDecoder().decode(bytes)), 'mediaType'),
    size: bytes.length,
    digest: wanted ?? claimed?.text ?? digestOf(signed),
    bytes,
  };
}

/**
 * What the registry says about the manifest at `url`, which it does not send; `null` where it does not know how (405, 501), or
 * says nothing of it.
 */
export async function headManifest(
  client: Client,
  url: URL,
  wanted: string | undefined,
  again: Again,
): Promise<ManifestHead | null> {
  const asked = { method: 'HEAD', url, headers: [['accept', manifestTypes]], stored: true } as const;
  const answer = await answerTo(client, asked, again);
  await answer.raw.discard();
  if (answer.head.status === 405 || answer.head.status === 501) return null;
  await good(answer, again);
  const page = complaintAboutPage(answer, again);
  if (page !== null) throw page;
  const claimed = digestIn(answer)?.text ?? null;
  // No manifest is empty: some servers count the body that a HEAD has not.
  const length = lengthOf(answer);
  if (claimed === null && length === 0) return null;
  if (wanted !== undefined && claimed !== null && sameAlgorithm(wanted, claimed) && wanted !== claimed)
    throw otherContent(wanted, claimed, again);
  return {
    mediaType: mediaTypeOf(answer),
    size: headerOf(answer, 'content-encoding') === null && length !== 0 ? length : null,
    digest: wanted ?? claimed,
  };
}

/** A manifest as an object. Throws a `Complaint` when it is none. */
export function contentOf({ bytes }: Manifest, again: Again): Readonly<Record<string, unknown>> {
  const content = objectIn(new TextDecoder().decode(bytes));
  if (content === null) throw malformed('it is no JSON object', again);
  return content;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
}

/** What an index has for a platform. */
export interface Entry {
  readonly digest: string;
  readonly platform: Platform | null;
}

/** Reads `linux/arm64` or `linux/arm/v7`. */
export function readPlatform(text: string): Platform {
  const [os = '', architecture = '', variant = null, ...rest] = text.split('/');
  if ([os, architecture, variant ?? 'none'].some((part) => !/^[\w.-]+$/.test(part)) || rest.length > 0)
    throw usage('--platform takes an operating system and an architecture, like linux/arm64 or linux/arm/v7');
  return { os, architecture, variant };
}

/** `linux/arm/v7` */
export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === null ? [] : [variant])].join('/');
}

/**
 * What an index offers; `null` for the manifest of one image. Throws a `Complaint` when it could be taken for either, since what
 * one tool runs would then not be what another has checked (CVE-2021-41190), or when an entry has no digest.
 */
export function entriesOf(content: Readonly<Record<string, unknown>>, again: Again): readonly Entry[] | null {
  const { manifests } = content;
  if (!Array.isArray(manifests)) return null;
  if (['layers', 'config', 'fsLayers'].some((member) => member in content))
    throw malformed('it is the manifest of an image and an index at the same time', again);
  return manifests.map((entry: unknown) => {
    const digest = textIn(entry, 'digest');
    if (digest === null || readDigest(digest) === null)
      throw malformed('an entry of the index has no digest', again);
    return { digest, platform: platformIn(isObject(entry) ? entry['platform'] : null) };
  });
}

/** The entry for `wanted`; without a variant that is one without, or the first. `null` when there is none. */
export function entryFor(entries: readonly Entry[], wanted: Platform): Entry | null {
  const fitting = entries.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  );
  const { variant } = wanted;
  const exact = fitting.find(({ platform }) => platform?.variant === variant);
  // The variant of every 64-bit ARM is v8, and mostly left out.
  const implied = variant === 'v8' && wanted.architecture === 'arm64' ? null : undefined;
  const meant = fitting.find(({ platform }) => platform?.variant === implied);
  return exact ?? meant ?? (variant === null ? (fitting[0] ?? null) : null);
}

/** The platforms of an index, each once; what has none to run on, as attestations have, left out. */
export function platformsOf(entries: readonly Entry[]): readonly string[] {
  const named = entries.flatMap(({ platform }) => (platform === null ? [] : [platformText(platform)]));
  return [...new Set(named)].filter((platform) => platform !== 'unknown/unknown');
}

function platformIn(value: unknown): Platform | null {
  const os = textIn(value, 'os');
  const architecture = textIn(value, 'architecture');
  return os === null || architecture === null
    ? null
    : { os, architecture, variant: textIn(value, 'variant') };
}

function textIn(value: unknown, member: string): string | null {
  const text = isObject(value) ? value[member] : null;
  return typeof text === 'string' ? text : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** The media type of the answer, without parameters. */
function mediaTypeOf(answer: Delivered<unknown>): string | null {
  const [type = ''] = (headerOf(answer, 'content-type') ?? '').split(';', 1);
  return type.trim() === '' ? null : type.trim().toLowerCase();
}

/** `Docker-Content-Digest`, where it is one that can be checked. */
function digestIn(answer: Delivered<unknown>): Digest | null {
  return readDigest(headerOf(answer, 'docker-content-digest') ?? '');
}

function sameAlgorithm(a: string, b: string): boolean {
  return a.split(':', 1)[0] === b.split(':', 1)[0];
}

/**
 * The bytes that the digest of a manifest is about: all of them, but for the signatures that a manifest of Docker's schema 1 has
 * in it. They say how much of it they sign, and how that ends (Docker Image Manifest V2, Schema 1, "Signed Manifests"); what they
 * sign must be all the rest of it, or anything could be shown under the digest of something else.
 */
function signedBytes(bytes: Uint8Array, mediaType: string | null): Uint8Array {
  if (mediaType !== 'application/vnd.docker.distribution.manifest.v1+prettyjws') return bytes;
  const { signatures, ...content } = objectIn(new TextDecoder().decode(bytes)) ?? {};
  const sealed = textIn(Array.isArray(signatures) ? signatures[0] : null, 'protected');
  const about = objectIn(Buffer.from(sealed ?? '', 'base64url').toString());
  const tail = textIn(about, 'formatTail');
  const length = about?.['formatLength'];
  if (typeof length !== 'number' || tail === null) return bytes;
  const signed = Buffer.concat([bytes.subarray(0, length), Buffer.from(tail, 'base64url')]);
  return JSON.stringify(objectIn(signed.toString())) === JSON.stringify(content) ? signed : bytes;
}

function malformed(what: string, { command, trace }: Again): Complaint {
  return new Complaint(
    exitCode.protocol,
    `the registry answered with a manifest that makes no sense: ${what}`,
    {
      hint: command === trace ? command : trace,
    },
  );
}
