/** `dockerKeychain` reads what `docker login` wrote, matches hosts exactly, and says what is wrong without showing the file. */

import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { canary } from '@reg/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { CredentialsError, type DockerKeychainOptions, dockerKeychain } from '../src/credentials/index.ts';

const hub = 'https://registry-1.docker.io';
const reg = 'https://reg.example';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reg-credentials-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

let files = 0;
async function fileOf(content: string | Uint8Array | object): Promise<string> {
  const path = join(folder, `config-${++files}.json`);
  const bytes =
    typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content);
  await writeFile(path, bytes, { mode: 0o600 });
  return path;
}

/** What `content` has for `origin`: the credential, or `null`. */
async function find(content: string | Uint8Array | object, origin = reg) {
  return (await dockerKeychain({ path: await fileOf(content) }).find(origin))?.credential ?? null;
}

/** The error that `content` is for `origin`. It names the file and nothing that `secret` is in. */
async function fault(
  content: string | Uint8Array | object,
  origin = reg,
  secret = 'canary-',
): Promise<string> {
  const path = await fileOf(content);
  return faultOf(dockerKeychain({ path }).find(origin), path, secret);
}

async function faultOf(attempt: Promise<unknown>, path: string, secret = 'canary-'): Promise<string> {
  const error = await attempt.then(
    () => expect.fail('a CredentialsError was expected'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialsError)) throw error;
  expect(error).toMatchObject({ code: 'ERR_REG_CREDENTIALS', path });
  expect(error.message.startsWith(`${path}: `)).toBe(true);
  for (const shown of [
    inspect(error, { showHidden: true, depth: 9 }),
    JSON.stringify(error),
    String(error.stack),
  ]) {
    expect(shown).not.toContain(secret);
  }
  return error.message.slice(path.length + 2);
}

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');
const login = (user: string, password = 'pass') => ({ auth: base64(`${user}:${password}`) });
const password = (username: string, secret = 'pass') => ({ type: 'password', username, password: secret });

