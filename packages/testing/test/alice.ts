/** Alice and a registry with repositories of hers, for the tests of the adapters, which import this file by path. */

import { onTestFinished } from 'vitest';
// By path: the core's tests depend on this package.
import { type Keychain, staticKeychain } from '../../core/src/driver/index.ts';
import { canary, type Registry, type RegistryOptions, startRegistry } from '../src/index.ts';

export const TAGS = '/v2/team/app/tags/list';

/** A registry whose `team/app` and `team/lib` are alice's, and what a client of hers needs. */
export async function stage(options: Partial<RegistryOptions> = {}) {
  const password = canary('password');
  const registry = await startRegistry({
    auth: 'bearer',
    users: { alice: password },
    repositories: {
      'team/app': { tags: { '1': 'app content' } },
      'team/lib': { tags: { '1': 'lib content' } },
      'team/none': { access: {} },
    },
    ...options,
  });
  onTestFinished(() => registry.close());
  return { registry, password, auth: clientOf(registry, password) };
}

/** Options of a client that is alice at `registry`. */
export function clientOf(registry: Registry, password: string) {
  return { keychain: aliceAt(registry.url, password), policy: { realms: { pairs: [registry.pair] } } };
}

/** Alice's password for the registry at `origin`. */
export function aliceAt(origin: string, password = 'x'): Keychain {
  return staticKeychain({ [new URL(origin).host]: { type: 'password', username: 'alice', password } });
}
