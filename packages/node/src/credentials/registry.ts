/**
 * The names a registry has in a config, and which keys are its own.
 *
 * Rules of this file: a host matches whole, with its port, never by a part of its name (CVE-2026-59891); a path matches by
 * whole segments; the most specific key comes first, and the order of the file decides nothing (Q64).
 */

/** A registry under each of its names. */
export interface Registry {
  readonly origin: string;
  /** How it is called in messages. */
  readonly host: string;
  readonly isHub: boolean;
  /** `host` and `host:port` as a key may spell them, the preferred one first. */
  readonly hosts: readonly string[];
}

/** Docker's key for Docker Hub, in files and for helpers (requirement 110). */
export const hubKey = 'https://index.docker.io/v1/';

/** Docker Hub has several names, and a key that is none of them (Q63). Podman writes the first. */
const hubHosts: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/**
 * The registry at `origin`.
 *
 * @throws TypeError when that is not an origin as `new URL().origin` spells it: a line end in it would reach a helper's input
 */
export function registryAt(origin: string): Registry {
  const url = URL.canParse(origin) ? new URL(origin) : null;
  if (url === null || url.origin !== origin) {
    // What has an `@` may hold a password.
    const given = origin.includes('@') ? 'a text with an @' : JSON.stringify(origin);
    throw new TypeError(`[@reg/node] a credential is looked for by origin, not ${given}`);
  }
  const { protocol, host, hostname, port } = url;
  if (protocol === 'https:' && hubHosts.includes(host)) {
    return { origin, host, isHub: true, hosts: hubHosts };
  }
  const hosts = port === '' ? [host, `${hostname}:${protocol === 'https:' ? 443 : 80}`] : [host];
  return { origin, host, isHub: false, hosts };
}

export interface KeyParts {
  readonly isUrl: boolean;
  /** Lower case, with the port if the key has one. */
  readonly host: string;
  /** Segments, none of them empty, without the `v1` or `v2` that an address names the API by. */
  readonly path: readonly string[];
}

/** A key in its parts. Only `http` and `https` are taken off: what else stands before a host belongs to another one. */
export function partsOf(key: string): KeyParts {
  const rest = key.startsWith('https://') ? key.slice(8) : key.startsWith('http://') ? key.slice(7) : key;
  const isUrl = rest.length < key.length;
  const [host = '', ...segments] = rest.split('/');
  const path = segments.filter((segment) => segment !== '');
  const isApi = isUrl && (path[0] === 'v1' || path[0] === 'v2');
  return { isUrl, host: host.toLowerCase(), path: isApi ? path.slice(1) : path };
}

/**
 * The keys of `registry` as Docker reads them (requirement 111): as they stand, else by the host in them, the shortest first.
 * The path of a key counts for nothing (Q65): an entry is for all of a registry.
 */
export function dockerKeys(keys: readonly string[], registry: Registry): readonly string[] {
  const { isHub, hosts, origin } = registry;
  const own = isHub ? [hubKey, ...hosts] : [...hosts, origin];
  return inOrder(own, keys, (key) => {
    const parts = partsOf(key);
    // Beside its key for Docker Hub, Docker keeps tokens of its own login: `…/v1/access-token`.
    if (isHub && parts.isUrl && parts.path.length > 0) return false;
    return hosts.includes(parts.host);
  });
}

/** The keys of `registry` among those of helpers: as they stand, else as an address. A namespace has no helper. */
export function helperKeys(keys: readonly string[], registry: Registry): readonly string[] {
  const own = registry.isHub ? [hubKey, ...registry.hosts] : [...registry.hosts, registry.origin];
  return inOrder(own, keys, (key) => {
    const { host, path } = partsOf(key);
    return registry.hosts.includes(host) && path.length === 0;
  });
}

/**
 * The keys of `registry` and `repository` as Podman reads them (requirements 116, 117): namespaces from the longest down, then
 * the host, then addresses, which are cut at their first `/`.
 */
export function containersKeys(
  keys: readonly string[],
  registry: Registry,
  repository: string | null,
): readonly string[] {
  const { hosts } = registry;
  const own = namespacesOf(repository).flatMap((name) => hosts.map((host) => `${host}/${name}`));
  return inOrder([...own, ...hosts], keys, (key) => {
    const { isUrl, host, path } = partsOf(key);
    return hosts.includes(host) && (isUrl || path.length === 0);
  });
}

/** The keys of `registry` in the flat file that Docker wrote before 1.7: all of them are cut at their first `/`. */
export function flatKeys(keys: readonly string[], registry: Registry): readonly string[] {
  return inOrder([...registry.hosts], keys, (key) => registry.hosts.includes(partsOf(key).host));
}

/** `a/b/c`, `a/b`, `a`. */
export function namespacesOf(repository: string | null): readonly string[] {
  const segments = repository === null ? [] : repository.split('/');
  return segments.map((_, i) => segments.slice(0, segments.length - i).join('/'));
}

/** Of `keys`, those in `own` in its order, then those that `matches`, the shortest first. */
function inOrder(
  own: readonly string[],
  keys: readonly string[],
  matches: (key: string) => boolean,
): readonly string[] {
  const there = new Set(keys);
  const exact = own.filter((key) => there.has(key));
  const others = keys
    .filter((key) => !exact.includes(key) && matches(key))
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return [...exact, ...others];
}