describe('the file (requirement 105)', () => {
  const config = { auths: { 'reg.example': login('alice') } };
  const place = async (directory: string): Promise<void> => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  };

  test.each<[string, (at: string) => DockerKeychainOptions]>([
    ['$DOCKER_CONFIG/config.json', (at) => ({ env: { DOCKER_CONFIG: at }, home: '/nonexistent' })],
    ['.docker/config.json in the home directory', (at) => ({ env: {}, home: at })],
    ['an empty DOCKER_CONFIG is none', (at) => ({ env: { DOCKER_CONFIG: '' }, home: at })],
    [
      'a path wins over both',
      (at) => ({ path: join(at, 'config.json'), env: { DOCKER_CONFIG: '/nonexistent' } }),
    ],
  ])('%s', async (name, options) => {
    const at = join(folder, `place ${name.length}`);
    await place(at);
    await place(join(at, '.docker'));
    expect(await dockerKeychain(options(at)).find(reg)).toMatchObject({ credential: password('alice') });
  });

  test('DOCKER_CONFIG and HOME are the process’s by default', async () => {
    const at = join(folder, 'of the process');
    await place(join(at, '.docker'));
    vi.stubEnv('DOCKER_CONFIG', undefined);
    vi.stubEnv('HOME', at);
    expect(await dockerKeychain().find(reg)).toMatchObject({ credential: password('alice') });
    vi.stubEnv('DOCKER_CONFIG', join(at, 'elsewhere'));
    expect(await dockerKeychain().find(reg)).toBeNull();
  });

  test('it is read each time, so that a login or logout counts at once', async () => {
    const path = await fileOf({});
    const keychain = dockerKeychain({ path });
    expect(await keychain.find(reg)).toBeNull();
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    expect(await keychain.find(reg)).toMatchObject({ credential: password('alice') });
    await rm(path);
    expect(await keychain.find(reg)).toBeNull();
  });

  test('the source names the file and the key, and no secret', async () => {
    const secret = canary('password');
    const path = await fileOf({ auths: { 'https://reg.example/v1/': login('alice', secret) } });
    const found = await dockerKeychain({ path }).find(reg);
    expect(found?.source).toBe(`${path}, entry "https://reg.example/v1/"`);
  });

  test.each([
    ['empty', ''],
    ['white space', ' \t\r\n'],
    ['a BOM alone', '\uFEFF'],
    ['an empty object', '{}'],
    ['null auths', '{"auths":null}'],
    ['no entry for the registry', { auths: { 'other.example': login('alice') } }],
    ['unknown members', { auths: {}, HttpHeaders: { a: 'b' }, proxies: [1], experimental: 'enabled' }],
  ])('%s has no credentials', async (_, content) => {
    expect(await find(content)).toBeNull();
  });

  test('a missing file, folder or home, a file in place of a folder and a dangling link have no credentials', async () => {
    const file = await fileOf('{}');
    const link = join(folder, 'dangling');
    await symlink(join(folder, 'nowhere'), link);
    for (const path of [
      join(folder, 'none.json'),
      join(folder, 'none', 'none.json'),
      join(file, 'x'),
      link,
    ]) {
      expect(await dockerKeychain({ path }).find(reg)).toBeNull();
    }
  });

  test.skipIf(process.getuid?.() !== 0)(
    'a user without a home directory, as clusters make them, has no credentials (only root can be one)',
    () => {
      const module = new URL('../src/credentials/index.ts', import.meta.url).href;
      const program = `import { dockerKeychain } from '${module}'; console.log(await dockerKeychain().find('${reg}'))`;
      const flags = ['--conditions=@reg/source', '--input-type=module', '--eval', program];
      const { stdout, stderr } = spawnSync(process.execPath, flags, {
        uid: 54_321,
        gid: 54_321,
        env: {},
        encoding: 'utf8',
      });
      expect({ stdout, stderr }).toEqual({ stdout: 'null\n', stderr: '' });
    },
  );

  test('a folder in its place has none: that is what Docker makes of a bind mount of nothing', async () => {
    expect(await dockerKeychain({ path: folder }).find(reg)).toBeNull();
  });

  test('a BOM before the object is no fault', async () => {
    expect(await find(`\uFEFF${JSON.stringify(config)}`)).toEqual(password('alice'));
  });

  test('a link is followed, and a loop of links is an error', async () => {
    const link = join(folder, 'link');
    await symlink(await fileOf(config), link);
    expect(await dockerKeychain({ path: link }).find(reg)).toMatchObject({ credential: password('alice') });
    const loop = join(folder, 'loop');
    await symlink(loop, loop);
    expect(await faultOf(dockerKeychain({ path: loop }).find(reg), loop)).toBe('cannot be read (ELOOP)');
  });

  test.skipIf(process.platform === 'win32')(
    'one without end is read up to the limit only (Windows has none)',
    async () => {
      const path = '/dev/zero';
      expect(await faultOf(dockerKeychain({ path }).find(reg), path)).toBe('is larger than 4 MiB');
    },
  );

  test('4 MiB are read, one byte more is an error', async () => {
    const text = JSON.stringify(config);
    expect(await find(text.padEnd(4_194_304))).toEqual(password('alice'));
    expect(await fault(text.padEnd(4_194_305))).toBe('is larger than 4 MiB');
  });

  // Node's own messages quote the text around the fault (CVE-2020-8564).
  const secret = canary('password');
  test.each([
    ['cut off', `{"auths":{"reg.example":{"auth":"${secret}`, 'is not JSON'],
    ['unquoted', `{"auths":{"reg.example":{"auth":${secret}}}}`, 'is not JSON'],
    ['text', secret, 'is not JSON'],
    ['two objects', `{"a":"${secret}"}{}`, 'is not JSON'],
    ['deep', `{"a":"${secret}","b":${'['.repeat(500_000)}`, 'is not JSON'],
    ['an array', `["${secret}"]`, 'is not a JSON object'],
    ['a string', `"${secret}"`, 'is not a JSON object'],
    ['null', 'null', 'is not a JSON object'],
    ['auths is an array', `{"auths":["${secret}"]}`, '"auths" is not an object'],
    ['auths is a string', `{"auths":"${secret}"}`, '"auths" is not an object'],
    ['credHelpers is a string', `{"credHelpers":"${secret}"}`, '"credHelpers" is not an object'],
    ['credsStore is an object', `{"credsStore":{"a":"${secret}"}}`, '"credsStore" is not a string'],
    [
      'not UTF-8',
      Buffer.concat([Buffer.from(`{"a":"${secret}`), Buffer.of(0xff), Buffer.from('"}')]),
      'is not UTF-8 text',
    ],
    ['UTF-16', Buffer.from(`\uFEFF{"a":"${secret}"}`, 'utf16le'), 'is not UTF-8 text'],
  ])('%s is an error that shows nothing of it', async (_, content, message) => {
    expect(await fault(content)).toBe(message);
  });
});

