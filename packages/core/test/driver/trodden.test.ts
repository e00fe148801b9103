/**
 * What is sent before the machine is run is what the machine would have sent, and what comes of it is what the machine makes
 * of it. Two authorizers live through the same: one that goes ahead, and one that an observer watches, which never does.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Authorizer, createAuthorizer, TokenCache } from '../../src/driver/index.ts';
import type { Found } from '../../src/driver/port.ts';
import { type Credential, isRegistryAuthError, type RegistryRequest } from '../../src/index.ts';
import { type Answer, World, type WorldOptions } from './world.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };
const bob: Credential = { type: 'password', username: 'bob', password: 'builder-of-things' };

type Act =
  | { readonly do: 'request'; readonly method: string; readonly repository: string; readonly headers: number }
  | { readonly do: 'skip'; readonly ms: number }
  | { readonly do: 'forget' | 'revoke' | 'switch' | 'empty' }
  | { readonly do: 'answer'; readonly with: number };

/** What the registry says in place of its own answer, once. */
const answers: readonly Answer[] = [
  { status: 403, body: '{"errors":[{"code":"DENIED","message":"no"}]}' },
  { status: 400 },
  { status: 404 },
  { status: 429, headers: [['retry-after', '1']] },
  { status: 500 },
  { status: 206 },
  { status: 307, headers: [['location', '/v2/team/b/tags/list']] },
  { status: 307, headers: [['location', 'https://blobs.test/x']] },
  { status: 401, headers: [['www-authenticate', 'Basic realm="r"']] },
  { status: 401, headers: [['www-authenticate', 'Bearer realm="https://registry.test/other",service="s"']] },
  {
    status: 403,
    headers: [
      [
        'www-authenticate',
        'Bearer realm="https://registry.test/token",service="world",scope="repository:team/a:pull,delete",error="insufficient_scope"',
      ],
    ],
  },
];

const headers: readonly RegistryRequest['headers'][] = [
  [],
  [
    ['accept', 'text/plain'],
    ['x-own', 'of-the-caller'],
  ],
  [['authorization', 'Bearer of-the-caller']],
];

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('request' as const),
      method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'PUT'),
      repository: fc.constantFrom('team/a', 'team/a', 'team/b'),
      headers: fc.constantFrom(0, 0, 1, 2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      with: fc.nat(answers.length - 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('skip' as const),
      ms: fc.constantFrom(0, 1_000, 9_999, 11_000, 55_000, 61_000, 301_000, 601_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom('forget', 'revoke', 'switch', 'empty') as fc.Arbitrary<'forget'>,
    }),
  },
);

/** One authorizer, its world, and what became of each request. */
class Life {
  readonly world: World;
  readonly told: unknown[] = [];
  readonly #authorizer: Authorizer<string>;
  readonly #cache = new TokenCache();
  #next: Answer | null = null;
  #credential: Credential | null = alice;

  constructor(options: WorldOptions, watched: boolean) {
    this.world = new World({
      ...options,
      users: ['alice:wonderland', 'bob:builder-of-things'],
      onRegistry: () => {
        const answer = this.#next;
        this.#next = null;
        return answer;
      },
    });
    const { send, clock } = this.world;
    this.#authorizer = createAuthorizer<string>({
      send,
      now: clock.now,
      sleep: clock.sleep,
      cache: this.#cache,
      keychain: { find: async (): Promise<Found> => ({ credential: this.#credential, source: 'here' }) },
      ...(watched ? { onStep: () => {} } : {}),
    });
  }

  async live(act: Act): Promise<void> {
    switch (act.do) {
      case 'request':
        return this.#request(act);
      case 'skip':
        return this.world.clock.skip(act.ms);
      case 'forget':
        return this.#authorizer.forget(this.world.registry);
      case 'revoke':
        return this.world.tokens.clear();
      case 'empty':
        return this.#cache.forget();
      case 'switch':
        this.#credential = this.#credential === alice ? bob : alice;
        return this.#authorizer.forget();
      case 'answer':
        this.#next = answers[act.with] ?? null;
    }
  }

  async #request({ method, repository, headers: chosen }: Act & { do: 'request' }): Promise<void> {
    const request: RegistryRequest = {
      method,
      url: this.world.url(repository),
      headers: headers[chosen] ?? [],
      body: method === 'PUT' ? 'once' : 'none',
    };
    try {
      const delivered = await this.world.clock.run(this.#authorizer.request(request));
      const { transcript, ...rest } = delivered;
      this.told.push({ ...rest, transcript: transcript(), again: transcript() });
    } catch (error) {
      this.told.push(isRegistryAuthError(error) ? [error.failure, error.transcript] : String(error));
    }
  }
}

const schemes = ['bearer', 'basic', 'none'] as const;

describe('a path that was trodden before', () => {
  it.each(schemes)('leads where the machine leads, whatever happens meanwhile (%s)', async (scheme) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 14 }),
        fc.constantFrom(60, 300),
        async (acts, expiresIn) => {
          const [ahead, watched] = [
            new Life({ scheme, expiresIn }, false),
            new Life({ scheme, expiresIn }, true),
          ];
          for (const one of acts) {
            await ahead.live(one);
            await watched.live(one);
          }
          expect(ahead.world.seen).toEqual(watched.world.seen);
          expect(ahead.world.discarded).toBe(watched.world.discarded);
          expect(ahead.told).toEqual(watched.told);
        },
      ),
      { numRuns: 400 },
    );
  });
});
