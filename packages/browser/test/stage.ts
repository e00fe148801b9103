/** What the tests that run in Node share: registries and servers that end with the test that started them. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type Keychain, staticKeychain } from '@reg/core/driver';
import { canary, type Registry, type RegistryOptions, startRegistry } from '@reg/testing';
import { expect, onTestFinished } from 'vitest';

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

/** A server of one's own. Resolves to its origin. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

/** What `attempt` rejects with. */
export async function errorOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => expect.unreachable('it resolved'),
    (error: unknown) => error,
  );
}

/** Waits for `condition`, a turn of the event loop at a time. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
