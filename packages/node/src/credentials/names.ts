/**
 * A registry as people name it, and the key of a config that this is.
 *
 * Rules of this file: a name says one registry and nothing more, or it is refused; the key is the one that Docker or Podman
 * writes, and the first that is looked for when credentials are read.
 */

import { shown } from './config.ts';
import type { Flavor } from './config-file.ts';
import { containersKeys, dockerKeys, hubKey, partsOf, type Registry, registryAt } from './registry.ts';

/** A registry, or a namespace in it, as a file names it. */
export interface Names {
  readonly registry: Registry;
  /** Empty for all of a registry. */
  readonly namespace: string;
  /** The key that is written. */
  readonly key: string;
}

/**
 * @param text `host`, `host:port` or an address of which only these count; with the flavor `containers` also `host/namespace`
 * @throws TypeError for anything else
 */
export function namesOf(text: string, flavor: Flavor): Names {
  if (typeof text !== 'string') throw new TypeError('[@reg/node] a registry is named by a text');
  // Docker and Podman both cut an address after its host: `https://index.docker.io/v1/`, `https://quay.io/v2/`.
  const { isUrl, host, path } = partsOf(text);
  const registry = registryOf(`${text.startsWith('http://') ? 'http' : 'https'}://${host}`, host, text);
  const key = !registry.isHub ? registry.host : flavor === 'docker' ? hubKey : 'docker.io';
  if (isUrl || path.length === 0) return { registry, namespace: '', key };
  if (flavor === 'docker') {
    // Docker would take it for all of the registry (Q65).
    throw new TypeError(
      `[@reg/node] only the flavor 'containers' has entries for a namespace: ${shown(text)}`,
    );
  }
  if (!path.every((segment) => /^[a-z0-9][a-z0-9._-]*$/.test(segment))) refuseName(text);
  const namespace = path.join('/');
  return { registry, namespace, key: `${key}/${namespace}` };
}

/** What a URL makes another of, or leaves out of its host without a word, is no name: user and password, blanks, `?`, `0x7f.1`. */
function registryOf(address: string, host: string, text: string): Registry {
  const url = URL.canParse(address) ? new URL(address) : null;
  const spellings = url === null ? [] : [url.host, `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}`];
  if (url === null || !spellings.includes(host) || url.hostname.endsWith('.')) refuseName(text);
  return registryAt(url.origin);
}

function refuseName(text: string): never {
  // What has an `@` may hold a password.
  const given = text.includes('@') ? 'a text with an @' : shown(text);
  throw new TypeError(`[@reg/node] a registry is named host, host:port or by its address, not ${given}`);
}

/** Those of `keys` that are the registry's, or the namespace's alone. */
export function keysOf(
  keys: readonly string[],
  { registry, namespace }: Names,
  flavor: Flavor,
): readonly string[] {
  if (namespace !== '') {
    const own = registry.hosts.map((host) => `${host}/${namespace}`);
    return keys.filter((key) => own.includes(key));
  }
  if (flavor === 'containers') return containersKeys(keys, registry, null);
  // Docker keeps tokens of its own login beside its key for Docker Hub, and its logout takes them along.
  const tokens = registry.isHub ? keys.filter((key) => key.startsWith(hubKey)) : [];
  return [...new Set([...dockerKeys(keys, registry), ...tokens])];
}
