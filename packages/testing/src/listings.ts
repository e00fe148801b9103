/**
 * Lists: tags, the catalog, and the referrers of a manifest.
 *
 * Rules of this file: order is lexical; a page is cut only when `n` asks for it, and the rest is announced by a relative
 * `Link` (distribution spec "Listing Tags"; Q59).
 */

import { contentOf } from './manifests.ts';
import { json, type Reply, registryError } from './reply.ts';
import { IMAGE_INDEX, type Storage, type StoredRepository } from './storage.ts';

export function listTags(repository: StoredRepository, query: URLSearchParams): Reply {
  return page(`/v2/${repository.name}/tags/list`, [...repository.tags.keys()].sort(), query, (tags) => ({
    name: repository.name,
    tags,
  }));
}

export function listRepositories(storage: Storage, query: URLSearchParams): Reply {
  return page('/v2/_catalog', storage.names(), query, (repositories) => ({ repositories }));
}

/** An index of the manifests whose subject is `digest`; one of that nothing refers to has none, and is no error. */
export function listReferrers(repository: StoredRepository, digest: string, query: URLSearchParams): Reply {
  const wanted = query.get('artifactType');
  const manifests = [];
  for (const [of, manifest] of repository.manifests) {
    const content = contentOf(manifest);
    const artifactType = content.artifactType ?? content.config?.mediaType;
    if (content.subject?.digest !== digest || (wanted !== null && artifactType !== wanted)) continue;
    const { annotations } = content;
    const size = manifest.bytes.length;
    manifests.push({ mediaType: manifest.mediaType, digest: of, size, artifactType, annotations });
  }
  return json(
    200,
    { schemaVersion: 2, mediaType: IMAGE_INDEX, manifests },
    { 'Content-Type': IMAGE_INDEX, ...(wanted === null ? {} : { 'OCI-Filters-Applied': 'artifactType' }) },
  );
}

function page(
  path: string,
  all: readonly string[],
  query: URLSearchParams,
  body: (entries: readonly string[]) => unknown,
): Reply {
  const n = query.get('n');
  if (n !== null && !/^\d+$/.test(n)) {
    return registryError(400, 'PAGINATION_NUMBER_INVALID', 'invalid number of results requested');
  }
  const after = query.get('last') ?? '';
  const rest = all.filter((entry) => entry > after);
  const entries = n === null ? rest : rest.slice(0, Number(n));
  const last = entries.at(-1);
  if (last === undefined || entries.length === rest.length) return json(200, body(entries));
  const next = new URLSearchParams({ last, n: n ?? '' });
  return json(200, body(entries), { Link: `<${path}?${next}>; rel="next"` });
}
