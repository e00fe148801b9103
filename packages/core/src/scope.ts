/**
 * Scopes: what a token is asked for, was given for, or is missing.
 *
 * Rules of this file:
 * 1. What follows the grammar (distribution "Token Scope Documentation") is a set of actions on a resource; every other
 *    entry is kept letter by letter (Q14: `aws`, `*`, `artifact-repository:repo:pull`). Nothing is dropped but emptiness.
 * 2. Actions are a set: sorted, each once. `*` swallows the others, as the reference server's check does.
 * 3. The order of entries is the caller's, since some servers read only the first (requirement 50, Q28). Entries of one
 *    resource are one entry, or the list would grow with every refresh (Q27).
 * 4. Unknown requests need nothing: the registry's challenge will say what it wants.
 */

/** Actions on a resource, as plain data. */
export interface ResourceScope {
  readonly type: string;
  /** `plugin` in `repository(plugin)`: deprecated. It is part of the resource's name and is never made up here. */
  readonly class?: string;
  readonly name: string;
  /** May be empty: servers ask for `repository:name:` (Q14). */
  readonly actions: readonly string[];
}

/** An entry that is no resource scope, as it came. */
export interface OpaqueScope {
  readonly opaque: string;
}

export type Scope = ResourceScope | OpaqueScope;

/**
 * Reads a list of scopes separated by spaces, such as a challenge's `scope` (requirements 41 to 46). The type ends at the
 * first colon and the name at the last, since a name may hold `host:port`. Never throws; an empty text is no scope (Q09).
 */
export function parseScopes(text: string): Scope[] {
  return unionScopes(text.split(' ').map(parseEntry), []);
}

/** Writes scopes as one text, entries in their order; equal lists give equal texts. Entries that say nothing are left out. */
export function formatScopes(scopes: readonly Scope[]): string {
  return unionScopes(scopes, []).map(formatEntry).join(' ');
}

/** All entries of `a`, then those `b` adds, one for each resource (requirement 46). */
export function unionScopes(a: readonly Scope[], b: readonly Scope[]): Scope[] {
  const merged = new Map<string, { readonly scope: Scope; readonly actions: Set<string> }>();
  for (const scope of [...a, ...b]) {
    const key = keyOf(scope);
    if (key === null) continue;
    const entry = merged.get(key) ?? { scope, actions: new Set<string>() };
    merged.set(key, entry);
    if (!isOpaque(scope)) for (const action of scope.actions) entry.actions.add(action);
  }
  return Array.from(merged.values(), ({ scope, actions }) => {
    return isOpaque(scope) ? scope : { ...scope, actions: normalizeActions(actions) };
  });
}

/**
 * Whether whoever holds `held` has all of `wanted`. `*` stands for every action of its resource; an opaque entry is
 * covered by itself alone.
 */
export function coversScopes(held: readonly Scope[], wanted: readonly Scope[]): boolean {
  const byKey = new Map(unionScopes(held, []).map((scope) => [keyOf(scope), scope]));
  return unionScopes(wanted, []).every((scope) => {
    const holding = byKey.get(keyOf(scope));
    if (holding === undefined || isOpaque(holding) || isOpaque(scope)) return holding !== undefined;
    return holding.actions.includes('*') || scope.actions.every((action) => holding.actions.includes(action));
  });
}

/**
 * What of `wanted` whoever holds `held` does not have, as far as the actions of each resource, in the order of `wanted`; `[]`
 * where `coversScopes` holds.
 */
export function missingScopes(held: readonly Scope[], wanted: readonly Scope[]): Scope[] {
  return unionScopes(wanted, []).flatMap((scope): readonly Scope[] => {
    if (coversScopes(held, [scope])) return [];
    if (isOpaque(scope)) return [scope];
    const actions = scope.actions.filter((action) => !coversScopes(held, [{ ...scope, actions: [action] }]));
    return [{ ...scope, actions }];
  });
}

