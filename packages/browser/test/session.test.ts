/** sessionTokenStore, on a stand-in for the browser's storage: what is written, what is believed, and what is left. */

import { monotonicNow, type StoreEntry, type StoreKey, staticKeychain } from '@reg/core/driver';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createRegistryFetch, sessionTokenStore } from '../src/index.ts';
import { stage, TAGS } from './stage.ts';

/** `sessionStorage` as the standard has it (HTML, "The Storage interface"), with room for `room` characters. */
class FakeStorage implements Storage {
  readonly entries = new Map<string, string>();
  room = 5_000_000;
  get length(): number {
    return this.entries.size;
  }
  key(index: number): string | null {
    return [...this.entries.keys()][index] ?? null;
  }
  getItem(name: string): string | null {
    return this.entries.get(name) ?? null;
  }
  setItem(name: string, value: string): void {
    const used = [...this.entries].reduce((sum, [n, v]) => sum + n.length + v.length, 0);
    if (used + name.length + value.length > this.room) throw new DOMException('full', 'QuotaExceededError');
    this.entries.set(name, value);
  }
  removeItem(name: string): void {
    this.entries.delete(name);
  }
  clear(): void {
    this.entries.clear();
  }
}

let storage = new FakeStorage();

beforeEach(async () => {
  storage = new FakeStorage();
  vi.stubGlobal('sessionStorage', storage);
  await lookUp();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

const credential = { type: 'password', username: 'alice', password: 'open sesame' } as const;
const key: Extract<StoreKey, { kind: 'grant' }> = {
  kind: 'grant',
  registry: 'https://registry.example',
  realm: 'https://auth.example/token',
  service: 'registry.example',
  scopes: 'repository:team/app:pull',
  credential,
};
const challengeKey: StoreKey = { kind: 'challenge', origin: 'https://registry.example' };

function grant(token = 'a.b.c', lifeMs = 300_000, agoMs = 0): StoreEntry {
  const obtainedAt = monotonicNow() - agoMs;
  return {
    kind: 'grant',
    token,
    asked: 'repository:team/app:pull',
    granted: null,
    obtainedAt,
    expiresAt: obtainedAt + lifeMs,
  };
}

function challenge(): StoreEntry {
  const hint = {
    scheme: 'bearer',
    realm: 'https://auth.example/token',
    service: null,
    elsewhere: null,
  } as const;
  return { kind: 'challenge', hint, expiresAt: monotonicNow() + 600_000 };
}

/** What a client begins with, a minute before the test: it makes the key. */
async function lookUp(): Promise<void> {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 60_000 });
  await sessionTokenStore().read(challengeKey);
  vi.useRealTimers();
}

/** What is in the storage, but the key. */
const written = (): [string, string][] => [...storage.entries].filter(([name]) => !name.endsWith(':key'));

/** Changes what was written for the one entry. */
function rewrite(change: (kept: { obtainedAt: number; entry: Record<string, unknown> }) => unknown): void {
  const [[name, text] = ['', '']] = written();
  storage.setItem(name, JSON.stringify(change(JSON.parse(text))));
}

