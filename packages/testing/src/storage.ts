/**
 * What the registry holds, in memory.
 *
 * Rules of this file: content is named by its SHA-256 digest and by nothing else; tags are the only thing that changes.
 */

import { createHash } from 'node:crypto';
import type { Repositories } from './access.ts';

export interface Manifest {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** An upload under way: what has arrived so far. */
export interface Upload {
  readonly chunks: Uint8Array[];
  size: number;
}

export interface StoredRepository {
  readonly name: string;
  readonly blobs: Map<string, Uint8Array>;
  readonly manifests: Map<string, Manifest>;
  /** Tag to manifest digest. */
  readonly tags: Map<string, string>;
  readonly uploads: Map<string, Upload>;
}

export interface Storage {
  /** Names in lexical order. */
  names(): readonly string[];
  find(name: string): StoredRepository | null;
  /** The repository of that name, made if there is none. */
  open(name: string): StoredRepository;
}

/** An image of one layer, and everything that refers to anything. */
export interface Image {
  readonly manifest: Manifest & { readonly digest: string };
  readonly config: { readonly digest: string; readonly bytes: Uint8Array };
  readonly layer: { readonly digest: string; readonly bytes: Uint8Array };
}

export const IMAGE_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const IMAGE_INDEX = 'application/vnd.oci.image.index.v1+json';

/** `sha256:` and the digest of `bytes`. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** The image a declared tag with this text stands for. The same text always gives the same digests. */
export function image(text: string): Image {
  const layer = content(text);
  const config = content('{}');
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: IMAGE_MANIFEST,
      artifactType: 'text/plain',
      config: {
        mediaType: 'application/vnd.oci.empty.v1+json',
        digest: config.digest,
        size: config.bytes.length,
      },
      layers: [{ mediaType: 'text/plain', digest: layer.digest, size: layer.bytes.length }],
    }),
  );
  return { manifest: { mediaType: IMAGE_MANIFEST, bytes, digest: digestOf(bytes) }, config, layer };
}

function content(text: string): { digest: string; bytes: Uint8Array } {
  const bytes = Buffer.from(text);
  return { digest: digestOf(bytes), bytes };
}

/** Storage that holds the declared repositories. */
export function createStorage(repositories: Repositories): Storage {
  const held = new Map<string, StoredRepository>();
  const storage: Storage = {
    names: () => [...held.keys()].sort(),
    find: (name) => held.get(name) ?? null,
    open(name) {
      const found = held.get(name);
      if (found !== undefined) return found;
      const made = { name, blobs: new Map(), manifests: new Map(), tags: new Map(), uploads: new Map() };
      held.set(name, made);
      return made;
    },
  };
  for (const [name, { tags = [] }] of Object.entries(repositories)) {
    const repository = storage.open(name);
    const texts = Array.isArray(tags)
      ? tags.map((tag): [string, string] => [tag, tag])
      : Object.entries(tags);
    for (const [tag, text] of texts) {
      const { manifest, config, layer } = image(text);
      repository.blobs.set(config.digest, config.bytes).set(layer.digest, layer.bytes);
      repository.manifests.set(manifest.digest, manifest);
      repository.tags.set(tag, manifest.digest);
    }
  }
  return storage;
}
