/** What happens at the edges of the driver: hosts that fail, callers that leave, memory that is full or stale. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import { startDeadline, timerSleep, unlessAborted } from '../../src/driver/clock.ts';
import { CredentialMemory } from '../../src/driver/credentials.ts';
import { Flights } from '../../src/driver/flights.ts';
import { Gate } from '../../src/driver/gate.ts';
import type { Keychain, Send, StoreEntry, StoreKey, TokenStore } from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain, TokenCache } from '../../src/driver/index.ts';
import { isRegistryAuthError } from '../../src/error.ts';
import type { Grant, Need } from '../../src/grant.ts';
import type { RegistryRequest } from '../../src/message.ts';
import type { PartialPolicy } from '../../src/policy.ts';
import { parseScopes } from '../../src/scope.ts';
import { Secret } from '../../src/secret.ts';
import { idle, VirtualClock } from './clock.ts';
import { World, type WorldOptions } from './world.ts';

const alice: Credential = { type: 'password', username: 'alice', password: 'wonderland' };

function set(
  options: WorldOptions = {},
  more: {
    keychain?: Keychain;
    policy?: PartialPolicy;
    store?: TokenStore;
    send?: (world: World) => Send<string>;
  } = {},
) {
  const world = new World(options);
  const authorizer = createAuthorizer<string>({
    send: more.send?.(world) ?? world.send,
    now: world.clock.now,
    sleep: world.clock.sleep,
    ...(more.keychain === undefined ? {} : { keychain: more.keychain }),
    ...(more.policy === undefined ? {} : { policy: more.policy }),
    ...(more.store === undefined ? {} : { store: more.store }),
  });
  const ask = (request: Partial<RegistryRequest> & { url: string }, signal?: AbortSignal) =>
    world.clock.run(
      authorizer.request(
        { method: 'GET', headers: [], body: 'none', ...request },
        signal === undefined ? {} : { signal },
      ),
    );
  return { world, authorizer, ask, run: <T>(work: Promise<T>) => world.clock.run(work) };
}

async function failure(work: Promise<unknown>) {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  if (!isRegistryAuthError(error)) throw error ?? new Error('it resolved');
  return error;
}

function keychainOf(...credentials: (Credential | null)[]): Keychain {
  let n = 0;
  return {
    async find() {
      const credential = credentials[Math.min(n++, credentials.length - 1)] ?? null;
      return { credential, source: 'test' };
    },
  };
}

describe('the network', () => {
  it.each<[unknown, object]>([
    [
      Object.assign(new Error('refused'), { phase: 'connect', code: 'ECONNREFUSED' }),
      { phase: 'connect', code: 'ECONNREFUSED', message: 'refused' },
    ],
    [
      Object.assign(new Error('odd'), { phase: 'coffee', code: 7 }),
      { phase: 'unknown', code: 'UNKNOWN', message: 'odd' },
    ],
    ['a string', { phase: 'unknown', code: 'UNKNOWN', message: 'a string' }],
  ])('that fails the registry request with %s', async (thrown, facts) => {
    const { world, ask } = set({}, { send: () => () => Promise.reject(thrown) });
    const error = await failure(ask({ url: world.url('a/b') }));
    expect(error.failure).toMatchObject({ kind: 'network', to: 'registry', ...facts });
    expect(error.cause).toBe(thrown);
  });

  it('that loses the token request is tried again, then is a failure with its cause', async () => {
    const lost = Object.assign(new Error('reset'), { phase: 'head', code: 'ECONNRESET' });
    const { world, ask } = set({ onToken: () => Promise.reject(lost) });
    const error = await failure(ask({ url: world.url('a/b') }));
    expect(error.failure).toMatchObject({
      kind: 'network',
      to: 'authority',
      phase: 'head',
      code: 'ECONNRESET',
    });
    expect(error.cause).toBe(lost);
    expect(world.count('authority')).toBe(3);
  });

  it('that loses the body of a token response names the phase', async () => {
    const { world, ask } = set(
      {},
      {
        policy: { retry: { attempts: 1 } },
        send: (w) => async (out, signal) => {
          const reply = await w.send(out, signal);
          return out.to === 'registry' ? reply : { ...reply, text: () => Promise.reject(new Error('cut')) };
        },
      },
    );
    const { failure: found } = await failure(ask({ url: world.url('a/b') }));
    expect(found).toMatchObject({ kind: 'network', to: 'authority', phase: 'body', message: 'cut' });
  });

  it('a body over the limit is too large, and is not kept (GHSA: 65 KiB of gzip became 64 MiB)', async () => {
    const { world, ask } = set({ onToken: () => ({ status: 200, body: 'x'.repeat(200_000) }) });
    const { failure: found } = await failure(ask({ url: world.url('a/b') }));
    expect(found).toMatchObject({ kind: 'token-invalid', reason: 'too-large' });
  });

  it('a transport that cannot look ahead costs the words of the registry, not the answer', async () => {
    for (const peek of [undefined, () => Promise.reject(new Error('gone'))]) {
      const { world, ask } = set(
        { onRegistry: () => ({ status: 403, body: '{"errors":[{"code":"DENIED","message":"no"}]}' }) },
        {
          send: (w) => async (out, signal) => {
            const { peek: _own, ...reply } = await w.send(out, signal);
            return peek === undefined ? reply : { ...reply, peek };
          },
        },
      );
      const delivered = await ask({ url: world.url('a/b') });
      expect(delivered.failure).toMatchObject({ kind: 'denied', status: 403, problems: [] });
      expect(delivered.raw).toContain('DENIED');
    }
  });

  it('one that hears no signal while it looks ahead keeps no caller who leaves', async () => {
    let looks = (): void => {};
    const looking = new Promise<void>((resolve) => {
      looks = resolve;
    });
    const { world, ask } = set(
      { onRegistry: () => ({ status: 403 }) },
      {
        send: (w) => async (out, signal) => {
          const peek = (): Promise<string> => {
            looks();
            return new Promise(() => {});
          };
          return { ...(await w.send(out, signal)), peek };
        },
      },
    );
    const controller = new AbortController();
    const call = ask({ url: world.url('a/b') }, controller.signal);
    await looking;
    controller.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
    expect(world.discarded).toBe(1);
  });

  it('says what the registry says', async () => {
    const { world, ask } = set({
      onRegistry: () => ({ status: 403, body: '{"errors":[{"code":"DENIED","message":"no"}]}' }),
    });
    const delivered = await ask({ url: world.url('a/b') });
    expect(delivered.failure).toMatchObject({ problems: [{ code: 'DENIED', message: 'no' }] });
    expect(delivered.transcript().steps).toHaveLength(1);
    expect((await ask({ url: world.url('a/b'), method: 'HEAD' })).failure).toMatchObject({ problems: [] });
  });
});

describe('bodies that can be sent once', () => {
  it('wait for a ping; the body itself is sent once', async () => {
    const { world, ask } = set();
    const delivered = await ask({ method: 'PUT', url: world.url('a/b', 'manifests/1'), body: 'once' });
    expect(delivered.head.status).toBe(200);
    expect(world.seen.map((s) => `${s.method} ${new URL(s.url).pathname}`)).toEqual([
      'GET /v2/',
      'GET /token',
      'PUT /v2/a/b/manifests/1',
    ]);
  });

  it('a 401 after that is body-spent, and the repeat works', async () => {
    const { world, ask } = set();
    await ask({ url: world.url('a/b') });
    world.tokens.clear();
    const put = { method: 'PUT', url: world.url('a/b', 'manifests/1'), body: 'once' } as const;
    await ask({ ...put, body: 'replayable' });
    world.tokens.clear();
    expect((await ask(put)).failure).toMatchObject({ kind: 'body-spent' });
    expect((await ask(put)).head.status).toBe(200);
  });
});

describe('redirects', () => {
  it('tell where the answer came from, and are left alone when the caller wants to', async () => {
    const { world, ask } = set({
      scheme: 'none',
      onRegistry: (_n, out) =>
        out.url.includes('/blobs/') ? { status: 307, headers: [['location', 'https://cdn.test/x']] } : null,
    });
    const url = world.url('a/b', 'blobs/sha256:00');
    expect(await ask({ url })).toMatchObject({ url: 'https://cdn.test/x', redirected: true });
    expect(await ask({ url, redirect: 'manual' })).toMatchObject({
      url,
      redirected: false,
      head: { status: 307 },
    });
  });

  it("a target's challenge is answered anonymously", async () => {
    const keychain = staticKeychain({ 'registry.test': alice, 'cdn.test': alice });
    const { world, ask } = set(
      {
        onRegistry: (_n, out) => {
          if (out.url.includes('registry.test'))
            return { status: 307, headers: [['location', 'https://cdn.test/v2/a/b/blobs/x']] };
          const authorized = out.headers.some(([name]) => name === 'authorization');
          return authorized
            ? { status: 200 }
            : { status: 401, headers: [['www-authenticate', 'Bearer realm="https://cdn.test/token"']] };
        },
      },
      { keychain },
    );
    const twice = [
      await ask({ url: world.url('a/b', 'blobs/x') }),
      await ask({ url: world.url('a/b', 'blobs/x') }),
    ];
    expect(twice.map((d) => d.head.status)).toEqual([200, 200]);
    const tokens = world.seen.filter((s) => s.to === 'authority');
    expect(tokens.map((s) => s.authorization)).toEqual([null]);
  });
});

describe('credentials', () => {
  it('a changed Basic password is looked up again, and only a changed one is sent', async () => {
    const users = ['alice:wonderland'];
    const changed: Credential = { ...alice, password: 'looking-glass' };
    const { world, ask } = set({ scheme: 'basic', users }, { keychain: keychainOf(alice, changed) });
    await ask({ url: world.url('a/b') });
    users[0] = 'alice:looking-glass';
    expect((await ask({ url: world.url('a/b') })).head.status).toBe(200);
    users[0] = 'alice:tea';
    // The registry's own last word, as if it were the first.
    const { head, failure: why, raw } = await ask({ url: world.url('a/b') });
    expect([head.status, raw]).toEqual([401, '']);
    expect(why).toMatchObject({ kind: 'credential-rejected', scheme: 'basic', status: 401 });
    expect(world.count('registry', 401)).toBe(3);
  });

  it('a Basic password that never worked is delivered as the 401 it is, and forgotten', async () => {
    const { world, ask } = set({ scheme: 'basic', users: [] }, { keychain: keychainOf(alice) });
    expect((await ask({ url: world.url('a/b') })).failure).toMatchObject({ kind: 'credential-rejected' });
    expect((await ask({ url: world.url('a/b') })).failure).toMatchObject({ kind: 'credential-rejected' });
  });

  it.each<[Credential | null, object]>([
    [null, { kind: 'credential-missing', scheme: 'basic' }],
    [
      { type: 'identity', token: 't' },
      { kind: 'credential-unusable', reason: 'identity-token-for-basic' },
    ],
    [
      { type: 'registry', token: 't' },
      { kind: 'credential-unusable', reason: 'registry-token-for-basic' },
    ],
    [
      { ...alice, username: 'a:b' },
      { kind: 'credential-unusable', reason: 'colon-in-username' },
    ],
  ])('%j does not answer Basic', async (credential, facts) => {
    const { world, ask } = set({ scheme: 'basic' }, { keychain: keychainOf(credential) });
    expect((await failure(ask({ url: world.url('a/b') }))).failure).toMatchObject(facts);
  });

  it('a keychain that fails with no Error still is a failure', async () => {
    const { world, ask } = set({}, { keychain: { find: () => Promise.reject('locked') } });
    expect((await failure(ask({ url: world.url('a/b') }))).failure).toMatchObject({ message: 'locked' });
  });

  it('are asked for again when they expire, by the keychain or after five minutes', async () => {
    let asked = 0;
    let expiresAt: number | undefined;
    const keychain: Keychain = {
      async find() {
        asked += 1;
        return { credential: alice, source: 'test', ...(expiresAt === undefined ? {} : { expiresAt }) };
      },
    };
    const { world, ask } = set({ expiresIn: 3_600 }, { keychain });
    expiresAt = world.clock.now() + 1_000;
    await ask({ url: world.url('a/b') });
    world.clock.skip(2_000);
    expiresAt = undefined;
    await ask({ url: world.url('a/b') });
    world.clock.skip(299_000);
    await ask({ url: world.url('a/b') });
    expect(asked).toBe(2);
    world.clock.skip(2_000);
    await ask({ url: world.url('a/b') });
    expect(asked).toBe(3);
  });

  it.each<[string, Credential | null | 'fails']>([
    ['the same', alice],
    ['none', null],
    ['a failure', 'fails'],
    ['one that needs no exchange', { type: 'registry', token: 'ready' }],
  ])('a remembered one that is refused, with %s in its place: the refusal stands', async (_name, next) => {
    const users = ['alice:wonderland'];
    let asked = 0;
    const keychain: Keychain = {
      async find() {
        asked += 1;
        if (asked > 1 && next === 'fails') throw new Error('locked');
        return { credential: asked > 1 && next !== 'fails' ? next : alice, source: 'test' };
      },
    };
    const { world, ask } = set({ users, expiresIn: 60 }, { keychain });
    await ask({ url: world.url('a/b') });
    users.length = 0;
    world.clock.skip(61_000);
    expect((await failure(ask({ url: world.url('a/b') }))).failure).toMatchObject({
      kind: 'credential-rejected',
    });
    expect(asked).toBe(2);
  });

  it('a request about no repository has one as well', async () => {
    const { world, ask } = set({ users: ['alice:wonderland'] }, { keychain: keychainOf(alice) });
    const url = `${world.registry}/v2/_catalog`;
    expect((await ask({ url })).head.status).toBe(200);
  });

  it('an identity token that the keychain cannot keep still serves', async () => {
    const keychain: Keychain = {
      ...keychainOf({ type: 'identity', token: 'i-0' }),
      replaced: () => Promise.reject(new Error('read-only')),
    };
    const { world, ask } = set({ identities: ['i-0', 'i-1', 'i-2'] }, { keychain });
    expect((await ask({ url: world.url('a/b') })).head.status).toBe(200);
  });

  it('an identity token that was replaced is not used again, whatever the keychain says', async () => {
    const keychain = keychainOf({ type: 'identity', token: 'i-0' });
    const { world, ask } = set({ identities: ['i-0', 'i-1', 'i-2', 'i-3'] }, { keychain });
    for (const name of ['a', 'b', 'c']) expect((await ask({ url: world.url(name) })).head.status).toBe(200);
    expect(world.count('authority', 401)).toBe(0);
  });

  it('those who leave while they wait for their turn do not take it', async () => {
    const keychain = keychainOf({ type: 'identity', token: 'i-0' });
    const { world, authorizer, ask, run } = set(
      { identities: ['i-0', 'i-1', 'i-2', 'i-3'], latencyMs: 10 },
      { keychain },
    );
    await ask({ url: world.url('seed/seed') });
    const abort = new AbortController();
    const request = { method: 'GET', headers: [], body: 'none' } as const;
    const first = authorizer.request({ ...request, url: world.url('a/b') });
    const left = authorizer.request({ ...request, url: world.url('c/d') }, { signal: abort.signal });
    await idle();
    abort.abort();
    await expect(run(left)).rejects.toThrow();
    await run(first);
    await idle();
    expect(world.count('authority', 200)).toBe(2);
  });

  it('a turn that comes after the memory was cleared uses what it had', async () => {
    const keychain = keychainOf({ type: 'identity', token: 'i-0' });
    const { world, authorizer, ask, run } = set(
      { identities: ['i-0', 'i-1', 'i-2', 'i-3'], latencyMs: 10 },
      { keychain },
    );
    await ask({ url: world.url('seed/seed') });
    const request = { method: 'GET', headers: [], body: 'none' } as const;
    const work = authorizer.request({ ...request, url: world.url('a/b') });
    await Promise.resolve();
    authorizer.forget();
    expect((await run(work)).head.status).toBe(200);
  });
});

describe('a store', () => {
  /** `challenge`, or the scopes of a grant. */
  function nameOf(key: StoreKey): string {
    return key.kind === 'challenge' ? key.kind : key.scopes;
  }

  function storeOf(entries: Map<string, StoreEntry>, more: Partial<TokenStore> = {}): TokenStore {
    return {
      read: async (key) => entries.get(nameOf(key)) ?? null,
      write: async (key, entry) => void entries.set(nameOf(key), entry),
      forget: async (key) => void entries.delete(nameOf(key)),
      ...more,
    };
  }

  it('runs an exchange in one process at a time where it can', async () => {
    let inside = 0;
    const store = storeOf(new Map(), {
      async once(_key, work) {
        inside += 1;
        return work();
      },
    });
    const { world, ask } = set({}, { store });
    await ask({ url: world.url('a/b') });
    expect(inside).toBe(1);
  });

  it('of dead grants, stale challenges or the wrong kind is as good as empty', async () => {
    const entries = new Map<string, StoreEntry>();
    const first = set({}, { store: storeOf(entries) });
    await first.ask({ url: first.world.url('a/b') });
    const [challenge, grant] = [entries.get('challenge'), entries.get('repository:a/b:pull')];
    if (challenge === undefined || grant?.kind !== 'grant') throw new Error('nothing was stored');
    for (const [c, g] of [
      [{ ...challenge, expiresAt: 0 }, grant],
      [challenge, { ...grant, expiresAt: grant.obtainedAt - 1 }],
      [grant, challenge],
    ] as const) {
      const { world, ask } = set(
        {},
        {
          store: storeOf(
            new Map([
              ['challenge', c],
              ['repository:a/b:pull', g],
            ]),
          ),
        },
      );
      expect((await ask({ url: world.url('a/b') })).head.status).toBe(200);
    }
  });

  it('keeps what the server said it granted', async () => {
    const entries = new Map<string, StoreEntry>();
    const onToken = (_n: number, out: { url: string }, world: World) => {
      const scopes = new URL(out.url).searchParams.getAll('scope');
      world.tokens.set('t', { scopes, until: Number.POSITIVE_INFINITY });
      return { status: 200, body: JSON.stringify({ token: 't', scope: scopes.join(' ') }) };
    };
    const first = set({ onToken }, { store: storeOf(entries) });
    await first.ask({ url: first.world.url('a/b') });
    expect(entries.get('repository:a/b:pull')).toMatchObject({ granted: 'repository:a/b:pull' });
    const second = set({ onToken }, { store: storeOf(entries) });
    second.world.tokens.set('t', { scopes: ['repository:a/b:pull'], until: Number.POSITIVE_INFINITY });
    await second.ask({ url: second.world.url('a/b') });
    expect(second.world.count()).toBe(1);
  });

  it('forgets a challenge that misled', async () => {
    const entries = new Map<string, StoreEntry>();
    let open = false;
    const { world, ask } = set(
      {
        onToken: (n) => (n === 1 ? null : { status: 400 }),
        onRegistry: () => (open ? { status: 200 } : null),
      },
      { store: storeOf(entries) },
    );
    await ask({ url: world.url('a/b') });
    expect(entries.has('challenge')).toBe(true);
    open = true;
    expect((await ask({ url: world.url('c/d') })).head.status).toBe(200);
    expect(entries.has('challenge')).toBe(false);
  });
});

