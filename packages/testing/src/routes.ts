/**
 * The distribution API's endpoints, and what each needs to be allowed.
 *
 * Rules of this file: paths and methods only. The scopes are those CNCF Distribution asks for: reading is `pull`, writing
 * `pull,push`, deleting `delete`, a mount also `pull` on the repository it mounts from (requirements 47, 48, 141).
 */

import type { Scope } from './access.ts';

export type Route =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: string }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: string };

const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const REPOSITORY_PATH = new RegExp(
  `^/v2/(${COMPONENT}(?:/${COMPONENT})*)/(?:tags/list|(manifests|blobs|referrers|blobs/uploads)/([^/]*))$`,
);

/** The endpoint at `path`, or `null`. */
export function routeOf(path: string): Route | null {
  if (path === '/v2/' || path === '/v2') return { kind: 'ping' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const [, name, kind, last = ''] = REPOSITORY_PATH.exec(path.replaceAll(/%3a/gi, ':')) ?? [];
  if (name === undefined) return null;
  switch (kind) {
    case undefined:
      return { kind: 'tags', name };
    case 'manifests':
      return { kind: 'manifest', name, reference: last };
    case 'blobs':
      return last === 'uploads' ? { kind: 'uploads', name } : { kind: 'blob', name, digest: last };
    case 'blobs/uploads':
      return last === '' ? { kind: 'uploads', name } : { kind: 'upload', name, id: last };
    default:
      return { kind: 'referrers', name, digest: last };
  }
}

/** What a request has to be allowed, and what a challenge asks for beside that. */
export interface Needs {
  readonly required: readonly Scope[];
  readonly wished: readonly Scope[];
}

/** The needs of a request to `route`. Without its wish a mount becomes an upload (requirement 139). */
export function needsOf(route: Route, method: string, query: URLSearchParams): Needs {
  switch (route.kind) {
    case 'ping':
      return { required: [], wished: [] };
    case 'catalog':
      return { required: [{ type: 'registry', name: 'catalog', actions: ['*'] }], wished: [] };
    case 'uploads': {
      const from = query.get('from');
      return {
        required: [repository(route.name, actionsOf(method))],
        wished: from === null ? [] : [repository(from, ['pull'])],
      };
    }
    case 'tags':
    case 'manifest':
    case 'blob':
    case 'upload':
    case 'referrers':
      return { required: [repository(route.name, actionsOf(method))], wished: [] };
  }
}

function actionsOf(method: string): readonly string[] {
  if (method === 'GET' || method === 'HEAD') return ['pull'];
  return method === 'DELETE' ? ['delete'] : ['pull', 'push'];
}

/** A scope on one repository. */
export const repository = (name: string, actions: readonly string[]): Scope => ({
  type: 'repository',
  name,
  actions,
});
