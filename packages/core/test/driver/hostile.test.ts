/** What a hostile server, a broken bystander or an odd setting must not do over several calls. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import type { AuthorizerOptions, Keychain, TokenStore } from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain, TokenCache } from '../../src/driver/index.ts';
import { isRegistryAuthError } from '../../src/error.ts';
import { idle } from './clock.ts';
import { World, type WorldOptions } from './world.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };
const identity = (token: string): Credential => ({ type: 'identity', token });

function set(options: WorldOptions, more: Partial<AuthorizerOptions<string>> = {}) {
  const world = new World(options);
  const authorizer = createAuthorizer<string>({
    send: world.send,
    now: world.clock.now,
    sleep: world.clock.sleep,
    ...more,
  });
  const get = (repository: string, signal?: AbortSignal) =>
    authorizer.request(
      { method: 'GET', url: world.url(repository), headers: [], body: 'none' },
      signal === undefined ? {} : { signal },
    );
  const kindOf = async (work: Promise<unknown>) => {
    const error = await world.clock.run(work).then(
      () => null,
      (e: unknown) => e,
    );
    return isRegistryAuthError(error) ? error.failure.kind : error;
  };
  return { world, authorizer, get, kindOf };
}

function keychainOf(credential: Credential): Keychain {
  return { find: async () => ({ credential, source: 'test' }) };
}

describe('Basic after Bearer (Q13)', () => {
  it.each([
    ['the same repository', ['a', 'a', 'a', 'a']],
    ['others', ['a', 'b', 'c', 'd']],
  ])('is refused on every call, for %s', async (_name, repositories) => {
    const { world, get, kindOf } = set(
      {
        onRegistry: (n) => {
          const challenge = n === 1 ? 'Bearer realm="https://sso.elsewhere.test/t"' : 'Basic realm="x"';
          return { status: 401, headers: [['www-authenticate', challenge]] };
        },
      },
      { keychain: staticKeychain({ 'registry.test': alice }) },
    );
    const kinds: unknown[] = [];
    for (const repository of repositories) kinds.push(await kindOf(get(repository)));
    expect(kinds).toEqual(['realm-untrusted', 'scheme-downgrade', 'scheme-downgrade', 'scheme-downgrade']);
    expect(world.seen.filter((s) => s.authorization !== null)).toEqual([]);
  });
});

describe('identity tokens', () => {
  it('that are replaced in a circle end no process', async () => {
    const { world, get } = set(
      {
        onToken: (_n, out, w) => {
          const sent = new URLSearchParams(out.form ?? '').get('refresh_token');
          w.tokens.set('t', { scopes: [], until: 0 });
          return {
            status: 200,
            body: JSON.stringify({ token: 't', refresh_token: sent === 'A' ? 'B' : 'A' }),
          };
        },
      },
      { keychain: keychainOf(identity('A')) },
    );
    for (const repository of ['a', 'b', 'c', 'd']) await world.clock.run(get(repository));
    expect(world.count('authority')).toBeGreaterThanOrEqual(4);
  });

  it('that replace a good one by a bad one are forgotten once they are refused', async () => {
    const sent: (string | null)[] = [];
    const { world, get, kindOf } = set(
      {
        onToken: (_n, out, w) => {
          const token = new URLSearchParams(out.form ?? '').get('refresh_token');
          sent.push(token);
          if (token !== 'A') return { status: 401, body: '{"error":"invalid_grant"}' };
          const scopes = [new URLSearchParams(out.form ?? '').get('scope') ?? ''];
          w.tokens.set(`t-${sent.length}`, { scopes, until: Number.POSITIVE_INFINITY });
          return { status: 200, body: JSON.stringify({ token: `t-${sent.length}`, refresh_token: 'BOGUS' }) };
        },
      },
      { keychain: keychainOf(identity('A')) },
    );
    expect((await world.clock.run(get('a'))).head.status).toBe(200);
    expect(await kindOf(get('b'))).toBe('credential-rejected');
    expect((await world.clock.run(get('c'))).head.status).toBe(200);
    expect(sent).toEqual(['A', 'BOGUS', 'A']);
  });
});

describe('a cache that is shared', () => {
  it('is not closed with one of those who share it', async () => {
    const cache = new TokenCache();
    const a = set({}, { cache });
    const b = set({ latencyMs: 10 }, { cache });
    const call = b.get('a');
    await idle();
    a.authorizer.close();
    expect((await b.world.clock.run(call)).head.status).toBe(200);
    expect(cache.size).toBe(1);
  });
});

describe('bystanders that fail', () => {
  const broken = (): never => {
    throw new Error('disk');
  };
  const reject = () => Promise.reject(new Error('disk'));
  const nonsense = { kind: 'grant', token: 7, asked: null } as never;
  const halfNonsense = { kind: 'grant', token: 'a-token', asked: 7, expiresAt: 'soon' } as never;

  it.each<[string, TokenStore]>([
    ['throws', { read: broken, write: broken, forget: broken }],
    ['rejects', { read: reject, write: reject, forget: reject, once: reject }],
    ['has a lock that throws', { read: async () => null, write: reject, forget: reject, once: broken }],
    ['answers half nonsense', { read: async () => halfNonsense, write: reject, forget: reject }],
    ['answers nonsense', { read: async () => nonsense, write: reject, forget: reject }],
    ['hangs', { read: () => new Promise(() => {}), write: reject, forget: reject }],
  ])('a store that %s costs no call', async (_name, store) => {
    const { world, get, kindOf } = set({}, { store, policy: { deadlineMs: 1_000 } });
    const kind = await kindOf(get('a'));
    if (_name !== 'hangs') expect(kind).toBeNull();
    else expect(kind).toBe('deadline');
    expect(world.clock.pending).toBe(0);
  });

  it('an observer that rejects is no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', listen);
    const { world, get } = set({}, { onStep: async () => broken() });
    expect((await world.clock.run(get('a'))).head.status).toBe(200);
    await idle();
    await idle();
    process.off('unhandledRejection', listen);
    expect(unhandled).toEqual([]);
  });
});

describe('odd settings', () => {
  it('a deadline past 31 bits is no deadline of 1 ms', async () => {
    const world = new World({});
    const authorizer = createAuthorizer<string>({ send: world.send, policy: { deadlineMs: 2 ** 40 } });
    const call = { method: 'GET', url: world.url('a'), headers: [], body: 'none' } as const;
    expect((await authorizer.request(call)).head.status).toBe(200);
  });

  it.each([
    ['r.test', 'https://r.test', true],
    ['r.test', 'http://r.test', false],
    ['r.test:80', 'http://r.test', true],
    ['r.test:443', 'https://r.test', true],
    ['r.test:443', 'http://r.test', false],
  ])('a credential for %s answers %s: %s', async (key, origin, known) => {
    const found = await staticKeychain({ [key]: alice }).find(origin);
    expect(found?.credential ?? null).toEqual(known ? alice : null);
  });
});