describe('an entry (requirements 106 to 108)', () => {
  const one = (entry: unknown) => ({ auths: { 'reg.example': entry } });

  test.each<[string, unknown, unknown]>([
    ['auth', login('alice'), password('alice')],
    ['auth: the first colon ends the user name', login('alice', 'a:b::c'), password('alice', 'a:b::c')],
    ['auth: NULs that pad the password are cut (Q72)', login('alice', 'pass\0\0'), password('alice')],
    ['auth: UTF-8', login('äli', 'pässwörd ☃'), password('äli', 'pässwörd ☃')],
    [
      'auth: no character of it is left out',
      login('\uFEFFalice', '\uFEFF'),
      password('\uFEFFalice', '\uFEFF'),
    ],
    [
      'auth: line breaks of base64 are no part of it',
      { auth: 'YWxp\nY2U6\r\ncGFzcw==\n' },
      password('alice'),
    ],
    [
      'auth wins over user name and password, as for Docker',
      { ...login('alice'), username: 'x', password: 'y' },
      password('alice'),
    ],
    ['username and password', { username: 'alice', password: 'pass' }, password('alice')],
    ['user names of services (requirement 103)', login('$oauthtoken', 'x'), password('$oauthtoken', 'x')],
    ['<token> is a user name like others in a file', login('<token>', 'x'), password('<token>', 'x')],
    ['identitytoken', { identitytoken: 'id' }, { type: 'identity', token: 'id' }],
    [
      'identitytoken beside a user without password (Q70)',
      { auth: base64('00000000-0000-0000-0000-000000000000:'), identitytoken: 'id' },
      { type: 'identity', token: 'id' },
    ],
    ['registrytoken', { registrytoken: 'ready' }, { type: 'registry', token: 'ready' }],
    [
      'registrytoken wins over all',
      { registrytoken: 'ready', identitytoken: 'id', ...login('a') },
      { type: 'registry', token: 'ready' },
    ],
    ['empty, the mark of a helper’s (Q66)', {}, null],
    ['empty members', { auth: '', username: '', password: '', identitytoken: '', registrytoken: '' }, null],
    ['null members', { auth: null, identitytoken: null }, null],
    ['an e-mail address alone', { email: 'alice@reg.example' }, null],
  ])('%s', async (_, entry, credential) => {
    expect(await find(one(entry))).toEqual(credential);
  });

  const secret = canary('password');
  const at = 'the entry "reg.example"';
  test.each<[string, unknown, string]>([
    ['a string', secret, `${at} is not an object`],
    ['an array', [secret], `${at} is not an object`],
    ['null', null, `${at} is not an object`],
    ['auth a number', { auth: 1 }, `"auth" of ${at} is not a string`],
    ['auth an array', { auth: [secret] }, `"auth" of ${at} is not a string`],
    ['password an object', { username: 'a', password: { a: secret } }, `"password" of ${at} is not a string`],
    ['identitytoken a boolean', { identitytoken: true }, `"identitytoken" of ${at} is not a string`],
    ['auth without a colon', { auth: base64(secret) }, `"auth" of ${at} is not base64 of user:password`],
    ['auth without a user', { auth: base64(`:${secret}`) }, `"auth" of ${at} is not base64 of user:password`],
    ['auth in clear', { auth: `alice:${secret}` }, `"auth" of ${at} is not base64 of user:password`],
    [
      'auth with what is not base64 between',
      { auth: `%%${base64(`alice:${secret}`)}` },
      `"auth" of ${at} is not base64 of user:password`,
    ],
    [
      'auth cut off',
      { auth: base64(`alice:${secret}`).slice(0, -3) },
      `"auth" of ${at} is not base64 of user:password`,
    ],
    [
      'auth not UTF-8',
      { auth: base64(Buffer.from(`alice:p\xe4ss${secret}`, 'latin1')) },
      `"auth" of ${at} is not base64 of user:password`,
    ],
    ['a password and no user', { password: secret }, `${at} has a password and no user name`],
    ...['\0', '\n', '\u001f', '\u007f', '\u0080', '\u009f'].map((control): [string, unknown, string] => [
      `a password with ${JSON.stringify(control)} in it (requirement 102)`,
      login('alice', `${control}${secret}`),
      `${at} has a control character in its user name or password`,
    ]),
    [
      'a user name with a colon (requirement 100)',
      { username: 'a:b', password: secret },
      `${at} has a colon in its user name`,
    ],
  ])('%s is an error that shows nothing of it', async (_, entry, message) => {
    expect(await fault(one(entry))).toBe(message);
  });

  test('a broken entry is a fault of its own registry only', async () => {
    expect(await find({ auths: { 'bad.example': 'x', 'reg.example': login('alice') } })).toEqual(
      password('alice'),
    );
  });
});

