/**
 * Uploads: `/v2/<name>/blobs/uploads/…` (distribution spec "Pushing blobs").
 *
 * Rules of this file: the session's URL is relative, carries a `_state` its next request must bring back, and changes with
 * every step: a client that does not follow `Location` as given fails.
 */

import { randomUUID } from 'node:crypto';
import { empty, type HeaderValues, type Received, type Reply, registryError } from './reply.ts';
import { digestOf, type Storage, type StoredRepository, type Upload } from './storage.ts';

/** Begins an upload: empty, with all its bytes (`digest`), or by mounting a blob of another repository. */
export async function beginUpload(
  repository: StoredRepository,
  request: Received,
  storage: Storage,
  mayRead: (repository: string) => boolean,
): Promise<Reply> {
  if (request.method !== 'POST') return registryError(405, 'UNSUPPORTED', 'the operation is unsupported');
  const query = request.url.searchParams;
  const mount = query.get('mount');
  const from = query.get('from');
  if (mount !== null && from !== null && mayRead(from)) {
    const blob = storage.find(from)?.blobs.get(mount);
    if (blob !== undefined) {
      repository.blobs.set(mount, blob);
      return created(repository, mount);
    }
  }
  const digest = query.get('digest');
  if (digest !== null) return store(repository, digest, await request.body());
  const id = randomUUID();
  const upload: Upload = { chunks: [], size: 0 };
  repository.uploads.set(id, upload);
  return empty(202, progress(repository, id, upload));
}

/** Goes on with, asks about, ends or drops the upload `id`. */
export async function continueUpload(
  repository: StoredRepository,
  id: string,
  request: Received,
): Promise<Reply> {
  const upload = repository.uploads.get(id);
  if (upload === undefined)
    return registryError(404, 'BLOB_UPLOAD_UNKNOWN', 'blob upload unknown to registry');
  const query = request.url.searchParams;
  if (query.get('_state') !== stateOf(upload)) {
    return registryError(400, 'BLOB_UPLOAD_INVALID', 'blob upload invalid');
  }
  switch (request.method) {
    case 'GET':
      return empty(204, progress(repository, id, upload));
    case 'PATCH': {
      const start = /^(\d+)-\d+$/.exec(request.headers['content-range'] ?? '')?.[1];
      if (start !== undefined && Number(start) !== upload.size) {
        return empty(416, progress(repository, id, upload));
      }
      append(upload, await request.body());
      return empty(202, progress(repository, id, upload));
    }
    case 'PUT': {
      append(upload, await request.body());
      const reply = store(repository, query.get('digest') ?? '', Buffer.concat(upload.chunks));
      if (reply.status === 201) repository.uploads.delete(id);
      return reply;
    }
    case 'DELETE':
      repository.uploads.delete(id);
      return empty(204);
    default:
      return registryError(405, 'UNSUPPORTED', 'the operation is unsupported');
  }
}

function append(upload: Upload, bytes: Uint8Array): void {
  upload.chunks.push(bytes);
  upload.size += bytes.length;
}

function store(repository: StoredRepository, digest: string, bytes: Uint8Array): Reply {
  if (digestOf(bytes) !== digest) {
    return registryError(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content');
  }
  repository.blobs.set(digest, bytes);
  return created(repository, digest);
}

const created = (repository: StoredRepository, digest: string): Reply =>
  empty(201, { Location: `/v2/${repository.name}/blobs/${digest}`, 'Docker-Content-Digest': digest });

const stateOf = (upload: Upload): string => Buffer.from(`offset ${upload.size}`).toString('base64');

const progress = (repository: StoredRepository, id: string, upload: Upload): HeaderValues => ({
  Location: `/v2/${repository.name}/blobs/uploads/${id}?_state=${encodeURIComponent(stateOf(upload))}`,
  'Docker-Upload-UUID': id,
  Range: `0-${Math.max(0, upload.size - 1)}`,
});
