/** A dispatcher that is bound to the registry never sees the password that is for its token server. */

import { inspect } from 'node:util';
import { staticKeychain } from '@reg/core/driver';
import { canary, startRegistry } from '@reg/testing';
import { Agent, BalancedPool, Client, type Dispatcher, Pool } from 'undici';
import { describe, expect, test } from 'vitest';
import { createRegistryFetch } from '../src/index.ts';

describe('createRegistryFetch', () => {
  test.each<[string, (origin: string) => Dispatcher]>([
    ['Agent', () => new Agent()],
    ['Pool', (origin) => new Pool(origin)],
    ['Client', (origin) => new Client(origin)],
    ['BalancedPool', (origin) => new BalancedPool(origin)],
  ])('on a %s asks the token server, and nobody else, with the password', async (_name, create) => {
    const password = canary('password');
    const registry = await startRegistry({
      auth: 'bearer',
      users: { alice: password },
      repositories: { 'team/app': { tags: ['1'] } },
    });
    const dispatcher = create(registry.url);
    try {
      const fetch = createRegistryFetch({
        dispatcher,
        keychain: staticKeychain({ [registry.host]: { type: 'password', username: 'alice', password } }),
        policy: { realms: { pairs: [registry.pair] } },
      });
      const response = await fetch(`${registry.url}/v2/team/app/tags/list`);
      expect(response.status).toBe(200);
      await response.text();
      const basic = registry.requests.filter(({ headers }) =>
        String(headers['authorization'] ?? '').startsWith('Basic '),
      );
      expect(basic.map(({ server }) => server)).toEqual(['token']);
    } finally {
      await dispatcher.close();
      await registry.close();
    }
  });

  test.each([
    'http://u:hunter2@127.0.0.1:1/v2/',
    'ftp://u:hunter2@127.0.0.1:1/v2/',
    'https://u:hunter2@registry.test:99999/v2/',
    'https://u:hunter2@regis try.test/v2/',
    '//u:hunter2@registry.test/v2/',
  ])('names no password that stands in a URL, one that does not parse included: %s', async (url) => {
    const fetch = createRegistryFetch();
    const error = await fetch(url).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(TypeError);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('hunter2');
  });
});
