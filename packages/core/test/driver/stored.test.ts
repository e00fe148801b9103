/** Grants that processes share through a store: who finds what, and who asks. */

import { describe, expect, it } from 'vitest';
import type { Credential } from '../../src/credential.ts';
import type { Keychain, StoreEntry, StoreKey, TokenStore } from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain, TokenCache } from '../../src/driver/index.ts';
import { idle } from './clock.ts';
import { World, type WorldOptions } from './world.ts';

const alice = { type: 'password', username: 'alice', password: 'wonderland' } as const;
const bob = { type: 'password', username: 'bob', password: 'builder' } as const;

/** A store that several authorizers share, and what was asked of it. */
class SharedStore implements TokenStore {
  readonly entries = new Map<string, StoreEntry>();
  readonly log: string[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  async read(key: StoreKey): Promise<StoreEntry | null> {
    if (key.kind === 'grant') this.log.push('read');
    return this.entries.get(JSON.stringify(key)) ?? null;
  }

  async write(key: StoreKey, entry: StoreEntry): Promise<void> {
    if (key.kind === 'grant') this.log.push('write');
    this.entries.set(JSON.stringify(key), entry);
  }

  async forget(key: StoreKey): Promise<void> {
    this.entries.delete(JSON.stringify(key));
  }

  once<T>(_key: StoreKey, work: () => Promise<T>): Promise<T> {
    this.log.push('once');
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Whose grants there are. */
  get holders(): (string | null)[] {
    const keys: StoreKey[] = [...this.entries.keys()].map((key) => JSON.parse(key));
    return keys.flatMap((key) => (key.kind === 'grant' ? [holder(key.credential)] : []));
  }
}

function holder(credential: Credential | null): string | null {
  if (credential === null) return null;
  return credential.type === 'password' ? credential.username : credential.token;
}

function set(options: WorldOptions = {}) {
  const world = new World(options);
  const store = new SharedStore();
  /** A process, with what it remembers of its own. */
  const process = (more: { keychain?: Keychain; cache?: TokenCache } = {}) => {
    const authorizer = createAuthorizer<string>({
      send: world.send,
      now: world.clock.now,
      sleep: world.clock.sleep,
      store,
      ...more,
    });
    return (repository = 'a/b') =>
      authorizer
        .request({ method: 'GET', url: world.url(repository), headers: [], body: 'none' })
        .then(({ head }) => head.status);
  };
  return { world, store, process, run: <T>(work: Promise<T>) => world.clock.run(work) };
}

function revokeAll({ tokens }: World): void {
  for (const [token, grant] of tokens) tokens.set(token, { ...grant, until: 0 });
}

describe('a grant in the store', () => {
  it('is found without a turn, and is looked for again in the turn of who found none', async () => {
    const { world, store, process, run } = set();
    await run(process()());
    expect(store.log).toEqual(['read', 'once', 'read', 'write']);
    store.log.length = 0;
    expect(await run(process()())).toBe(200);
    expect(store.log).toEqual(['read']);
    expect(world.count('authority')).toBe(1);
  });

  it('costs twenty processes that start at once one token', async () => {
    const { world, process, run } = set({ latencyMs: 10 });
    const statuses = await run(Promise.all(Array.from({ length: 20 }, () => process()())));
    expect(statuses).toEqual(statuses.map(() => 200));
    expect(world.count('authority')).toBe(1);
  });

  it('costs twenty processes that refresh it at once one token', async () => {
    const { world, process, run } = set({ latencyMs: 10, expiresIn: 300 });
    const processes = Array.from({ length: 20 }, () => process());
    await run(Promise.all(processes.map((request) => request())));
    world.clock.skip(280_000);
    expect(new Set(await run(Promise.all(processes.map((request) => request()))))).toEqual(new Set([200]));
    await run(idle());
    await run(Promise.all(processes.map((request) => request('c/d'))));
    expect(world.seen.filter((s) => s.to === 'authority' && s.url.includes('a%2Fb')).length).toBe(2);
    world.clock.skip(100_000);
    expect(new Set(await run(Promise.all(processes.map((request) => request()))))).toEqual(new Set([200]));
    expect(world.seen.filter((s) => s.to === 'authority' && s.url.includes('a%2Fb')).length).toBe(2);
  });

  it('that twenty were refused at once is replaced twice: the first one asked no later than they were refused', async () => {
    const { world, process, run } = set({ latencyMs: 10 });
    const processes = Array.from({ length: 20 }, () => process());
    await run(Promise.all(processes.map((request) => request())));
    revokeAll(world);
    expect(new Set(await run(Promise.all(processes.map((request) => request()))))).toEqual(new Set([200]));
    expect(world.count('authority')).toBe(3);
  });

  it('that was obtained before another was refused does not replace it', async () => {
    const { world, process, run } = set({ latencyMs: 10 });
    const [first, second] = [process(), process()];
    await run(first());
    await run(second());
    revokeAll(world);
    expect(await run(first())).toBe(200);
    // What the first one has now would do, but the second cannot know that.
    expect(await run(second())).toBe(200);
    expect(world.count('authority')).toBe(3);
  });

  it('without a beginning is nothing', async () => {
    const { world, store, process, run } = set();
    await run(process()());
    for (const [key, entry] of store.entries) {
      if (entry.kind === 'grant') store.entries.set(key, { ...entry, obtainedAt: Number.NaN });
    }
    await run(process()());
    expect(world.count('authority')).toBe(2);
  });
});

describe('a grant that another credential than the first was needed for', () => {
  /** Alice's password is changed for bob's while a process remembers hers. */
  async function changed() {
    const users = ['alice:wonderland', 'bob:builder'];
    const { world, store, process, run } = set({ users });
    const cache = new TokenCache();
    let now: Credential = alice;
    const keychain: Keychain = { find: async () => ({ credential: now, source: 'test' }) };
    const request = process({ keychain, cache });
    await run(request('c/d'));
    store.entries.clear();
    users.splice(0, 1);
    now = bob;
    expect(await run(request())).toBe(200);
    return { world, store, process, run, cache };
  }

  it('is stored under that one, and nobody finds it with the first', async () => {
    const { store, process, run } = await changed();
    expect(store.holders).toEqual(['bob']);
    const before = store.log.length;
    const atAlice = process({ keychain: staticKeychain({ 'registry.test': alice }) });
    await expect(run(atAlice())).rejects.toThrow();
    expect(store.log.slice(before)).not.toContain('write');
  });

  it('is remembered under that one too (rule 2)', async () => {
    const { world, process, run, cache } = await changed();
    const atAlice = process({ keychain: staticKeychain({ 'registry.test': alice }), cache });
    await expect(run(atAlice())).rejects.toThrow();
    const before = world.count('authority');
    const atBob = process({ keychain: staticKeychain({ 'registry.test': bob }), cache });
    expect([await run(atBob()), world.count('authority') - before]).toEqual([200, 0]);
  });
});

it('a grant whose identity token was replaced is found with the new one and with the old', async () => {
  const { world, store, process, run } = set({ identities: ['i-0', 'i-1', 'i-2'] });
  const of = (token: string) => ({
    keychain: staticKeychain({ 'registry.test': { type: 'identity', token } }),
  });
  expect(await run(process(of('i-0'))())).toBe(200);
  expect(store.holders).toEqual(['i-0', 'i-1']);
  expect([await run(process(of('i-0'))()), await run(process(of('i-1'))())]).toEqual([200, 200]);
  expect(world.count('authority')).toBe(1);
});

describe('a token that its registry refused, or that was forgotten, and is still in the store', () => {
  const used = async () => {
    const world = new World({ users: ['alice:wonderland'] });
    const { send, clock, registry } = world;
    const authorizer = createAuthorizer<string>({
      send,
      now: clock.now,
      sleep: clock.sleep,
      store: new SharedStore(),
      keychain: staticKeychain({ [new URL(registry).host]: alice }),
    });
    const url = world.url('team/app');
    const ask = (body: 'none' | 'once' = 'none') =>
      clock.run(authorizer.request({ method: 'GET', url, headers: [], body }));
    expect((await ask()).head.status).toBe(200);
    world.clock.skip(1);
    return { world, authorizer, ask, url, tokens: () => world.count('authority') };
  };

  it('is not found by who asks again with a body that was spent (rule 8)', async () => {
    const { world, ask, tokens } = await used();
    world.tokens.clear();
    expect((await ask('once')).failure).toMatchObject({ kind: 'body-spent' });
    expect((await ask('once')).head.status).toBe(200);
    expect(tokens()).toBe(2);
  });

  it('is not given out again', async () => {
    const { world, authorizer, url, tokens } = await used();
    const authorize = (refused?: string) =>
      authorizer.authorize(refused === undefined ? { url } : { url, refused });
    const { header } = await world.clock.run(authorize());
    const refused = header ?? '';
    const [second, third] = await world.clock.run(Promise.all([authorize(refused), authorize(refused)]));
    expect([second.header === refused, second.header === third.header]).toEqual([false, true]);
    // Who has another already keeps it.
    expect((await world.clock.run(authorize(refused))).header).toBe(second.header);
    expect(tokens()).toBe(2);
  });

  it.each(['one registry', 'all'])('is not found after forgetting %s', async (what) => {
    const { world, authorizer, ask, tokens } = await used();
    authorizer.forget(what === 'all' ? undefined : world.registry);
    expect((await ask()).head.status).toBe(200);
    expect(tokens()).toBe(2);
  });
});
