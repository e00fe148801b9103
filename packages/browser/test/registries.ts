/** Registries for the tests of a page, closed when the test that started them ends. */

import { canary, type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { onTestFinished } from 'vitest';
import type { Account } from './pages/page.ts';

export const PUBLIC_TAGS = '/v2/library/busybox/tags/list';
export const PRIVATE_TAGS = '/v2/team/app/tags/list';

/** A registry that any page may read, where `library/busybox` is everybody's and `team/app` alice's. */
export async function registryFor(
  options: Partial<RegistryOptions> = {},
): Promise<{ readonly registry: Registry; readonly alice: Account }> {
  const password = canary('password');
  const registry = await startRegistry({
    auth: 'bearer',
    cors: true,
    users: { alice: password },
    repositories: {
      'library/busybox': { visibility: 'public', tags: { latest: 'busybox' } },
      'team/app': { tags: { '1': 'app content' } },
    },
    ...options,
  });
  onTestFinished(() => registry.close());
  const { host, pair } = registry;
  return { registry, alice: { host, pair, password } };
}

/** What reached the three servers, in order: `GET registry`. */
export function arrived({ requests }: Registry): string[] {
  return requests.map(({ method, server }) => `${method} ${server}`);
}
