/**
 * The registry, or a namespace of one, that a credential is for.
 *
 * Rules of this file: what Docker's login takes is taken, a scheme and the path of the API with it; a namespace is one only where
 * the file that is written knows such a thing, and is never cut off without a word: the credential would be for more than was said.
 */

import { isUrl, registryTarget, type Target } from '../registry/argument.ts';
import type { ConnectionOptions } from '../registry/options.ts';
import { usage } from '../report/complaint.ts';
import { quote } from '../report/shell.ts';

export interface Named extends Target {
  /** As a file names it: the registry, perhaps with a namespace. */
  readonly name: string;
  /** Empty for all of the registry. */
  readonly namespace: string;
}

/** `ghcr.io`, `https://ghcr.io/`, `https://index.docker.io/v1/`; with the flavor `containers` also `quay.io/team`. */
export function namedTarget(
  text: string,
  options: ConnectionOptions,
  flavor: 'docker' | 'containers',
): Named {
  const slash = isUrl(text) ? -1 : text.indexOf('/');
  const path = slash < 0 ? '' : text.slice(slash + 1).replace(/\/$/, '');
  if (path === '' || path === 'v1' || path === 'v2') {
    const target = keyedTarget(text, options);
    return { ...target, name: nameIn(target), namespace: '' };
  }
  const target = keyedTarget(text.slice(0, slash), options);
  const { registry } = target;
  if (!/^[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*$/.test(path)) {
    throw usage(`what follows ${registry} is no namespace`, `reg login ${quote(registry)}`);
  }
  if (flavor === 'docker') {
    throw usage(
      `Docker's config.json keeps one login for all of ${registry}, and none for '${path}' in it; Podman's auth.json can`,
      `reg login ${quote(registry)}   # or ${quote(`${registry}/${path}`)} --authfile FILE`,
    );
  }
  const name = `${nameIn(target)}/${path}`;
  return { ...target, shown: name, name, namespace: path };
}

/** As a list of what is stored has it: in lower case, without the port that goes without saying. */
function nameIn({ registry, url }: Target): string {
  return registry === 'docker.io' ? registry : url.host;
}

/** A registry alone, under the name that files have for it: `0x7f.1` is an address too, and no file calls it that. */
export function keyedTarget(text: string, options: ConnectionOptions): Target {
  const target = registryTarget(text, options);
  const { host, hostname, protocol } = target.url;
  const spellings = [host, `${hostname}:${protocol === 'https:' ? 443 : 80}`];
  if (target.registry === 'docker.io' || spellings.includes(target.registry.toLowerCase())) return target;
  throw usage(
    `that is ${host} in other words, and files have it under that name alone`,
    `reg doctor ${quote(host)}`,
  );
}
