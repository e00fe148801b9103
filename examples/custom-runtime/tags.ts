/**
 * Prints the tags of an image, by raw sockets: `tags.ts [image]`, as `docker.io/library/busybox`. Without an image it asks a
 * registry in this process, with a password.
 */

import {
  describe,
  endpoint,
  isRegistryAuthError,
  parseReference,
  type RealmPair,
  toVisible,
} from '@reg/core';
import { anonymousKeychain, createAuthorizer, type Keychain, staticKeychain } from '@reg/core/driver';
import { startRegistry } from '@reg/testing';
import { textOf } from './http1.ts';
import { send } from './sockets.ts';

/** More than a registry gives on one page. */
const longestList = 4 * 1024 * 1024;

async function printTags(url: URL, keychain: Keychain, pairs: readonly RealmPair[] = []): Promise<void> {
  const authorizer = createAuthorizer({ send, keychain, policy: { realms: { pairs } } });
  // The answer as a whole, body included: `send` alone bounds each wait, not their sum.
  const signal = AbortSignal.timeout(60_000);
  const request = { method: 'GET', url: url.href, headers: [], body: 'none' } as const;
  const { head, raw, failure } = await authorizer.request(request, { signal });
  const text = await textOf(raw, longestList);
  if (failure !== null) throw new Error(describe(failure));
  console.log(head.status, toVisible(text ?? 'more than anyone reads'));
}

async function main(image: string | undefined): Promise<void> {
  if (image !== undefined) return printTags(endpoint(parseReference(image), 'tags'), anonymousKeychain);
  const registry = await startRegistry({
    auth: 'bearer',
    users: { alice: 'wonderland' },
    repositories: { 'team/app': { tags: ['1.0', '1.1', 'latest'], access: { alice: ['pull'] } } },
  });
  const alice = { type: 'password', username: 'alice', password: 'wonderland' } as const;
  try {
    const url = new URL('/v2/team/app/tags/list', registry.url);
    // Its token server has another port of this machine, where nobody goes without being told to.
    await printTags(url, staticKeychain({ [registry.host]: alice }), [registry.pair]);
  } finally {
    await registry.close();
  }
}

await main(process.argv[2]).catch((error: unknown) => {
  console.error(isRegistryAuthError(error) ? describe(error.failure) : String(error));
  process.exitCode = 1;
});
