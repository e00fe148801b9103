/**
 * Manifests: `/v2/<name>/manifests/<reference>` (distribution spec "Pulling manifests", "Pushing manifests", "Deleting").
 *
 * Rules of this file: a manifest is served as the bytes that were pushed, under the type it was pushed with, and only
 * to a client that accepts that type.
 */

import { empty, type Received, type Reply, registryError } from './reply.ts';
import { digestOf, type Manifest, type StoredRepository } from './storage.ts';

export async function answerManifest(
  repository: StoredRepository,
  reference: string,
  request: Received,
): Promise<Reply> {
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      return pull(repository, reference, request.headers['accept']);
    case 'PUT':
      return push(repository, reference, request.headers['content-type'], await request.body());
    case 'DELETE':
      return remove(repository, reference);
    default:
      return registryError(405, 'UNSUPPORTED', 'the operation is unsupported');
  }
}

const isDigest = (reference: string) => reference.startsWith('sha256:');

const unknown = () => registryError(404, 'MANIFEST_UNKNOWN', 'manifest unknown');

function pull(repository: StoredRepository, reference: string, accept: string | undefined): Reply {
  const digest = isDigest(reference) ? reference : repository.tags.get(reference);
  const manifest = digest === undefined ? undefined : repository.manifests.get(digest);
  if (digest === undefined || manifest === undefined || !accepts(accept, manifest.mediaType))
    return unknown();
  return {
    status: 200,
    headers: { 'Content-Type': manifest.mediaType, 'Docker-Content-Digest': digest },
    body: manifest.bytes,
  };
}

function accepts(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined) return true;
  const ranges = accept.split(',').map((range) => range.split(';', 1)[0]?.trim() ?? '');
  return ranges.some((range) => range === mediaType || range === '*/*' || range === 'application/*');
}

function push(
  repository: StoredRepository,
  reference: string,
  mediaType: string | undefined,
  bytes: Uint8Array,
): Reply {
  const digest = digestOf(bytes);
  if (isDigest(reference) && reference !== digest) {
    return registryError(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
  }
  if (!isDigest(reference) && !/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/.test(reference)) {
    return registryError(400, 'TAG_INVALID', 'manifest tag did not match URI');
  }
  const content = parse(bytes);
  if (content === null || mediaType === undefined) {
    return registryError(400, 'MANIFEST_INVALID', 'manifest invalid');
  }
  for (const part of [content.config, ...(content.layers ?? [])]) {
    if (part !== undefined && !repository.blobs.has(part.digest)) {
      return registryError(404, 'MANIFEST_BLOB_UNKNOWN', 'blob unknown to registry');
    }
  }
  if (content.manifests?.some((part) => !repository.manifests.has(part.digest))) return unknown();

  repository.manifests.set(digest, { mediaType, bytes });
  if (!isDigest(reference)) repository.tags.set(reference, digest);
  return empty(201, {
    Location: `/v2/${repository.name}/manifests/${digest}`,
    'Docker-Content-Digest': digest,
    ...(content.subject === undefined ? {} : { 'OCI-Subject': content.subject.digest }),
  });
}

/** By tag only the tag goes; by digest the manifest and every tag of it. */
function remove(repository: StoredRepository, reference: string): Reply {
  if (!isDigest(reference)) return repository.tags.delete(reference) ? empty(202) : unknown();
  if (!repository.manifests.delete(reference)) return unknown();
  for (const [tag, digest] of repository.tags) if (digest === reference) repository.tags.delete(tag);
  return empty(202);
}

/** What this registry reads of a manifest or index. */
export interface ManifestContent {
  readonly artifactType?: string;
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

function parse(bytes: Uint8Array): ManifestContent | null {
  try {
    const content: unknown = JSON.parse(Buffer.from(bytes).toString());
    return typeof content === 'object' ? (content as ManifestContent) : null;
  } catch {
    return null;
  }
}

/** The content of a manifest that is stored, and therefore parses. */
export function contentOf(manifest: Manifest): ManifestContent {
  return parse(manifest.bytes) ?? {};
}
