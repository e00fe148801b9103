/**
 * Blobs: `/v2/<name>/blobs/<digest>`, and the other origin a registry may send their readers to.
 *
 * Rules of this file: byte ranges follow RFC 9110 §14, one range at a time; the blob server takes a signed URL and nothing
 * else, as object stores do.
 */

import { empty, type Handler, type HeaderValues, type Received, type Reply, registryError } from './reply.ts';
import type { Storage, StoredRepository } from './storage.ts';

/** Where a blob may be had instead, or `null` when it is served here. */
export type BlobRedirect = ((repository: string, digest: string) => string) | null;

export function answerBlob(
  repository: StoredRepository,
  digest: string,
  request: Received,
  redirect: BlobRedirect,
): Reply {
  const blob = repository.blobs.get(digest);
  if (blob === undefined) return registryError(404, 'BLOB_UNKNOWN', 'blob unknown to registry');
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (redirect !== null) return empty(307, { Location: redirect(repository.name, digest) });
      return content(blob, request.headers['range'], { 'Docker-Content-Digest': digest });
    case 'DELETE':
      repository.blobs.delete(digest);
      return empty(202);
    default:
      return registryError(405, 'UNSUPPORTED', 'the operation is unsupported');
  }
}

/** What a signed URL has to carry. It stands for a signature: whoever has the URL may read. */
const SIGNATURE = 'signature=valid';

/** A signed URL on the blob server at `origin`. */
export function signedUrl(origin: string, repository: string, digest: string): string {
  return `${origin}/${repository}/${digest}?${SIGNATURE}`;
}

/** The blob server. */
export function blobServer(storage: Storage): Handler {
  return ({ method, url, headers }) => {
    // Q47: object stores refuse a request that is authorized in two ways.
    if (headers['authorization'] !== undefined) {
      return { ...empty(400), body: Buffer.from('Only one auth mechanism allowed') };
    }
    const cut = url.pathname.lastIndexOf('/');
    const blob = storage.find(url.pathname.slice(1, cut))?.blobs.get(url.pathname.slice(cut + 1));
    if (url.search !== `?${SIGNATURE}`) return empty(403);
    if (blob === undefined) return empty(404);
    return method === 'GET' || method === 'HEAD' ? content(blob, headers['range'], {}) : empty(405);
  };
}

function content(blob: Uint8Array, range: string | undefined, more: HeaderValues): Reply {
  const headers = { 'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes', ...more };
  const part = range === undefined ? null : partOf(range, blob.length);
  if (part === null) return { status: 200, headers, body: blob };
  if (part === 'unsatisfiable') return empty(416, { 'Content-Range': `bytes */${blob.length}` });
  return {
    status: 206,
    headers: { ...headers, 'Content-Range': `bytes ${part.first}-${part.last}/${blob.length}` },
    body: blob.subarray(part.first, part.last + 1),
  };
}

/** One range, inclusive; `null` when the field is not understood, which means the whole (RFC 9110 §14.2). */
function partOf(range: string, size: number): { first: number; last: number } | 'unsatisfiable' | null {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range) ?? [];
  if (from === '' && to === '') return null;
  if (from === '')
    return to === '0' ? 'unsatisfiable' : { first: Math.max(0, size - Number(to)), last: size - 1 };
  const first = Number(from);
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= size ? 'unsatisfiable' : { first, last };
}
