/** A credential that is refused may only be old: what is at its source by then is tried, and nothing twice (requirement 89). */

import { describe, expect, it } from 'vitest';
import { createAuthorizer } from '../../src/driver/index.ts';
import type { Keychain } from '../../src/driver/port.ts';
import { type Credential, isRegistryAuthError } from '../../src/index.ts';
import { World, type WorldOptions } from './world.ts';

const login = (password: string): Credential => ({ type: 'password', username: 'alice', password });
const token = (name: string): Credential => ({ type: 'identity', token: name });

/** A keychain that remembers what it gave until it is told that it was refused. */
class Remembering implements Keychain {
  source: Credential = login('old');
  readonly refused: Credential[] = [];
  asked = 0;
  #kept: Credential | null = null;

  async find(_origin: string, _repository?: string | null, about: { readonly rejected?: Credential } = {}) {
    this.asked += 1;
    if (about.rejected !== undefined) {
      this.refused.push(about.rejected);
      this.#kept = null;
    }
    this.#kept ??= this.source;
    return { credential: this.#kept, source: 'a helper' };
  }
}

function set(options: WorldOptions, keychain: Keychain, world = new World(options)) {
  const { send, clock } = world;
  const authorizer = createAuthorizer<string>({ send, keychain, now: clock.now, sleep: clock.sleep });
  const ask = (repository: string) => {
    const url = world.url(repository);
    return authorizer.request({ method: 'GET', url, headers: [], body: 'none' });
  };
  const status = async (repository: string) => {
    try {
      return (await clock.run(ask(repository))).head.status;
    } catch (error) {
      return isRegistryAuthError(error) ? error.failure.kind : String(error);
    }
  };
  return { world, authorizer, ask, status };
}

describe('a login that was changed at its source', () => {
  it('is used by the call whose old one was refused, also when the keychain was asked a moment ago', async () => {
    const keychain = new Remembering();
    const users = ['alice:old'];
    const { world, status } = set({ users }, keychain);
    expect(await status('team/a')).toBe(200);
    users[0] = 'alice:new';
    keychain.source = login('new');
    expect(await status('team/b')).toBe(200);
    expect(keychain.refused).toEqual([login('old')]);
    // One token for a, and for b one refusal of the old login and one token.
    expect(world.seen.filter(({ to }) => to === 'authority').map((seen) => seen.status)).toEqual([
      200, 401, 200,
    ]);
  });

  it('is not asked for at the token server when it is the one that was refused', async () => {
    const keychain = new Remembering();
    const { world, status } = set({ users: ['alice:new'] }, keychain);
    expect(await status('team/a')).toBe('credential-rejected');
    expect(world.count('authority')).toBe(1);
    expect(keychain.asked).toBe(2);
  });

  it('is tried three times over, for a source that always has another', async () => {
    let next = 0;
    const keychain: Keychain = {
      async find() {
        next += 1;
        return { credential: login(`guess ${next}`), source: 'endless' };
      },
    };
    const { world, status } = set({ users: ['alice:new'] }, keychain);
    expect(await status('team/a')).toBe('credential-rejected');
    expect(world.count('authority')).toBe(4);
  });

  it('with Basic is used by the next call, whose keychain is told', async () => {
    const keychain = new Remembering();
    const users = ['alice:old'];
    const { status } = set({ scheme: 'basic', users }, keychain);
    expect(await status('team/a')).toBe(200);
    users[0] = 'alice:new';
    keychain.source = login('new');
    expect(await status('team/b')).toBe(401);
    expect(await status('team/b')).toBe(200);
    expect(keychain.refused).toEqual([login('old')]);
  });
});

describe('of several logins at one registry', () => {
  it('the keychain is told which one was refused', async () => {
    const refused: unknown[] = [];
    const keychain: Keychain = {
      async find(_origin, repository, about = {}) {
        if (about.rejected !== undefined) refused.push(about.rejected);
        if (repository === 'team/strange') return null;
        return {
          credential: repository === 'team/none' ? null : login(`of ${repository}`),
          source: 'a file',
        };
      },
    };
    const users = ['alice:of team/a', 'alice:of team/b'];
    const { world, authorizer, status } = set({ scheme: 'basic', users }, keychain);
    expect([await status('team/a'), await status('team/b')]).toEqual([200, 200]);
    await status('team/none');
    await status('team/strange');
    const url = 'https://other.test/v2/team/a/tags/list';
    await world.clock.run(authorizer.request({ method: 'GET', url, headers: [], body: 'none' }));
    expect([await status('team/c'), await status('team/b')]).toEqual([401, 200]);
    expect(refused).toEqual([login('of team/c')]);
  });
});

describe('an identity token that rotates', () => {
  it('serves processes that begin at once with the same one and share where it is kept', async () => {
    const identities = ['T0', 'T1', 'T2', 'T3', 'T4'];
    let kept = token('T0');
    const keychain = (): Keychain => ({
      find: async () => ({ credential: kept, source: 'a file' }),
      replaced: (_origin, old, replacement) => {
        if (JSON.stringify(kept) === JSON.stringify(old)) kept = replacement;
      },
    });
    const world = new World({ identities });
    const processes = [1, 2, 3].map(() => set({ identities }, keychain(), world));
    const answers = await world.clock.run(
      Promise.all(processes.map(({ ask }, index) => ask(`team/${index}`))),
    );
    expect(answers.map(({ head }) => head.status)).toEqual([200, 200, 200]);
    expect(kept).toEqual(token('T3'));
  });

  it('that is written for ever costs the grant two seconds', async () => {
    const keychain: Keychain = {
      find: async () => ({ credential: token('T0'), source: 'a file' }),
      replaced: () => new Promise(() => {}),
    };
    const { world, status } = set({ identities: ['T0', 'T1'] }, keychain);
    const before = world.clock.now();
    expect(await status('team/a')).toBe(200);
    expect(world.clock.now() - before).toBe(2_000);
  });
});

describe('a look-up that ends at the deadline', () => {
  it('is no fault of the token server', async () => {
    const keychain: Keychain = { find: () => new Promise(() => {}) };
    const { world, ask } = set({}, keychain);
    const error: unknown = await world.clock.run(ask('team/a').catch((thrown: unknown) => thrown));
    expect(isRegistryAuthError(error) && error.failure).toEqual({
      kind: 'deadline',
      registry: world.registry,
      realm: null,
      ms: 30_000,
    });
    expect(world.count('authority')).toBe(0);
  });
});

describe('a header that was refused', () => {
  const url = 'https://registry.corp.test/v2/team/app/tags/list';
  const header = async (answers: string[], refused?: string) => {
    const keychain = new Remembering();
    const sent: string[] = [];
    const authorizer = createAuthorizer<null>({
      keychain,
      send: async ({ to, headers }) => {
        const value = headers.find(([name]) => name === 'authorization')?.[1] ?? '-';
        sent.push(`${to} ${value.split(' ')[0]}`);
        const challenge = answers.length > 1 ? answers.shift() : answers[0];
        const isToken = to === 'authority';
        return {
          head: isToken
            ? { status: 200, headers: [] }
            : { status: 401, headers: [['www-authenticate', challenge ?? '']] },
          raw: null,
          text: async () => '{"token":"tok"}',
          discard: async () => {},
        };
      },
    });
    const first = (await authorizer.authorize({ url })).header;
    return { authorizer, keychain, sent, first, refused };
  };

  it('of a realm elsewhere is not answered with the password when the registry turns to Basic (Q13)', async () => {
    const bearer = 'Bearer realm="https://corp.test/token",service="s"';
    const { authorizer, sent, first } = await header([bearer, 'Basic realm="r"']);
    expect(first).toBe('Bearer tok');
    authorizer.forget(url);
    const again = authorizer.authorize({ url, refused: first ?? '' });
    await expect(again).rejects.toMatchObject({ failure: { kind: 'scheme-downgrade' } });
    expect(sent.filter((line) => line === 'registry Basic')).toEqual([]);
  });

  it('of Basic is not given out again while the keychain has no other', async () => {
    const { authorizer, keychain, first } = await header(['Basic realm="r"']);
    const refused = first ?? '';
    await expect(authorizer.authorize({ url, refused })).rejects.toMatchObject({
      failure: { kind: 'credential-rejected' },
    });
    expect(keychain.refused).toEqual([login('old')]);
    keychain.source = login('new');
    expect((await authorizer.authorize({ url, refused })).header).not.toBe(refused);
  });

  it('for what is no URL is refused without a word of it', async () => {
    const { authorizer } = await header(['Basic realm="r"']);
    const broken = authorizer.authorize({ url: 'https://u:hunter2-of-many@host:99999/v2/' });
    await expect(broken).rejects.toThrow(/^\[@reg\/core\] authorize needs an absolute URL$/);
  });
});

describe('a request under way while the login changes', () => {
  it.each(['forgotten', 'replaced'])('teaches nothing about the next: %s', async (how) => {
    let password = 'old';
    const seen: string[] = [];
    let hold: Promise<void> | null = null;
    let release = (): void => {};
    let until = 1_000_000;
    let now = 0;
    const authorizer = createAuthorizer<null>({
      now: () => now,
      keychain: {
        find: async () => ({ credential: login(password), source: 'here', expiresAt: until }),
      },
      send: async ({ url, headers }) => {
        const value = headers.find(([name]) => name === 'authorization')?.[1];
        seen.push(value === undefined ? '-' : atob(value.slice(6)));
        if (url.endsWith('slow') && hold !== null) await hold;
        const head =
          value === undefined
            ? { status: 401, headers: [['www-authenticate', 'Basic realm="r"']] as const }
            : { status: 200, headers: [] };
        return { head, raw: null, text: async () => '', discard: async () => {} };
      },
    });
    const get = (name: string) =>
      authorizer.request({
        method: 'GET',
        url: `https://registry.test/v2/a/b/${name}`,
        headers: [],
        body: 'none',
      });
    until = 500;
    await get('x');
    hold = new Promise((resolve) => {
      release = resolve;
    });
    const slow = get('slow');
    password = 'new';
    if (how === 'forgotten') authorizer.forget('https://registry.test');
    else now = 1_000;
    until = 1_000_000;
    await get('x');
    hold = null;
    release();
    await slow;
    seen.length = 0;
    await get('slow');
    await get('slow');
    expect(seen).toEqual(['alice:new', 'alice:new']);
  });
});