describe('which entry (requirement 111, Q64)', () => {
  test.each([
    ['reg.example', reg],
    ['https://reg.example', reg],
    ['https://reg.example/', reg],
    ['http://reg.example', reg],
    ['https://reg.example/v1/', reg],
    ['https://reg.example/v2/', reg],
    ['reg.example/', reg],
    ['reg.example/team', reg],
    ['REG.example', reg],
    ['reg.example:443', reg],
    ['https://reg.example:443/v1/', reg],
    ['reg.example:5000', 'https://reg.example:5000'],
    ['http://reg.example:5000/v2/', 'https://reg.example:5000'],
    ['localhost:5000', 'http://localhost:5000'],
    ['reg.example:80', 'http://reg.example'],
    ['10.10.30.45:5000', 'https://10.10.30.45:5000'],
    ['[::1]:5000', 'http://[::1]:5000'],
    ['https://[::1]:5000/v2/', 'http://[::1]:5000'],
  ])('%s is for %s', async (key, origin) => {
    expect(await find({ auths: { [key]: login('alice') } }, origin)).toEqual(password('alice'));
  });

  test.each([
    // CVE-2026-59891: a part of a name is another host.
    ['ghcr.io', 'https://cr.io'],
    ['cr.io', 'https://ghcr.io'],
    ['localhost:5000', 'http://victim.localhost:5000'],
    ['reg.example', 'https://reg.example.attacker.test'],
    ['reg.example.attacker.test', reg],
    ['sub.reg.example', reg],
    ['reg.example', 'https://sub.reg.example'],
    ['*.example', reg],
    ['reg.example.', reg],
    ['reg.example', 'https://reg.example.'],
    ['attacker.test/reg.example', reg],
    ['https://attacker.test/reg.example', reg],
    ['https://reg.example@attacker.test', reg],
    ['attacker.test@reg.example', reg],
    ['https://https://reg.example', reg],
    ['ftp://reg.example', reg],
    ['', reg],
    ['/', reg],
    // Ports.
    ['reg.example', 'https://reg.example:5000'],
    ['reg.example:5000', reg],
    ['reg.example:5000', 'https://reg.example:5001'],
    ['reg.example:50', 'https://reg.example:5000'],
    ['reg.example:443', 'http://reg.example'],
    ['reg.example:80', reg],
    ['reg.example:', reg],
    ['localhost:5000', 'http://127.0.0.1:5000'],
  ])('%j is not for %s', async (key, origin) => {
    expect(await find({ auths: { [key]: login('alice') } }, origin)).toBeNull();
  });

  test('an exact name wins, then the origin, then the shortest key, wherever they stand', async () => {
    const entries = [
      ['reg.example', login('exact')],
      ['https://reg.example', login('origin')],
      ['http://reg.example', login('http')],
      ['https://reg.example/v1/', login('v1')],
      ['https://reg.example/v1/team', login('team')],
    ] as const;
    for (let from = 0; from < entries.length; from++) {
      const rest = entries.slice(from);
      const first =
        Buffer.from(rest[0]?.[1].auth ?? '', 'base64')
          .toString()
          .split(':', 1)[0] ?? '';
      for (const order of [rest, rest.toReversed()]) {
        expect(await find({ auths: Object.fromEntries(order) })).toEqual(password(first));
      }
    }
  });

  test.each([
    'https://index.docker.io/v1/',
    'https://index.docker.io/v1',
    'http://index.docker.io/v1/',
    'index.docker.io',
    'docker.io',
    'https://docker.io',
    'registry-1.docker.io',
    'https://registry-1.docker.io/v2/',
  ])('Docker Hub under the key %s, by each of its names (requirement 110, Q63)', async (key) => {
    for (const host of ['registry-1.docker.io', 'index.docker.io', 'docker.io']) {
      expect(await find({ auths: { [key]: login('alice') } }, `https://${host}`)).toEqual(password('alice'));
    }
  });

  test('the tokens that Docker keeps of its own login to Docker Hub are no credentials of it', async () => {
    const own = ['https://index.docker.io/v1/access-token', 'https://index.docker.io/v1/refresh-token'];
    expect(
      await find({ auths: Object.fromEntries(own.map((key) => [key, login('docker')])) }, hub),
    ).toBeNull();
  });

  test('Docker’s own key for Docker Hub wins', async () => {
    const auths = {
      'registry-1.docker.io': login('c'),
      'docker.io': login('b'),
      'https://index.docker.io/v1/': login('a'),
    };
    expect(await find({ auths }, hub)).toEqual(password('a'));
  });

  test('no other host and port is Docker Hub', async () => {
    const config = { auths: { 'https://index.docker.io/v1/': login('alice'), 'docker.io': login('bob') } };
    for (const origin of [
      'https://auth.docker.io',
      'https://hub.docker.com',
      'https://index.docker.io:5000',
      'https://notdocker.io',
      'https://docker.io.attacker.test',
      'https://registry-2.docker.io',
      'http://registry-1.docker.io',
    ]) {
      expect(await find(config, origin)).toBeNull();
    }
  });

  test('what a prototype has is in no config', async () => {
    const polluted = {
      auths: { 'reg.example': login('mallory') },
      credsStore: 'evil',
      credHelpers: { 'reg.example': 'evil' },
      auth: base64('mallory:pass'),
      identitytoken: 'evil',
    };
    Object.assign(Object.prototype, polluted);
    try {
      expect(await find('{}')).toBeNull();
      expect(await find('{"auths":{"reg.example":{}}}')).toBeNull();
      expect(await find('{"auths":{"reg.example":{"username":"alice","password":"pass"}}}')).toEqual(
        password('alice'),
      );
    } finally {
      for (const name of Object.keys(polluted)) Reflect.deleteProperty(Object.prototype, name);
    }
  });

  test('names that every object has are hosts like others, and nothing is polluted', async () => {
    const text = `{"auths":{"__proto__":${JSON.stringify(login('own'))}},"__proto__":{"auths":{"reg.example":${JSON.stringify(login('x'))}}}}`;
    for (const name of ['constructor', 'tostring', 'hasownproperty', 'reg.example']) {
      expect(await find(text, `https://${name}`)).toBeNull();
    }
    expect(await find(text, 'https://__proto__')).toEqual(password('own'));
    expect(await find(`{"auths":{"reg.example":{"__proto__":{"auth":"${login('x').auth}"}}}}`)).toBeNull();
    expect(Object.hasOwn(Object.prototype, 'auths')).toBe(false);
  });
});