describe('what is kept', () => {
  test('is found by another page of the tab, with its times on the driver’s clock', async () => {
    const entry = grant();
    await sessionTokenStore().write(key, entry);
    await sessionTokenStore().write(challengeKey, challenge());
    const found = await sessionTokenStore().read(key);
    expect(found).toEqual({ ...entry, obtainedAt: expect.any(Number), expiresAt: expect.any(Number) });
    expect(Math.abs((found?.expiresAt ?? 0) - entry.expiresAt)).toBeLessThan(10);
    expect(await sessionTokenStore().read(challengeKey)).toMatchObject({ kind: 'challenge' });
  });

  test('is another’s with another credential, and with each other part of the key', async () => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    const others: StoreKey[] = [
      { ...key, credential: null },
      { ...key, credential: { ...credential, password: 'x' } },
      { ...key, credential: { type: 'identity', token: 'open sesame' } },
      { ...key, credential: { type: 'registry', token: 'open sesame' } },
      { ...key, registry: 'https://other.example' },
      { ...key, realm: null },
      { ...key, service: null },
      { ...key, scopes: '' },
      challengeKey,
    ];
    for (const other of others) expect(await store.read(other)).toBe(null);
  });

  test('holds no credential, and its name is no digest that another tab would make', async () => {
    await sessionTokenStore().write(key, grant());
    const [[name, text] = ['', '']] = written();
    expect(name + text).not.toMatch(/sesame|alice/);
    storage.clear();
    await lookUp();
    await sessionTokenStore().write(key, grant());
    expect(written()[0]?.[0]).not.toBe(name);
  });

  test('is forgotten, cleared, and what belongs to the page stays', async () => {
    const store = sessionTokenStore();
    storage.setItem('theme', 'dark');
    await store.forget(key);
    await store.write(key, grant());
    await store.forget(key);
    expect(written()).toEqual([['theme', 'dark']]);
    await store.write(key, grant());
    store.clear();
    expect([...storage.entries]).toEqual([['theme', 'dark']]);
    expect(await store.read(key)).toBe(null);
  });

  test('is not written when it was sent for before clear(), whoever looked up what since', async () => {
    // Another frame of the tab has a store of its own.
    const [store, another] = [sessionTokenStore(), sessionTokenStore()];
    await store.read(key);
    const sentFor = grant('a.b.c', 300_000, 5);
    another.clear();
    await store.write(key, sentFor);
    expect(storage.length).toBe(0);

    expect(await another.read(challengeKey)).toBe(null);
    await store.write(key, sentFor);
    expect(written()).toEqual([]);
    await store.write(key, grant());
    expect(written()).toHaveLength(1);
  });

  test('is not written when it was cleared meanwhile', async () => {
    const store = sessionTokenStore();
    const writing = store.write(key, grant());
    store.clear();
    await writing;
    expect(storage.length).toBe(0);
  });

  test('is a hundred at most, the oldest out', async () => {
    const store = sessionTokenStore();
    for (let n = 0; n < 103; n++) {
      // The last three to be written are the oldest.
      const agoMs = n < 100 ? 1_000 - n : 2_000 + n;
      await store.write({ ...key, scopes: `repository:r${n}:pull` }, grant('a.b.c', 300_000, agoMs));
    }
    expect(written()).toHaveLength(100);
    const found = async (n: number) =>
      (await store.read({ ...key, scopes: `repository:r${n}:pull` })) !== null;
    // Each write made room by the oldest that was there.
    expect([await found(0), await found(100), await found(101), await found(102)]).toEqual([
      false,
      false,
      false,
      true,
    ]);
    expect([await found(1), await found(99)]).toEqual([true, true]);
  });

  test('without room for it is nothing, also not what it was to replace', async () => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    storage.room = 500;
    await expect(store.write(key, grant('x'.repeat(500)))).rejects.toThrow('full');
    expect(await store.read(key)).toBe(null);
  });
});

