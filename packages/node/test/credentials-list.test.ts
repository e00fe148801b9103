/** What is stored, where, and who uses it. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import {
  defaultKeychain,
  expiryOf,
  type ListOptions,
  listCredentials,
  type StoredCredential,
} from '../src/credentials/index.ts';
import { programs } from './programs.ts';

const login = (user: string) => ({ auth: Buffer.from(`${user}:${canary('password')}`).toString('base64') });

/** A user's folder, with a folder for programs, and nothing of this machine's user in reach. */
function home() {
  const { folder, write: program, env: around, note } = programs();
  const write = (path: string, content: unknown, mode = 0o600): string => {
    const at = join(folder, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content));
    chmodSync(at, mode);
    return at;
  };
  /** A helper that lists `users` and has a secret for nobody to see. */
  const helper = (name: string, users: object) =>
    program(
      `docker-credential-${name}`,
      `echo "$1" >>$NOTES/${name}\n[ "$1" = list ] && printf '%s' '${JSON.stringify(users)}' || exit 1`,
    );
  const env = { PATH: around['PATH'], NOTES: folder, XDG_RUNTIME_DIR: join(folder, 'run') };
  const list = (more: Readonly<Record<string, string>> = {}, options: ListOptions = {}) =>
    listCredentials({ home: folder, env: { ...env, ...more }, ...options });
  return { folder, write, helper, program, note, env, list };
}

const brief = ({ registry, username, usedBy, key }: StoredCredential) =>
  `${registry} ${username} ${usedBy.join('+') || 'nobody'} ${key}`;