describe('what names a helper (requirements 109 and 128)', () => {
  const auths = { 'reg.example': login('alice'), 'https://index.docker.io/v1/': login('alice') };

  test.each<[string, object, string]>([
    [
      'credHelpers not a string',
      { credHelpers: { 'reg.example': 1 } },
      '"reg.example" of "credHelpers" is not a string',
    ],
    [
      'credHelpers a command',
      { credHelpers: { 'reg.example': 'a;rm' } },
      '"reg.example" of "credHelpers" is not the name of a helper',
    ],
    ['credsStore a path', { credsStore: '../../bin/sh' }, '"credsStore" is not the name of a helper'],
    ['credsStore an option', { credsStore: '-x' }, '"credsStore" is not the name of a helper'],
    ['credsStore for a terminal', { credsStore: '\u001b[2J' }, '"credsStore" is not the name of a helper'],
  ])('%s is an error', async (_, config, message) => {
    expect(await fault(config)).toBe(message);
  });

  test.each<[string, object]>([
    ['of another registry', { auths, credHelpers: { 'other.example': 'pass' } }],
    ['of a name that ends alike', { auths, credHelpers: { example: 'pass', 'my.reg.example': 'pass' } }],
    ['of a namespace', { auths, credHelpers: { 'reg.example/team': 'pass' } }],
    [
      'that is empty: the file, whatever credsStore says',
      { auths, credsStore: 'desktop', credHelpers: { 'reg.example': '' } },
    ],
    ['store that is empty', { auths, credsStore: '' }],
    ['store that is null', { auths, credsStore: null, credHelpers: null }],
  ])('not one %s', async (_, config) => {
    expect(await find(config)).toEqual(password('alice'));
  });
});