/** The names of the repositories among `scopes`, each once. */
export function repositoriesOf(scopes: readonly Scope[]): string[] {
  const names = scopes.flatMap((scope) =>
    isOpaque(scope) || scope.type !== 'repository' ? [] : [scope.name],
  );
  return [...new Set(names)];
}

/** Whether `scopes` name repositories to pull from and nothing else: what anybody may be allowed to have (Q34). */
export function isPullOnly(scopes: readonly Scope[]): boolean {
  return (
    scopes.length > 0 &&
    scopes.every((scope) => {
      if (isOpaque(scope) || scope.type !== 'repository' || scope.actions.length === 0) return false;
      return scope.actions.every((action) => action === 'pull');
    })
  );
}

/**
 * What a request of the distribution API needs, as the reference server maps methods to actions: GET and HEAD `pull`,
 * POST, PUT and PATCH `pull,push`, DELETE `delete` (requirements 47, 48 and 141), of the repository in the path; a mount
 * needs `pull` of the repository it takes from as well, and the catalog `registry:catalog:*`.
 *
 * @param url absolute, or the path and query of one. What stands before `/v2/` is no part of the name (Q56).
 * @returns `[]` for a ping and for everything unknown. Never throws.
 */
export function scopesForRequest(method: string, url: string | URL): Scope[] {
  const address = addressOf(url);
  const verb = method.toUpperCase();
  if (address === null) return [];
  if (address.endpoint === 'catalog') {
    return verb === 'GET' || verb === 'HEAD' ? [{ type: 'registry', name: 'catalog', actions: ['*'] }] : [];
  }
  const actions = actionsOf(verb);
  if (actions === null) return [];
  const target: Scope = { type: 'repository', name: address.repository, actions };
  if (address.endpoint !== 'uploads' || verb !== 'POST' || !isName(address.from)) return [target];
  return unionScopes([target], [{ type: 'repository', name: address.from, actions: ['pull'] }]);
}

/** The repository that a URL of the distribution API addresses, percent-decoded; `null` when there is none. */
export function repositoryOf(url: string | URL): string | null {
  const address = addressOf(url);
  return address === null || address.endpoint === 'catalog' ? null : address.repository;
}

function parseEntry(text: string): Scope {
  const typeEnd = text.indexOf(':');
  const nameEnd = text.lastIndexOf(':');
  const type = parseType(text.slice(0, Math.max(typeEnd, 0)));
  const actions = text.slice(nameEnd + 1).split(',');
  if (type === null || nameEnd <= typeEnd + 1 || !actions.every(isAction)) return { opaque: text };
  return { ...type, name: text.slice(typeEnd + 1, nameEnd), actions };
}

/** `type` or `type(class)`. */
function parseType(text: string): { type: string; class?: string } | null {
  const open = text.indexOf('(');
  if (open < 0) return isTypeName(text) ? { type: text } : null;
  const type = text.slice(0, open);
  const name = text.slice(open + 1, -1);
  return text.endsWith(')') && isTypeName(type) && isTypeName(name) ? { type, class: name } : null;
}

function isTypeName(text: string): boolean {
  return text !== '' && everyUnit(text, isLowerAlphanumeric);
}

/** The grammar has `[a-z]*`; Azure asks for `metadata_read` (Q32), and `*` is everywhere. A `/` means a port was read. */
function isAction(text: string): boolean {
  return (
    text === '*' || everyUnit(text, (unit) => isLowerAlphanumeric(unit) || unit === 0x5f || unit === 0x2d)
  );
}

function isLowerAlphanumeric(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x30 && unit <= 0x39);
}

function everyUnit(text: string, test: (unit: number) => boolean): boolean {
  for (let i = 0; i < text.length; i++) if (!test(text.charCodeAt(i))) return false;
  return true;
}

function isOpaque(scope: Scope): scope is OpaqueScope {
  return 'opaque' in scope;
}