describe('authorize', () => {
  it('fails as a request does', async () => {
    const { world, authorizer, run } = set({ onToken: () => ({ status: 400 }) });
    const error = await failure(run(authorizer.authorize({ url: world.url('a/b') })));
    expect(error.failure.kind).toBe('token-refused');
  });

  it('can be aborted, before and while it waits', async () => {
    const { world, authorizer, run } = set({ onToken: () => new Promise(() => {}) });
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(authorizer.authorize({ url: world.url('a/b'), signal: gone })).rejects.toThrow('gone');
    const abort = new AbortController();
    const work = authorizer.authorize({ url: new URL(world.url('a/b')), signal: abort.signal });
    await idle();
    abort.abort(new Error('enough'));
    await expect(run(work)).rejects.toThrow('enough');
  });
});

describe('an abort', () => {
  it('without a reason of its own rejects with an AbortError', async () => {
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_type: 'abort', listener: () => void) => void listeners.add(listener),
      removeEventListener: (_type: 'abort', listener: () => void) => void listeners.delete(listener),
    };
    const { world, authorizer } = set({ onRegistry: () => new Promise(() => {}) });
    const work = authorizer.request(
      { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' },
      { signal },
    );
    await idle();
    signal.aborted = true;
    for (const listener of [...listeners]) listener();
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
    await idle();
    expect(listeners.size).toBe(0);
  });

  it('while waiting for a leader leaves nothing behind', async () => {
    const { world, authorizer } = set({ onRegistry: () => new Promise(() => {}) });
    const request: RegistryRequest = { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' };
    const leader = new AbortController();
    const follower = new AbortController();
    const first = authorizer.request(request, { signal: leader.signal });
    const second = authorizer.request(request, { signal: follower.signal });
    await idle();
    follower.abort(new Error('second'));
    await expect(second).rejects.toThrow('second');
    leader.abort(new Error('first'));
    await expect(first).rejects.toThrow('first');
    expect(world.clock.pending).toBe(0);
    expect(world.count()).toBe(1);
  });

  it('while a token request is being retried ends the wait', async () => {
    const { world, authorizer, run } = set({
      onToken: () => ({ status: 429, headers: [['retry-after', '20']] }),
    });
    const abort = new AbortController();
    const work = authorizer.request(
      { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' },
      { signal: abort.signal },
    );
    await idle();
    abort.abort(new Error('enough'));
    await expect(run(work)).rejects.toThrow('enough');
    await idle();
    expect(world.clock.pending).toBe(0);
  });
});

describe('CredentialMemory', () => {
  it('forgets and replaces what it was told and nothing else', async () => {
    const token = (text: string): Credential => ({ type: 'identity', token: text });
    const found = new Map<string, Credential>([
      ['https://a.test', token('a')],
      ['https://b.test', token('b')],
    ]);
    const keychain: Keychain = {
      find: async (origin) => ({ credential: found.get(origin) ?? null, source: 'test' }),
    };
    const memory = new CredentialMemory(keychain, () => 0);
    const { signal } = new AbortController();
    for (const origin of [...found.keys(), 'https://none.test']) await memory.find(origin, null, signal);
    const held = () =>
      [...found.keys()].map((origin) => memory.recall(origin, null)?.found?.credential ?? null);
    await memory.replace('https://a.test', token('a'), token('a2'));
    expect(held()).toEqual([token('a2'), token('b')]);
    await memory.replace('https://b.test', token('b'), token('b2'));
    memory.drop(token('a2'));
    expect(held()).toEqual([null, token('b2')]);
    memory.forget('https://a.test');
    expect(held()).toEqual([null, token('b2')]);
    // The keychain still gives the old ones: one was refused in its new form, the other was not.
    memory.forget();
    await memory.find('https://a.test', null, signal);
    expect(held()).toEqual([token('a'), null]);
    expect(memory.lookups).toBe(0);
  });
});

describe('a grant that was refused', () => {
  it('and replaced by somebody else meanwhile is not asked for again (Q58)', async () => {
    const { world, authorizer, ask, run } = set({
      onRegistry: async (n, out, w) => {
        if (n !== 4) return null;
        await w.clock.sleep(100, new AbortController().signal);
        return { status: 401, headers: w.challenge(out) };
      },
    });
    await ask({ url: world.url('a/b') });
    world.tokens.clear();
    const request: RegistryRequest = { method: 'GET', url: world.url('a/b'), headers: [], body: 'none' };
    const both = await run(Promise.all([authorizer.request(request), authorizer.request(request)]));
    expect(both.map((d) => d.head.status)).toEqual([200, 200]);
    expect(world.count('authority')).toBe(2);
  });

  it('when memory was cleared meanwhile the keychain is asked as if for the first time', async () => {
    const { world, authorizer, ask, run } = set(
      {
        scheme: 'basic',
        users: ['alice:wonderland'],
        onRegistry: (n, out, w) => (n > 2 ? { status: 401, headers: w.challenge(out) } : null),
        latencyMs: 10,
      },
      { keychain: keychainOf(alice) },
    );
    await ask({ url: world.url('a/b') });
    const work = authorizer.request({ method: 'GET', url: world.url('a/b'), headers: [], body: 'none' });
    authorizer.forget();
    expect((await run(work)).failure).toMatchObject({ kind: 'credential-rejected' });
  });
});

describe('a request that is none', () => {
  it.each(['ftp://registry.test/v2/', 'not a url'])(
    '%s is a TypeError, and holds nobody back',
    async (url) => {
      const { world, authorizer, ask } = set();
      const request: RegistryRequest = { method: 'GET', url, headers: [], body: 'none' };
      await expect(authorizer.request(request)).rejects.toThrow(TypeError);
      expect((await ask({ url: world.url('a/b') })).head.status).toBe(200);
    },
  );
});

describe('TokenCache', () => {
  const need: Need = {
    registry: 'https://r.test',
    scheme: 'bearer',
    realm: 'https://r.test/token',
    service: null,
    scopes: parseScopes('repository:a/b:pull'),
    challenged: [],
    repository: 'a/b',
    anonymous: false,
  };
  function grant(scopes: string, expiresAt: number | null = 100): Grant {
    return {
      authorization: { scheme: 'bearer', token: new Secret('t', need.registry) },
      registry: need.registry,
      realm: need.realm,
      service: null,
      principal: 1,
      from: 'exchange',
      asked: parseScopes(scopes),
      granted: null,
      obtainedAt: 0,
      expiresAt,
    };
  }
  const of = (scopes: string, registry = need.registry): Need => ({
    ...need,
    registry,
    scopes: parseScopes(scopes),
  });

  it('finds its own key, and a superset within one repository only (Q44)', () => {
    const cache = new TokenCache();
    const both = 'repository:a/b:pull,push repository:c/d:pull';
    cache.keep(of(both), 1, grant(both));
    expect(cache.find(need, 1, 0)).toBeNull();
    cache.keep(of('repository:a/b:pull,push'), 1, grant('repository:a/b:pull,push'));
    expect(cache.find(need, 1, 0)).toMatchObject({ reuse: 'superset' });
    expect(cache.find(need, 2, 0)).toBeNull();
    expect(cache.find(of('repository:a/b:delete'), 1, 0)).toBeNull();
    expect(cache.find(of(''), 1, 0)).toBeNull();
    expect(cache.find(of('registry:catalog:*'), 1, 0)).toBeNull();
    expect(cache.find(need, 1, 100)).toBeNull();
    expect(cache.size).toBe(1);
  });

  it('holds no more than it may, the most recently used', () => {
    const cache = new TokenCache({ limit: 2 });
    for (const name of ['a', 'b'])
      cache.keep(of(`repository:${name}:pull`), 1, grant(`repository:${name}:pull`));
    cache.find(of('repository:a:pull'), 1, 0);
    cache.keep(of('aws'), 1, grant('aws'));
    expect(cache.size).toBe(2);
    expect(cache.find(of('repository:b:pull'), 1, 0)).toBeNull();
    expect(cache.find(of('repository:a:pull'), 1, 0)).toMatchObject({ reuse: 'cached' });
  });

  it('drops one grant, those of a registry, or all; an unknown one is no matter', () => {
    const cache = new TokenCache();
    const one = grant('repository:a/b:pull');
    cache.drop(one);
    cache.keep(need, 1, one);
    cache.drop(one);
    cache.drop(one);
    expect(cache.size).toBe(0);
    cache.keep(need, 1, one);
    cache.keep(of('aws', 'https://other.test'), 1, { ...grant('aws'), registry: 'https://other.test' });
    cache.forget('https://other.test');
    expect(cache.size).toBe(1);
    cache.forget();
    expect(cache.size).toBe(0);
  });

  it('lets one early refresh through, for the very grant that is held', () => {
    const cache = new TokenCache();
    const one = grant('repository:a/b:pull');
    cache.keep(need, 1, one);
    expect(cache.claimRefresh(one, need, 1, 92)).toBe(true);
    expect(cache.claimRefresh(one, need, 1, 93)).toBe(false);
    expect(cache.claimRefresh(one, need, 1, 95)).toBe(true);
    expect(cache.claimRefresh(grant('repository:a/b:pull'), need, 1, 99)).toBe(false);
    expect(cache.claimRefresh(one, of('aws'), 1, 99)).toBe(false);
  });

  it('numbers credentials by what they are', () => {
    const cache = new TokenCache();
    expect(cache.principal(null)).toBe(0);
    const first = cache.principal(alice);
    expect(cache.principal({ ...alice })).toBe(first);
    expect(cache.principal({ ...alice, password: 'other' })).not.toBe(first);
    expect(cache.principal({ type: 'identity', token: 'x' })).not.toBe(
      cache.principal({ type: 'registry', token: 'x' }),
    );
  });
});

describe('clock, gate and flights', () => {
  it('the platform timer rings, and is left by an abort', async () => {
    await timerSleep(1, new AbortController().signal);
    await timerSleep(1e6, AbortSignal.abort());
    const abort = new AbortController();
    const long = timerSleep(1e6, abort.signal);
    abort.abort();
    await long;
  });

  it('a wait on a signal that is gone does not wait, whatever becomes of the work', async () => {
    await expect(unlessAborted(Promise.reject(new Error('x')), AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('a deadline for a caller that is gone is over', () => {
    const clock = new VirtualClock();
    const deadline = startDeadline(1_000, clock.now, clock.sleep, AbortSignal.abort());
    expect(deadline.signal.aborted).toBe(true);
    expect(deadline.expired).toBe(false);
    expect(deadline.left()).toBe(1_000);
    deadline.done();
    expect(clock.pending).toBe(0);
  });

  it('nobody to wait for, and a waiter that is gone', async () => {
    const clock = new VirtualClock();
    const gate = new Gate(clock.sleep);
    expect(await gate.wait('https://r.test', undefined)).toBe('again');
    const end = gate.lead('https://r.test');
    expect(await gate.wait('https://r.test', AbortSignal.abort())).toBe('again');
    expect(gate.isBusy('https://r.test')).toBe(true);
    end('head');
    expect(gate.isBusy('https://r.test')).toBe(false);
  });

  it('a seat is left once', async () => {
    const flights = new Flights<number>();
    const one = flights.board('k', async () => 7);
    const two = flights.board('k', async () => 8);
    one.leave();
    one.leave();
    expect(flights.has('k')).toBe(true);
    expect(await two.landing).toBe(7);
  });

  it('without options of its own an authorizer uses the platform and its own cache', async () => {
    const world = new World({ scheme: 'none' });
    const authorizer = createAuthorizer<string>({ send: world.send });
    const delivered = await authorizer.request({
      method: 'GET',
      url: world.url('a/b'),
      headers: [],
      body: 'none',
    });
    expect(delivered.head.status).toBe(200);
  });
});