describe('what is read', () => {
  test('is nothing when it ended, has not begun, or would live too long', async () => {
    const store = sessionTokenStore();
    const wall = Date.now();
    for (const [obtainedAt, expiresAt] of [
      [wall - 300_000, wall - 1],
      [wall + 60_000, wall + 300_000],
      [wall, wall + 90_000_000],
      [null, wall + 1000],
      [wall, '9e9'],
    ]) {
      await store.write(key, grant());
      rewrite((kept) => ({ obtainedAt, entry: { ...kept.entry, expiresAt } }));
      expect(await store.read(key), String([obtainedAt, expiresAt])).toBe(null);
    }
  });

  test('follows the wall clock, which other pages share, and not the monotonic one', async () => {
    await sessionTokenStore().write(key, grant('a.b.c', 60_000));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30_000 });
    const found = await sessionTokenStore().read(key);
    expect((found?.expiresAt ?? 0) - monotonicNow()).toBeGreaterThan(29_000);
    expect((found?.expiresAt ?? 0) - monotonicNow()).toBeLessThan(30_100);
    vi.setSystemTime(Date.now() + 31_000);
    expect(await sessionTokenStore().read(key)).toBe(null);
  });

  test.each<[string, (entry: Record<string, unknown>) => unknown]>([
    ['another kind', (entry) => ({ ...entry, kind: 'other' })],
    ['the entry of a challenge', (entry) => ({ ...challenge(), expiresAt: entry['expiresAt'] })],
    ['no token', ({ token: _, ...entry }) => entry],
    ['an empty token', (entry) => ({ ...entry, token: '' })],
    ['a token that is two header lines', (entry) => ({ ...entry, token: 'a\r\nx: y' })],
    ['a token that is no ASCII', (entry) => ({ ...entry, token: 'ä' })],
    ['scopes that are no text', (entry) => ({ ...entry, asked: ['a'] })],
    ['granted scopes that are no text', (entry) => ({ ...entry, granted: 1 })],
    ['an entry that is none', () => null],
    ['an entry that is text', () => 'a'],
  ])('is nothing when it is wrong: %s', async (_, change) => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    rewrite((kept) => ({ ...kept, entry: change(kept.entry) }));
    expect(await store.read(key)).toBe(null);
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['text', 'bearer'],
    ['another scheme', { scheme: 'digest', realm: null, service: null, elsewhere: null }],
    ['Bearer without a realm', { scheme: 'bearer', realm: null, service: null, elsewhere: null }],
    ['a realm that is no URL', { scheme: 'bearer', realm: 'auth', service: null, elsewhere: null }],
    ['a realm that is no text', { scheme: 'bearer', realm: 1, service: null, elsewhere: null }],
    ['Basic with a realm', { scheme: 'basic', realm: 'https://a.example', service: null, elsewhere: null }],
    ['a service that is no text', { scheme: 'basic', realm: null, service: {}, elsewhere: null }],
  ])('is nothing when a challenge is wrong: %s', async (_, hint) => {
    const store = sessionTokenStore();
    await store.write(challengeKey, challenge());
    rewrite((kept) => ({ ...kept, entry: { ...kept.entry, hint } }));
    expect(await store.read(challengeKey)).toBe(null);
  });

  test('may be the challenge of a registry with Basic', async () => {
    const store = sessionTokenStore();
    const hint = { scheme: 'basic', realm: null, service: null, elsewhere: null } as const;
    await store.write(challengeKey, { kind: 'challenge', hint, expiresAt: monotonicNow() + 1000 });
    expect(await store.read(challengeKey)).toMatchObject({ hint });
  });

  test('is nothing when it is no JSON, and such goes at the next write', async () => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    const [[name] = ['']] = written();
    storage.setItem(name, '{');
    expect(await store.read(key)).toBe(null);
    await store.write(challengeKey, challenge());
    expect(written()).toHaveLength(1);
  });

  test('a polluted prototype is no token', async () => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    rewrite(({ obtainedAt, entry: { token: _, ...entry } }) => ({ obtainedAt, entry }));
    Object.defineProperty(Object.prototype, 'token', { value: 'a', configurable: true, writable: true });
    try {
      expect(await store.read(key)).toBe(null);
    } finally {
      Reflect.deleteProperty(Object.prototype, 'token');
    }
  });

  test('a key that another script wrote is made anew', async () => {
    const store = sessionTokenStore();
    await store.write(key, grant());
    for (const name of storage.entries.keys()) if (name.endsWith(':key')) storage.setItem(name, 'x');
    expect(await store.read(key)).toBe(null);
    await store.write(key, grant());
    expect(await store.read(key)).not.toBe(null);
  });
});

describe('where there is none', () => {
  test.each([
    ['no sessionStorage', () => vi.stubGlobal('sessionStorage', undefined), 'no sessionStorage'],
    [
      'a forbidden one',
      () =>
        Object.defineProperty(globalThis, 'sessionStorage', {
          configurable: true,
          get: () => {
            throw new DOMException('denied', 'SecurityError');
          },
        }),
      'no sessionStorage',
    ],
    ['no secure context', () => vi.stubGlobal('crypto', { getRandomValues() {} }), 'secure context'],
  ])('it says so at once: %s', (_, break_, message) => {
    break_();
    expect(() => sessionTokenStore()).toThrow(TypeError);
    expect(() => sessionTokenStore()).toThrow(message);
  });
});

test('a reload costs one request, where the page before it made three', async () => {
  const { registry, password } = await stage();
  const load = async (): Promise<void> => {
    const fetch = createRegistryFetch({
      keychain: staticKeychain({ [registry.host]: { type: 'password', username: 'alice', password } }),
      policy: { realms: { pairs: [registry.pair] } },
      store: sessionTokenStore(),
    });
    expect((await fetch(registry.url + TAGS)).status).toBe(200);
  };
  await load();
  expect(registry.count()).toBe(3);
  await load();
  expect(registry.count()).toBe(4);
  expect([...storage.entries].join()).not.toContain(password);
});
