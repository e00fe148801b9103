/** What the driver costs and keeps: round trips, single flight, clocks, aborts. Counted at the servers. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import type { Keychain, StoreEntry, TokenStore } from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain, TokenCache } from '../../src/driver/index.ts';
import { isRegistryAuthError } from '../../src/error.ts';
import type { RegistryRequest } from '../../src/message.ts';
import type { PartialPolicy } from '../../src/policy.ts';
import { replay, toJson, toText } from '../../src/transcript/index.ts';
import { idle } from './clock.ts';
import { World, type WorldOptions } from './world.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };

function get(url: string): RegistryRequest {
  return { method: 'GET', url, headers: [], body: 'none' };
}

function set(
  options: WorldOptions = {},
  more: {
    credential?: Credential;
    keychain?: Keychain;
    policy?: PartialPolicy;
    store?: TokenStore;
    cache?: TokenCache;
  } = {},
) {
  const world = new World(options);
  const host = new URL(world.registry).host;
  const cache = more.cache ?? new TokenCache();
  const keychain =
    more.keychain ??
    (more.credential === undefined ? undefined : staticKeychain({ [host]: more.credential }));
  const authorizer = createAuthorizer<string>({
    send: world.send,
    now: world.clock.now,
    sleep: world.clock.sleep,
    cache,
    ...(keychain === undefined ? {} : { keychain }),
    ...(more.policy === undefined ? {} : { policy: more.policy }),
    ...(more.store === undefined ? {} : { store: more.store }),
  });
  const fetch = (url: string, signal?: AbortSignal) =>
    authorizer.request(get(url), signal === undefined ? {} : { signal });
  return { world, cache, authorizer, fetch, run: <T>(work: Promise<T>) => world.clock.run(work) };
}

async function failure(work: Promise<unknown>) {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  if (!isRegistryAuthError(error)) throw error ?? new Error('it resolved');
  return error;
}

describe('round trips (design §4)', () => {
  it('cold 3, again 1, another repository 2', async () => {
    const { world, fetch, run } = set({ users: ['alice:wonderland'] }, { credential: alice });
    expect((await run(fetch(world.url('team/app')))).head.status).toBe(200);
    expect(world.count()).toBe(3);
    await run(fetch(world.url('team/app')));
    expect(world.count()).toBe(4);
    await run(fetch(world.url('team/other')));
    expect(world.count()).toBe(6);
    expect(world.count('registry', 401)).toBe(1);
  });

  it('sends a warm request in the tick it was asked for', async () => {
    const { world, fetch, run } = set();
    await run(fetch(world.url('team/app')));
    const before = world.count();
    const warm = fetch(world.url('team/app'));
    expect(world.count()).toBe(before + 1);
    await run(warm);
  });

  it('an expired grant costs one token and no 401', async () => {
    const { world, fetch, run } = set({ expiresIn: 60 });
    await run(fetch(world.url('team/app')));
    world.clock.skip(61_000);
    await run(fetch(world.url('team/app')));
    expect(world.seen.map((s) => [s.to, s.status])).toEqual([
      ['registry', 401],
      ['authority', 200],
      ['registry', 200],
      ['authority', 200],
      ['registry', 200],
    ]);
  });

  it('an open origin costs one request each', async () => {
    const { world, fetch, run } = set({ scheme: 'none' });
    await run(fetch(world.url('a/b')));
    await run(fetch(world.url('c/d')));
    expect(world.count()).toBe(2);
  });

  it('Basic: cold 2, then 1', async () => {
    const { world, fetch, run } = set(
      { scheme: 'basic', users: ['alice:wonderland'] },
      { credential: alice },
    );
    await run(fetch(world.url('a/b')));
    await run(fetch(world.url('c/d')));
    expect(world.seen.map((s) => s.status)).toEqual([401, 200, 200]);
  });

  it('a pull,push grant serves a pull of the same repository (superset)', async () => {
    const { world, authorizer, fetch, run } = set();
    await run(
      authorizer.request({
        method: 'PUT',
        url: world.url('a/b', 'manifests/1'),
        headers: [],
        body: 'replayable',
      }),
    );
    const before = world.count();
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(world.count()).toBe(before + 1);
  });
});

describe('a hundred cold calls over ten repositories', () => {
  const hundred = (fetch: (url: string, signal?: AbortSignal) => Promise<unknown>, world: World, from = 0) =>
    Array.from({ length: 100 - from }, (_, i) => fetch(world.url(`team/app-${(i + from) % 10}`)));

  it('cost 111 requests, 10 of them for tokens', async () => {
    const { world, fetch, run } = set({ latencyMs: 20 });
    await run(Promise.all(hundred(fetch, world)));
    expect(world.count()).toBe(111);
    expect(world.count('authority')).toBe(10);
    expect(world.count('registry', 200)).toBe(100);
  });

  it('with the leader aborted', async () => {
    const { world, fetch, run } = set({ latencyMs: 20 });
    const abort = new AbortController();
    const leader = fetch(world.url('team/app-0'), abort.signal);
    const rest = hundred(fetch, world, 1);
    const reason = new Error('changed my mind');
    await idle();
    abort.abort(reason);
    await expect(run(leader)).rejects.toBe(reason);
    await run(Promise.all(rest));
    expect(world.count('registry', 200)).toBe(99);
    expect(world.count()).toBeLessThanOrEqual(112);
    expect(world.count('authority')).toBe(10);
  });

  it("with the leader's 401 delayed 5 s", async () => {
    const { world, fetch, run } = set({
      latencyMs: 20,
      onRegistry: (n, out, w) => (n === 1 ? slow401(w, out) : null),
    });
    await run(Promise.all(hundred(fetch, world)));
    expect(world.count('registry', 200)).toBe(100);
    expect(world.count()).toBeLessThanOrEqual(112);
    expect(world.count('authority')).toBe(10);
  });

  it('with a PUT first', async () => {
    const { world, authorizer, fetch, run } = set({ latencyMs: 20 });
    const put = authorizer.request({
      method: 'PUT',
      url: world.url('team/app-0', 'manifests/1'),
      headers: [],
      body: 'replayable',
    });
    await run(Promise.all([put, ...hundred(fetch, world, 1)]));
    expect(world.count('registry', 200)).toBe(100);
    expect(world.count()).toBeLessThanOrEqual(113);
  });

  it('while the leader finds nothing out nobody is held back', async () => {
    const { world, fetch, run } = set({ latencyMs: 20, onRegistry: () => ({ status: 404 }) });
    const before = world.clock.now();
    await run(Promise.all(hundred(fetch, world)));
    expect(world.clock.now() - before).toBeLessThanOrEqual(40);
  });
});

async function slow401(world: World, out: Parameters<World['send']>[0]) {
  await world.clock.sleep(5_000, new AbortController().signal);
  return { status: 401, headers: world.challenge(out) };
}

describe('single flight', () => {
  it('10,000 calls over 1,000 scopes, 30 % aborted, 1 % of flights failing', async () => {
    let failed = 0;
    const failing = new Set<string>();
    const { world, cache, authorizer, fetch, run } = set({
      latencyMs: 5,
      onToken: (n, out) => {
        if (n % 100 !== 50) return null;
        failed += 1;
        failing.add(new URL(out.url).searchParams.get('scope') ?? '');
        return { status: 400 };
      },
    });
    await run(fetch(world.url('seed/seed')));
    const tokensBefore = world.count('authority');
    const listeners = new CountingSignals();
    const random = seeded(7);
    const calls = Array.from({ length: 10_000 }, (_, i) => {
      const signal = listeners.next();
      const call = fetch(world.url(`team/app-${i % 1000}`), signal.signal);
      if (random() < 0.3) void Promise.resolve().then(() => signal.abort());
      return call;
    });
    const settled = await run(Promise.allSettled(calls));
    // A flight that failed on a hint is not asked for again by its own waiters: the bare request showed the same demand.
    const asked = new Map<string, number>();
    for (const { to, url } of world.seen.slice(3)) {
      const scope = new URL(url).searchParams.get('scope');
      if (to === 'authority' && scope !== null) asked.set(scope, (asked.get(scope) ?? 0) + 1);
    }
    expect(asked.size).toBe(1_000);
    for (const [scope, times] of asked)
      expect([scope, times]).toEqual([scope, failing.has(scope) ? times : 1]);
    expect(world.count('authority') - tokensBefore).toBe(
      1_000 + [...asked.values()].filter((n) => n > 1).length,
    );
    expect(failed).toBe(10);
    expect(settled.filter((s) => s.status === 'fulfilled').length).toBeGreaterThan(6_500);
    expect(listeners.left).toBe(0);
    expect(cache.flights.size).toBe(0);
    expect(world.clock.pending).toBe(0);
    // A cache that was given is others' as well.
    authorizer.close();
    expect(cache.size).toBeGreaterThan(900);
    authorizer.forget();
    expect(cache.size).toBe(0);
  }, 60_000);

  it('one key, 1,000 waiters, 999 aborted: one token request, one success', async () => {
    const { world, fetch, run } = set({ latencyMs: 50 });
    await run(fetch(world.url('seed/seed')));
    const before = world.count('authority');
    const aborts = Array.from({ length: 1_000 }, () => new AbortController());
    const calls = aborts.map((a) => fetch(world.url('team/app'), a.signal));
    await idle();
    for (const a of aborts.slice(1)) a.abort();
    const settled = await run(Promise.allSettled(calls));
    expect(settled.filter((s) => s.status === 'fulfilled')).toHaveLength(1);
    expect(world.count('authority') - before).toBe(1);
  });

  it('the last waiter that leaves ends the flight', async () => {
    const { world, cache, fetch, run } = set({ latencyMs: 50 });
    await run(fetch(world.url('seed/seed')));
    const abort = new AbortController();
    const call = fetch(world.url('team/app'), abort.signal);
    await idle();
    expect(cache.flights.size).toBe(1);
    abort.abort();
    await expect(run(call)).rejects.toThrow();
    expect(cache.flights.size).toBe(0);
    expect(world.clock.pending).toBe(0);
  });
});

describe('the life of a grant', () => {
  it('serves the old grant while one refresh runs, in the last tenth of its life', async () => {
    const { world, fetch, run } = set({ expiresIn: 100, latencyMs: 10 });
    await run(fetch(world.url('a/b')));
    world.clock.skip(91_000);
    const calls = [fetch(world.url('a/b')), fetch(world.url('a/b')), fetch(world.url('a/b'))];
    await run(Promise.all(calls));
    await idle();
    expect(world.count('authority')).toBe(2);
    expect(world.seen.filter((s) => s.authorization === 'Bearer token-1' && s.status === 200)).toHaveLength(
      4,
    );
    await run(fetch(world.url('a/b')));
    expect(world.seen.at(-1)?.authorization).toBe('Bearer token-2');
  });

  it('keeps serving when the refresh fails, and does not ask at every call', async () => {
    const { world, fetch, run } = set({
      expiresIn: 100,
      onToken: (n) => (n > 1 ? { status: 403 } : null),
    });
    await run(fetch(world.url('a/b')));
    world.clock.skip(91_000);
    for (let i = 0; i < 20; i++) {
      expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
      await idle();
    }
    expect(world.count('authority')).toBe(2);
  });

  it('a refused grant from memory is replaced once', async () => {
    const { world, fetch, run } = set();
    await run(fetch(world.url('a/b')));
    world.tokens.clear();
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(world.count('authority')).toBe(2);
  });

  it('two calls whose grant was refused share its replacement (Q58)', async () => {
    const { world, fetch, run } = set({ latencyMs: 10 });
    await run(fetch(world.url('a/b')));
    world.tokens.clear();
    await run(Promise.all([fetch(world.url('a/b')), fetch(world.url('a/b'))]));
    expect(world.count('authority')).toBe(2);
  });
});

describe('credentials', () => {
  it('asks a keychain once for many, and tells it what was refused', async () => {
    let password = 'wonderland';
    const asked: (string | undefined)[] = [];
    const keychain: Keychain = {
      async find(_origin, _repository, about) {
        asked.push(about?.rejected?.type === 'password' ? about.rejected.password : undefined);
        return { credential: { type: 'password', username: 'alice', password }, source: 'test' };
      },
    };
    const users = ['alice:wonderland'];
    const { world, fetch, run } = set({ users, expiresIn: 60 }, { keychain });
    await run(Promise.all([fetch(world.url('a/b')), fetch(world.url('a/b'))]));
    expect(asked).toEqual([undefined]);
    users[0] = 'alice:looking-glass';
    password = 'looking-glass';
    world.clock.skip(61_000);
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(asked).toEqual([undefined, 'wonderland']);
  });

  it('a wrong password fails once, and is not sent twice', async () => {
    const { world, fetch, run } = set(
      { users: ['alice:wonderland'] },
      { credential: { ...alice, password: 'no' } },
    );
    const error = await failure(run(fetch(world.url('a/b'))));
    expect(error.failure.kind).toBe('credential-rejected');
    expect(world.count('authority')).toBe(1);
  });

  it('a keychain that fails is a typed failure with its cause', async () => {
    const cause = new Error('docker-credential-x: not found');
    const keychain: Keychain = { find: () => Promise.reject(cause) };
    const { world, fetch, run } = set({}, { keychain });
    const error = await failure(run(fetch(world.url('a/b'))));
    expect(error.failure).toMatchObject({ kind: 'credential-unavailable', message: cause.message });
    expect(error.cause).toBe(cause);
  });

  it('a keychain that hangs ends at the deadline', async () => {
    const keychain: Keychain = { find: () => new Promise(() => {}) };
    const { world, fetch, run } = set({}, { keychain, policy: { deadlineMs: 1_000 } });
    const error = await failure(run(fetch(world.url('a/b'))));
    expect(error.failure).toMatchObject({ kind: 'deadline', ms: 1_000 });
    expect(world.clock.pending).toBe(0);
  });

  it('identity tokens that rotate are used one after another, and kept', async () => {
    const identities = Array.from({ length: 30 }, (_, i) => `identity-${i}`);
    const replaced: string[] = [];
    let current = 'identity-0';
    const keychain: Keychain = {
      find: async () => ({ credential: { type: 'identity', token: current }, source: 'test' }),
      replaced(_origin, _old, replacement) {
        if (replacement.type === 'identity') current = replacement.token;
        replaced.push(current);
      },
    };
    const { world, fetch, run } = set({ identities, latencyMs: 5 }, { keychain });
    await run(fetch(world.url('seed/seed')));
    const settled = await run(
      Promise.all(Array.from({ length: 10 }, (_, i) => fetch(world.url(`a/b-${i}`)))),
    );
    expect(settled.every((s) => s.head.status === 200)).toBe(true);
    expect(replaced).toHaveLength(11);
    expect(world.count('authority', 401)).toBe(0);
    // The rotation does not cost the grants: they belong to the same principal.
    const before = world.count();
    await run(fetch(world.url('a/b-3')));
    expect(world.count()).toBe(before + 1);
  });

  it('identity tokens that stay are used at the same time', async () => {
    const { world, fetch, run } = set(
      { identities: ['the-one'], latencyMs: 100 },
      { credential: { type: 'identity', token: 'the-one' } },
    );
    await run(fetch(world.url('seed/seed')));
    const before = world.clock.now();
    await run(Promise.all(Array.from({ length: 10 }, (_, i) => fetch(world.url(`a/b-${i}`)))));
    expect(world.clock.now() - before).toBe(200);
  });

  it('a registry token is sent as it is, wherever the realm points (requirement 108)', async () => {
    const { world, fetch, run } = set(
      { realm: 'https://169.254.169.254/token' },
      { credential: { type: 'registry', token: 'ready-made' } },
    );
    world.tokens.set('ready-made', { scopes: ['repository:a/b:pull'], until: Number.POSITIVE_INFINITY });
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(world.count('authority')).toBe(0);
  });
});

describe('the token exchange is sent again', () => {
  it('after a 503, within its attempts', async () => {
    const { world, fetch, run } = set({ onToken: (n) => (n < 3 ? { status: 503 } : null) });
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
    expect(world.count('authority')).toBe(3);
  });

  it('not before Retry-After', async () => {
    const { world, fetch, run } = set({
      onToken: (n) => (n === 1 ? { status: 429, headers: [['retry-after', '7']] } : null),
    });
    await run(fetch(world.url('a/b')));
    const [first, second] = world.seen.filter((s) => s.to === 'authority');
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(7_000);
  });

  it('not at all when Retry-After is past the deadline', async () => {
    const { world, fetch, run } = set({
      onToken: () => ({ status: 429, headers: [['retry-after', '3600']] }),
    });
    const error = await failure(run(fetch(world.url('a/b'))));
    expect(error.failure).toMatchObject({ kind: 'rate-limited', retryAfterMs: 3_600_000 });
    expect(world.count('authority')).toBe(1);
  });

  it('never for a refusal', async () => {
    for (const status of [400, 401, 403, 404]) {
      const { world, fetch, run } = set({ onToken: () => ({ status }) });
      await failure(run(fetch(world.url('a/b'))));
      expect([status, world.count('authority')]).toEqual([status, 1]);
    }
  });

  it('costs an outage no more than its budget', async () => {
    const { world, fetch, run } = set({ onToken: () => ({ status: 503 }) });
    for (let i = 0; i < 300; i++) await failure(run(fetch(world.url(`a/b-${i}`))));
    expect(world.count('authority')).toBeLessThanOrEqual(300 + 500 / 5);
  });
});

describe('aborts', () => {
  it('before anything: nothing is sent', async () => {
    const { world, fetch } = set();
    const reason = new Error('no');
    await expect(fetch(world.url('a/b'), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(world.count()).toBe(0);
  });

  it('while the token is awaited: the reason, and no listener left', async () => {
    const signals = new CountingSignals();
    const { world, fetch, run } = set({ onToken: () => new Promise(() => {}) });
    const { signal, abort } = signals.next();
    const call = fetch(world.url('a/b'), signal);
    await idle();
    expect(world.count('authority')).toBe(1);
    abort(new Error('enough'));
    await expect(run(call)).rejects.toThrow('enough');
    expect(signals.left).toBe(0);
    expect(world.clock.pending).toBe(0);
  });
});

describe('authorize', () => {
  it('gives the header a request needs, for a ping and a token, then for nothing', async () => {
    const { world, authorizer, run } = set();
    const url = world.url('a/b', 'manifests/1');
    const first = await run(authorizer.authorize({ url }));
    expect(first).toMatchObject({ header: 'Bearer token-1', granted: 'repository:a/b:pull' });
    expect(world.seen.map((s) => new URL(s.url).pathname)).toEqual(['/v2/', '/token']);
    const { header, expiresAt, granted } = first;
    expect(await run(authorizer.authorize({ url }))).toMatchObject({ header, expiresAt, granted });
    expect(world.count()).toBe(2);
  });

  it('asks for the scopes it is told, and says so in its transcript, which replays', async () => {
    const { world, authorizer, run } = set();
    const scopes = 'repository:a/b:delete,pull';
    const { granted, transcript } = await run(authorizer.authorize({ url: world.url('a/b'), scopes }));
    expect(granted).toBe(scopes);
    const told = toText(transcript());
    expect(told).toContain(`ask https://registry.test/token for ${scopes}`);
    expect(told).toContain('2 requests  0 ms   result: authorized');
    expect(replay(toJson(transcript())).mismatch).toBeNull();
  });

  it('null for a registry that asks for nothing', async () => {
    const { world, authorizer, run } = set({ scheme: 'none' });
    const { transcript, ...authorized } = await run(authorizer.authorize({ url: world.url('a/b') }));
    expect(authorized).toEqual({ header: null, expiresAt: null, granted: null });
    expect(toText(transcript())).toContain('result: open');
  });

  it('Basic', async () => {
    const { world, authorizer, run } = set(
      { scheme: 'basic', users: ['alice:wonderland'] },
      { credential: alice },
    );
    const { header } = await run(authorizer.authorize({ url: world.url('a/b') }));
    expect(header).toBe(`Basic ${Buffer.from('alice:wonderland').toString('base64')}`);
  });
});

describe('a store', () => {
  function memoryStore() {
    const entries = new Map<string, StoreEntry>();
    const store: TokenStore = {
      read: async (key) => entries.get(JSON.stringify(key)) ?? null,
      write: async (key, entry) => void entries.set(JSON.stringify(key), entry),
      forget: async (key) => void entries.delete(JSON.stringify(key)),
    };
    return { entries, store };
  }

  it('makes the first request of a second process the only one', async () => {
    const { store } = memoryStore();
    const first = set({}, { store });
    await first.run(first.fetch(first.world.url('a/b')));
    const second = set({}, { store });
    for (const [token, grant] of first.world.tokens) second.world.tokens.set(token, grant);
    expect((await second.run(second.fetch(second.world.url('a/b')))).head.status).toBe(200);
    expect(second.world.count()).toBe(1);
  });

  it('that fails knows nothing', async () => {
    const broken = () => Promise.reject(new Error('disk'));
    const { world, fetch, run } = set({}, { store: { read: broken, write: broken, forget: broken } });
    expect((await run(fetch(world.url('a/b')))).head.status).toBe(200);
  });

  it('of another credential is not looked into', async () => {
    const { store } = memoryStore();
    const first = set({}, { store, credential: alice });
    await first.run(first.fetch(first.world.url('a/b')));
    const second = set({}, { store, credential: { ...alice, username: 'bob' } });
    await second.run(second.fetch(second.world.url('a/b')));
    expect(second.world.count('authority')).toBe(1);
  });
});

describe('forget and close', () => {
  it('forget makes the next request cold', async () => {
    const { world, authorizer, fetch, run } = set();
    await run(fetch(world.url('a/b')));
    authorizer.forget(world.registry);
    await run(fetch(world.url('a/b')));
    expect(world.count()).toBe(6);
  });

  it('close ends what is under way', async () => {
    const { world, authorizer, fetch, run } = set({ onToken: () => new Promise(() => {}) });
    const call = fetch(world.url('a/b'));
    await idle();
    authorizer.close();
    await expect(run(call)).rejects.toThrow();
  });
});

/** Signals that count their listeners. */
class CountingSignals {
  left = 0;

  next() {
    const controller = new AbortController();
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      this.left += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      this.left -= 1;
      remove(...args);
    };
    return { signal, abort: (reason?: unknown) => controller.abort(reason) };
  }
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