describe('listCredentials', () => {
  test.each([
    ['a "credsStore" that is no name', { credsStore: 5 }, 'config.json', '"credsStore" is not a string'],
    ['a helper that is no name', { credHelpers: { 'x.example': [] } }, 'config.json', 'is not a string'],
    ['a folder in the place of the file', '', 'config.json/x', 'is a folder'],
  ])('%s is told', async (_, content, name, why) => {
    const { folder, write, list } = home();
    write(`.docker/${name}`, content);
    expect(await list()).toEqual({
      credentials: [],
      problems: [
        {
          source: join(folder, '.docker/config.json'),
          kind: 'unreadable',
          why: expect.stringContaining(why),
        },
      ],
    });
  });

  test('each entry of each place, and who would use it', async () => {
    const { folder, write, list } = home();
    const docker = write('.docker/config.json', {
      auths: { 'https://index.docker.io/v1/': login('hub'), 'quay.io': login('docker'), 'x.example': {} },
    });
    const runtime = write('run/containers/auth.json', {
      auths: { 'quay.io': login('podman'), 'quay.io/team': login('team') },
    });
    write('.dockercfg', { 'https://old.example/v1/': login('old') });
    const { credentials, problems } = await list();
    expect(problems).toEqual([]);
    expect(credentials.map(brief)).toEqual([
      'docker.io hub default+docker+podman https://index.docker.io/v1/',
      'old.example old default+podman https://old.example/v1/',
      'quay.io docker default+docker quay.io',
      'quay.io podman podman quay.io',
      'quay.io/team team podman quay.io/team',
    ]);
    expect(credentials[3]).toMatchObject({ source: runtime, shadowedBy: `${docker}, entry "quay.io"` });
    expect(folder).toBe(dirname(dirname(docker)));
  });

  test('a variable comes before the files, an explicit file is alone', async () => {
    const { write, list } = home();
    write('.docker/config.json', { auths: { 'reg.example': login('file') } });
    const path = write('auth.json', { auths: { 'reg.example': login('explicit') } });
    const variable = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { 'reg.example': login('variable') } }) };
    expect((await list(variable)).credentials.map(brief)).toEqual([
      'reg.example variable default+docker reg.example',
      'reg.example file podman reg.example',
    ]);
    const named = (await list({ ...variable, REGISTRY_AUTH_FILE: path })).credentials;
    expect(named.map(brief)).toEqual([
      'reg.example explicit default+podman reg.example',
      'reg.example variable docker reg.example',
      'reg.example file nobody reg.example',
    ]);
    const explicit = await list(variable, { path, flavor: 'containers' });
    expect(explicit.credentials.map(brief)).toEqual(['reg.example explicit default reg.example']);
  });

  test('two entries for one registry in one file: the one that answers, and the other', async () => {
    const { write, list } = home();
    const path = write('.docker/config.json', {
      auths: { 'https://reg.example/v2/': login('url'), 'reg.example': login('host') },
    });
    const { credentials } = await list();
    expect(credentials.map(brief)).toEqual([
      'reg.example host default+docker+podman reg.example',
      'reg.example url nobody https://reg.example/v2/',
    ]);
    expect(credentials[1]?.shadowedBy).toBe(`${path}, entry "reg.example"`);
  });

  test('what helpers list, without asking them for a secret', async () => {
    const { write, helper, note, list } = home();
    helper('store', {
      'https://index.docker.io/v1/': 'hub',
      'reg.example': 'kept',
      'other.example': '<token>',
    });
    helper('cloud', { 'reg.example': 'named', 'unasked.example': 'x' });
    const path = write('.docker/config.json', {
      credsStore: 'store',
      credHelpers: { 'reg.example': 'cloud' },
      auths: { 'reg.example': login('left-behind'), 'https://index.docker.io/v1/': {} },
    });
    const { credentials, problems } = await list();
    expect(problems).toEqual([]);
    expect(credentials.map(brief)).toEqual([
      'docker.io hub default+docker https://index.docker.io/v1/',
      'other.example null default+docker other.example',
      'reg.example named default+docker+podman reg.example',
      'reg.example left-behind nobody reg.example',
    ]);
    expect(credentials.map(({ helper, type }) => [helper, type])).toEqual([
      ['store', 'password'],
      ['store', 'identity'],
      ['cloud', 'password'],
      [null, 'password'],
    ]);
    expect(credentials[3]?.shadowedBy).toBe(`docker-credential-cloud, named by ${path}`);
    expect([note('store'), note('cloud')]).toEqual(['list\n', 'list\n']);
  });

  test('a helper that lists addresses, as Google’s does', async () => {
    const { write, helper, list } = home();
    helper('cloud', { 'https://gcr.example': 'oauth2accesstoken', 'https://eu.gcr.example': 'x' });
    write('.docker/config.json', { credHelpers: { 'gcr.example': 'cloud', 'us.gcr.example': 'cloud' } });
    expect((await list()).credentials.map(brief)).toEqual([
      'gcr.example oauth2accesstoken default+docker+podman gcr.example',
    ]);
  });

  test('a helper that cannot list may have what it is named for; one that is missing is a problem', async () => {
    const { write, program, list } = home();
    program('docker-credential-mute', 'echo "not implemented"; exit 1');
    write('.docker/config.json', { credHelpers: { 'a.example': 'mute', 'b.example': 'gone' } });
    const { credentials, problems } = await list();
    expect(credentials).toMatchObject([
      { registry: 'a.example', helper: 'mute', type: null, username: null, fault: null },
      {
        registry: 'b.example',
        helper: 'gone',
        fault: expect.stringContaining('is not in any folder of PATH'),
      },
    ]);
    expect(problems).toMatchObject([{ source: 'docker-credential-gone', kind: 'unreadable' }]);
  });

  test('a helper that is left out counts as not named, here and in the keychain', async () => {
    const { folder, write, env, helper, note, list } = home();
    helper('own', { 'reg.example': 'own' });
    const path = write('.docker/config.json', {
      credHelpers: { 'reg.example': 'own' },
      auths: { 'reg.example': login('beside') },
    });
    const withoutHelpers = ['own'];
    expect((await list({}, { withoutHelpers })).credentials.map(brief)).toEqual([
      'reg.example beside default+docker+podman reg.example',
    ]);
    const keychain = defaultKeychain({ home: folder, env, withoutHelpers });
    const { found, trail } = await keychain.explain('https://reg.example');
    expect(found).toMatchObject({ username: 'beside', source: `${path}, entry "reg.example"` });
    expect(trail[0]).toMatchObject({ outcome: 'ignored', helper: 'docker-credential-own' });
    expect(note('own')).toBeNull();
  });

  test('what cannot be read is told beside the rest, and ends the look-ups that come to it', async () => {
    const { folder, write, list } = home();
    write('.docker/config.json', '{"auths":');
    write('run/containers/auth.json', { auths: { 'reg.example': { auth: '***' }, 'b.example': login('b') } });
    const { credentials, problems } = await list();
    const broken = join(folder, '.docker', 'config.json');
    expect(problems).toEqual([{ source: broken, kind: 'unreadable', why: 'is not JSON' }]);
    expect(credentials).toMatchObject([
      { registry: 'b.example', usedBy: ['podman'], shadowedBy: `the fault of ${broken}` },
      { registry: 'reg.example', usedBy: ['podman'], fault: expect.stringContaining('is not base64') },
    ]);
  });

  test('a file that others may read is told', async () => {
    const { write, list } = home();
    const path = write('.docker/config.json', { auths: { 'reg.example': login('a') } }, 0o644);
    expect((await list()).problems).toEqual([
      { source: path, kind: 'exposed', why: 'others than its owner may read it (mode 0644)' },
    ]);
  });

  test('no secret is in it', async () => {
    const { write, helper, list } = home();
    const secret = canary('password');
    helper('store', { 'h.example': 'h' });
    write('.docker/config.json', {
      credsStore: 'store',
      auths: {
        'a.example': { username: 'a', password: secret },
        'b.example': { identitytoken: secret },
        'c.example': { registrytoken: secret },
        'd.example': { auth: secret },
      },
    });
    expect(JSON.stringify(await list())).not.toContain(secret);
  });

  test.each(['user@host', 'http://', '', '://', 'a b', '0x7f.1', 'https://index.docker.io/v1/refresh-token'])(
    'the key %j is no login of a registry',
    async (key) => {
      const { write, list } = home();
      write('.docker/config.json', { auths: { [key]: login('x') } });
      expect((await list()).credentials).toEqual([]);
    },
  );

  test('an abort ends it', async () => {
    const { list } = home();
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(list({}, { signal })).rejects.toThrow('enough');
  });

  test('a thousand registries in a second or two', async () => {
    const { write, list } = home();
    const auths = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`r${i}.example`, login('u')]));
    write('.docker/config.json', { auths });
    expect((await list()).credentials).toHaveLength(1_000);
  }, 20_000);
});

