/**
 * Registries and repositories that this machine has heard of.
 *
 * Rules of this file: they are read from where credentials and tokens are kept. No request is sent and no credential helper is
 * run: whoever presses TAB has not asked for either. What cannot be read is not known, and nothing is said of it.
 */

import { parseScopes } from '@reg/core';
import { listCredentials } from '../credentials/keep.ts';
import { ownerOf } from '../registry/owner.ts';
import { storeAt } from '../registry/store.ts';
import type { Surroundings } from '../surroundings.ts';

export interface Known {
  /** As they are written: `ghcr.io`, `localhost:5000`. */
  readonly registries: readonly string[];
  /** `ghcr.io/o/app`. */
  readonly repositories: readonly string[];
}

/** What is known, in the order of the alphabet. */
export async function knownNames({ env }: Surroundings): Promise<Known> {
  const registries = new Set<string>();
  const repositories = new Set<string>();
  // Without a path to look on no helper is found, and what a file says of it is listed all the same.
  const { credentials } = await listCredentials(ownerOf({ ...env, PATH: '' }));
  for (const { registry } of credentials) registries.add(registry);
  for (const { registry, scopes } of await storeAt(env).list()) {
    const name = hostOf(registry);
    registries.add(name);
    for (const scope of parseScopes(scopes ?? '')) {
      if ('type' in scope && scope.type === 'repository') repositories.add(`${name}/${scope.name}`);
    }
  }
  return { registries: [...registries].toSorted(), repositories: [...repositories].toSorted() };
}

/** Docker Hub has a name of its own in references. */
function hostOf(origin: string): string {
  const { host } = new URL(origin);
  return host === 'registry-1.docker.io' ? 'docker.io' : host;
}
