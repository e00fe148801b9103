/** Challenges that the caller knows: what they save, what they stand in for, and that they permit nothing. */

import { describe, expect, it } from 'vitest';
import type { AuthorizerOptions } from '../../src/driver/index.ts';
import { createAuthorizer, staticKeychain } from '../../src/driver/index.ts';
import { withKnown } from '../../src/driver/known.ts';
import { isRegistryAuthError } from '../../src/error.ts';
import type { Failure } from '../../src/failure.ts';
import type { RegistryRequest } from '../../src/message.ts';
import { replay, toJson } from '../../src/transcript/index.ts';
import { World, type WorldOptions } from './world.ts';

const origin = 'https://registry.test';
const bearer = `Bearer realm="${origin}/token",service="world",scope="repository:pasted/along:pull"`;

function get(url: string): RegistryRequest {
  return { method: 'GET', url, headers: [], body: 'none' };
}

function set(options: WorldOptions = {}, more: Partial<AuthorizerOptions<string>> = {}) {
  const world = new World({ hides: true, ...options });
  const { send, clock } = world;
  const { now, sleep } = clock;
  const challenges = { [origin]: bearer };
  const authorizer = createAuthorizer<string>({ send, now, sleep, challenges, ...more });
  const fetch = (repository: string) => clock.run(authorizer.request(get(world.url(repository))));
  const spent = async (repository: string): Promise<readonly string[]> => {
    const before = world.seen.length;
    await fetch(repository).catch(() => {});
    return world.seen.slice(before).map(({ to, status }) => `${to} ${status}`);
  };
  return { world, authorizer, fetch, spent };
}

async function failure(work: Promise<unknown>): Promise<Failure> {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  if (!isRegistryAuthError(error)) throw error ?? new Error('it resolved');
  return error.failure;
}

describe('a known challenge', () => {
  it('saves the 401 that could not be read, and asks for what the request needs alone', async () => {
    const { world, spent } = set();
    expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
    const asked = new URL(world.seen[0]?.url ?? '').searchParams;
    expect(asked.getAll('scope')).toEqual(['repository:team/app:pull']);
    expect(asked.get('service')).toBe('world');
  });

  it('never ends: not in time, not by forget(), not by close()', async () => {
    const { world, authorizer, spent } = set();
    for (const end of [
      () => world.clock.skip(86_400_000),
      () => authorizer.forget(origin),
      () => authorizer.forget(),
      () => authorizer.close(),
    ]) {
      end();
      expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
    }
  });

  it('serves authorize() as well', async () => {
    const { world, authorizer } = set();
    const { header } = await world.clock.run(authorizer.authorize({ url: world.url('team/app') }));
    expect(header).toBe('Bearer token-1');
    expect(world.count()).toBe(1);
  });

  it('is what a hidden one would have said, when it cannot be had before the request', async () => {
    let down = true;
    const { world, fetch, spent } = set({ onToken: () => (down ? { status: 403 } : null) });
    // The bare request's challenge is the same, as far as anybody knows: it is not asked for again.
    expect(await failure(fetch('team/app'))).toMatchObject({ kind: 'token-refused', status: 403 });
    expect(world.seen.map(({ to, status }) => `${to} ${status}`)).toEqual(['authority 403', 'registry 401']);
    down = false;
    expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
  });

  it('gives way to what is true: where nobody is asked, each request is one', async () => {
    const { spent } = set({ scheme: 'none', onToken: () => ({ status: 404 }) });
    expect(await spent('team/app')).toEqual(['authority 404', 'registry 200']);
    expect(await spent('team/app')).toEqual(['registry 200']);
  });

  it('stays away after it misled, until the origin challenges again', async () => {
    let isPublic = true;
    const { world, authorizer, spent } = set({
      onToken: () => (isPublic ? { status: 404 } : null),
      onRegistry: () => (isPublic ? { status: 200 } : null),
    });
    const cold = ['authority 404', 'registry 200'];
    expect(await spent('team/app')).toEqual(cold);
    world.clock.skip(600_001);
    expect(await spent('team/app')).toEqual(['registry 200']);
    for (const one of [origin, undefined]) {
      authorizer.forget(one);
      expect(await spent('team/app')).toEqual(cold);
    }
    isPublic = false;
    expect(await spent('team/app')).toEqual(['registry 401', 'authority 200', 'registry 200']);
    world.clock.skip(600_001);
    expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
  });

  it('costs a refused repository a few requests, and the others nothing', async () => {
    const { world, fetch, spent } = set({
      onRegistry: (_, out) => (out.url.includes('/secret/') ? { status: 401 } : null),
    });
    const answer = await fetch('team/secret');
    expect(answer.head).toEqual({ status: 401, headers: [], filtered: true });
    expect(answer.failure).toMatchObject({ kind: 'denied', reason: 'challenge-hidden' });
    expect(world.count()).toBe(5);
    expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
  });

  it('gives way to one that is shown', async () => {
    const realm = `${origin}/other`;
    const { world, spent } = set({
      hides: false,
      realm,
      onToken: (_, out) => (out.url.startsWith(realm) ? null : { status: 404 }),
    });
    expect(await spent('team/app')).toEqual([
      'authority 404',
      'registry 401',
      'authority 200',
      'registry 200',
    ]);
    expect(await spent('team/other')).toEqual(['authority 200', 'registry 200']);
    expect(new URL(world.seen.at(-2)?.url ?? '').pathname).toBe('/other');
  });

  it('permits nothing: its realm is judged like any other', async () => {
    const keychain = staticKeychain({ 'registry.test': { type: 'password', username: 'u', password: 'p' } });
    const challenges = { [origin]: 'Bearer realm="https://login.evil.test/token"' };
    const { world, fetch } = set({}, { keychain, challenges });
    expect(await failure(fetch('team/app'))).toMatchObject({ kind: 'realm-untrusted', reason: 'unrelated' });
    expect(world.seen.map(({ to, authorization }) => [to, authorization])).toEqual([['registry', null]]);
  });

  it('names a token server elsewhere: the password itself is not given after that (Q13)', async () => {
    const challenges = { [origin]: 'Bearer realm="https://login.corp.test/token"' };
    const answer = { status: 401, headers: [['www-authenticate', 'Basic realm="r"']] } as const;
    const options = { hides: false, onToken: () => ({ status: 404 }), onRegistry: () => answer };
    const { authorizer, fetch } = set(options, { challenges });
    expect(await failure(fetch('team/app'))).toMatchObject({ kind: 'scheme-downgrade' });
    authorizer.forget();
    expect(await failure(fetch('team/app'))).toMatchObject({ kind: 'scheme-downgrade' });
  });

  it('is in the transcript as what it is, so that it replays', async () => {
    let n = 0;
    const { fetch } = set({
      onToken: () => (++n === 1 ? { status: 404 } : null),
      onRegistry: () => (n === 1 ? { status: 200 } : null),
    });
    await fetch('team/app');
    n = 2;
    const { transcript } = await fetch('team/other');
    const [first] = transcript().steps;
    expect(first).toMatchObject({
      phase: 'sending',
      answer: { head: { status: 401, headers: [], filtered: true, known: bearer } },
      next: 'obtaining',
    });
    expect(replay(toJson(transcript())).mismatch).toBeNull();
    expect(JSON.parse(toJson(transcript())).steps[0].answer.head).toEqual({
      status: 401,
      headers: [],
      filtered: true,
      known: bearer,
    });
  });
});