describe('expiryOf', () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const jwt = (claims: object, header: object = { alg: 'RS256' }) => `${part(header)}.${part(claims)}.c2ln`;
  const password = (username: string, text: string) =>
    ({ type: 'password', username, password: text }) as const;
  const ecr = (expiration: unknown) =>
    password('AWS', Buffer.from(JSON.stringify({ payload: 'x', expiration })).toString('base64'));
  const at = 1_795_449_600;

  test('of ECR’s password, and of a JSON Web Token in whatever kind of credential', () => {
    expect(expiryOf(ecr(at))).toBe(at * 1_000);
    expect(expiryOf(password('00000000-0000-0000-0000-000000000000', jwt({ exp: at })))).toBe(at * 1_000);
    expect(expiryOf({ type: 'identity', token: jwt({ exp: at }) })).toBe(at * 1_000);
    expect(expiryOf({ type: 'registry', token: jwt({ exp: at + 0.5 }) })).toBe(at * 1_000 + 500);
  });

  test.each([
    ['a password', password('alice', 'secret')],
    ['an ECR password without an end', ecr(undefined)],
    ['one that is no number', ecr('soon')],
    ['one before all time', ecr(-1)],
    ['one after all time', ecr(1e300)],
    ['ECR’s of another user', password('alice', Buffer.from('{"expiration":1}').toString('base64'))],
    ['a token without an end', { type: 'identity', token: jwt({}) } as const],
    ['a text with two dots', password('alice', 'a.b.c')],
    ['four parts', password('alice', `${jwt({ exp: at })}.x`)],
    ['no header of a token', password('alice', jwt({ exp: at }, {}))],
    ['more than a credential', password('alice', jwt({ exp: at, more: 'x'.repeat(16_384) }))],
  ])('nothing is known of %s', (_, credential) => {
    expect(expiryOf(credential)).toBeNull();
  });
});