/** What makes two entries one; `null` for an entry that says nothing (Q09). */
function keyOf(scope: Scope): string | null {
  if (isOpaque(scope)) return scope.opaque === '' ? null : ` ${scope.opaque}`;
  return scope.name === '' ? null : resourceOf(scope);
}

function resourceOf(scope: ResourceScope): string {
  return `${scope.type}${scope.class === undefined ? '' : `(${scope.class})`}:${scope.name}:`;
}

function formatEntry(scope: Scope): string {
  return isOpaque(scope) ? scope.opaque : resourceOf(scope) + scope.actions.join(',');
}

function normalizeActions(actions: ReadonlySet<string>): string[] {
  if (actions.has('*')) return ['*'];
  return [...actions].filter((action) => action !== '').sort();
}

function actionsOf(method: string): readonly string[] | null {
  switch (method) {
    case 'GET':
    case 'HEAD':
      return ['pull'];
    case 'POST':
    case 'PUT':
    case 'PATCH':
      return ['pull', 'push'];
    case 'DELETE':
      return ['delete'];
    default:
      return null;
  }
}

/** What a URL addresses. `from` is the repository that a mount takes from, or empty. */
type Address =
  | { readonly endpoint: 'catalog' }
  | { readonly endpoint: 'content' | 'uploads'; readonly repository: string; readonly from: string };

/** Reads `…/v2/<name>/<endpoint>`. The first `/v2/` counts, since a name may hold `v2` but a prefix hardly does. */
function addressOf(url: string | URL): Address | null {
  const parsed = parseUrl(url);
  const { pathname } = parsed;
  const start = pathname.indexOf('/v2/');
  if (start < 0) return null;
  const parts = pathname.slice(start + 4).split('/');
  if (parts.length === 1) return parts[0] === '_catalog' ? { endpoint: 'catalog' } : null;
  const uploads = uploadsAt(parts);
  const repository = decodeName(parts.slice(0, uploads ?? contentAt(parts)));
  if (repository === null) return null;
  if (uploads === null) return { endpoint: 'content', repository, from: '' };
  return { endpoint: 'uploads', repository, from: parsed.searchParams.get('from') ?? '' };
}

/** Relative references are resolved too: adapters have path and origin apart. What cannot be parsed addresses nothing. */
function parseUrl(url: string | URL): URL {
  if (url instanceof URL) return url;
  const base = 'http://registry.invalid/';
  return new URL(URL.canParse(url, base) ? url : '', base);
}

/** Where `blobs/uploads`, `blobs/uploads/` or `blobs/uploads/<id>` ends the path. Read from the end: names hold slashes. */
function uploadsAt(parts: readonly string[]): number | null {
  for (let at = parts.length - 2; at >= 0 && at >= parts.length - 3; at--) {
    if (parts[at] === 'blobs' && parts[at + 1] === 'uploads') return at;
  }
  return null;
}

/** Where an endpoint of two parts ends the path; 0, which leaves no name, when none does. */
function contentAt(parts: readonly string[]): number {
  const [endpoint = '', id = ''] = parts.slice(-2);
  const known = endpoint === 'tags' ? id === 'list' : contentEndpoints.includes(endpoint) && id !== '';
  return known ? parts.length - 2 : 0;
}

const contentEndpoints: readonly string[] = ['manifests', 'blobs', 'referrers'];

/** Segments as a name. A server that routes on decoded paths takes `a%2Fb` for `a/b`. */
function decodeName(parts: readonly string[]): string | null {
  try {
    const name = decodeURIComponent(parts.join('/'));
    return isName(name) ? name : null;
  } catch {
    return null;
  }
}

/** Whether a decoded name can stand in a scope. A blank in it would begin another scope, one that nobody asked for. */
function isName(text: string): boolean {
  return (
    everyUnit(text, (unit) => unit > 0x20 && unit !== 0x7f) &&
    text.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}