describe('withKnown', () => {
  const known = new Map([
    [origin, { text: bearer, hint: { scheme: 'basic', realm: null, service: null, elsewhere: null } }],
  ] as const);
  const hidden = { status: 401, headers: [], filtered: true } as const;

  it.each([
    ['an answer that hides nothing', { status: 401, headers: [] }],
    ['what is no 401', { ...hidden, status: 403 }],
    ['a challenge that is shown', { ...hidden, headers: [['www-authenticate', 'Basic']] as const }],
    ['an answer from elsewhere', { ...hidden, url: 'https://cdn.test/blob' }],
  ])('leaves %s as it is', (_, head) => {
    expect(withKnown(head, `${origin}/v2/`, known)).toBe(head);
  });

  it('takes the place of one that is hidden', () => {
    expect(withKnown(hidden, `${origin}/v2/`, known)).toEqual({ ...hidden, known: bearer });
    const nowhere = { ...hidden, url: 'no URL' };
    expect(withKnown(nowhere, `${origin}/v2/`, known)).toEqual({ ...nowhere, known: bearer });
  });
});

describe('createAuthorizer', () => {
  const make = (challenges: Record<string, string>, policy = {}) => {
    return () => createAuthorizer({ send: new World().send, challenges, policy });
  };

  it('takes an origin as a URL spells it', async () => {
    const { spent } = set({}, { challenges: { 'https://Registry.Test:443/': bearer } });
    expect(await spent('team/app')).toEqual(['authority 200', 'registry 200']);
  });

  it.each([
    'registry.test',
    'https://user:hunter2@registry.test',
    'https://registry.test/v2/',
    'ftp://registry.test',
  ])('refuses what is no origin and does not repeat it: %s', (key) => {
    expect(make({ [origin]: bearer, [key]: bearer })).toThrow(
      new TypeError(
        '[@reg/core] challenges[1] must be an origin, https://host or https://host:port, and nothing after it',
      ),
    );
  });

  it.each([
    ['', 'absent', {}],
    ['Bearer realm="https', 'malformed', {}],
    ['Bearer service="x"', 'no-realm', {}],
    ['Negotiate', 'unsupported-scheme', {}],
    ['Basic realm="r"', 'unsupported-scheme', { schemes: ['bearer'] }],
    [
      'Basic realm="r"',
      'scheme-downgrade',
      { realms: { pairs: [{ registry: origin, realm: 'https://auth.test' }] } },
    ],
    [bearer, 'limit', { limits: { grants: 0 } }],
  ] as const)('refuses %j, which no handshake could answer: %s', (text, why, policy) => {
    expect(make({ [origin]: text }, policy)).toThrow(
      new TypeError(`[@reg/core] challenges[0] is one that no handshake could answer: ${why}`),
    );
  });

  it('refuses one over plain http without leave', () => {
    const challenges = { 'http://registry.lan:5000': 'Bearer realm="http://registry.lan:5000/token"' };
    expect(make(challenges)).toThrow('insecure-transport');
    expect(make(challenges, { insecureHosts: ['registry.lan:5000'] })).not.toThrow();
  });
});
