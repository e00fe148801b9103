/** All places together: their order, what is shadowed, and the trail that says so. Design §8, requirements 105, 112, 115 to 117. */

import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  CredentialsError,
  type DefaultKeychainOptions,
  defaultKeychain,
  dockerKeychain,
  pullSecretKeychain,
  type TrailStep,
} from '../src/credentials/index.ts';
import { containersPaths, dockerPath, flatPath, surroundings } from '../src/credentials/places.ts';

const hub = 'https://registry-1.docker.io';
const reg = 'https://reg.example';
const login = (user: string, password = 'pass') => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
});
const entry = (user: string, key = 'reg.example') => ({ auths: { [key]: login(user) } });

interface Home {
  readonly folder: string;
  write(path: string, content: unknown): string;
  keychain(env?: Readonly<Record<string, string>>): ReturnType<typeof defaultKeychain>;
}

/** A user's folder, with nothing of this machine's user in reach. */
function home(): Home {
  const folder = mkdtempSync(join(tmpdir(), 'home-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return {
    folder,
    write(path, content) {
      const at = join(folder, path);
      mkdirSync(dirname(at), { recursive: true });
      writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content), { mode: 0o600 });
      return at;
    },
    keychain: (env = {}) =>
      defaultKeychain({ home: folder, env: { XDG_RUNTIME_DIR: join(folder, 'run'), ...env } }),
  };
}

async function userAt(keychain: ReturnType<typeof defaultKeychain>, origin = reg, repository?: string) {
  const credential = (await keychain.find(origin, repository))?.credential;
  return credential?.type === 'password' ? credential.username : (credential ?? null);
}

async function faultOf(attempt: Promise<unknown>): Promise<CredentialsError> {
  const error: unknown = await attempt.then(
    (value) => expect.fail(`found ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialsError)) throw error;
  return error;
}

describe('the order of places', () => {
  test('the first that knows the registry answers, and only it', async () => {
    const { folder, write, keychain } = home();
    const explicit = write('explicit.json', entry('explicit'));
    const named = write('named.json', entry('named'));
    const variable = JSON.stringify(entry('variable'));
    write('docker/config.json', entry('DOCKER_CONFIG'));
    write('.docker/config.json', entry('docker'));
    write('run/containers/auth.json', entry('runtime'));
    write('xdg/containers/auth.json', entry('XDG_CONFIG_HOME'));
    write('.config/containers/auth.json', entry('config'));
    write('.dockercfg', { 'https://reg.example/v1/': login('flat') });
    const all: DefaultKeychainOptions = {
      path: explicit,
      home: folder,
      env: { REGISTRY_AUTH_FILE: named, DOCKER_AUTH_CONFIG: variable },
    };
    expect(await userAt(defaultKeychain(all))).toBe('explicit');
    expect(await userAt(keychain({ REGISTRY_AUTH_FILE: named, DOCKER_AUTH_CONFIG: variable }))).toBe('named');
    const DOCKER_CONFIG = join(folder, 'docker');
    expect(await userAt(keychain({ DOCKER_AUTH_CONFIG: variable, DOCKER_CONFIG }))).toBe('variable');
    expect(await userAt(keychain({ DOCKER_CONFIG }))).toBe('DOCKER_CONFIG');
    expect(await userAt(keychain())).toBe('docker');
    rmSync(join(folder, '.docker'), { recursive: true });
    expect(await userAt(keychain())).toBe('runtime');
    rmSync(join(folder, 'run'), { recursive: true });
    expect(await userAt(keychain({ XDG_CONFIG_HOME: join(folder, 'xdg') }))).toBe('XDG_CONFIG_HOME');
    expect(await userAt(keychain())).toBe('config');
    rmSync(join(folder, '.config'), { recursive: true });
    expect(await userAt(keychain())).toBe('flat');
    rmSync(join(folder, '.dockercfg'));
    expect(await userAt(keychain())).toBeNull();
  });

  test('a place that does not know the registry, or has an empty entry for it, is passed (Q66)', async () => {
    const { write, keychain } = home();
    write('.docker/config.json', { auths: { 'other.example': login('x'), 'reg.example': {} } });
    write('run/containers/auth.json', entry('runtime'));
    expect(await userAt(keychain({ DOCKER_AUTH_CONFIG: JSON.stringify(entry('x', 'third.example')) }))).toBe(
      'runtime',
    );
  });

  test.each([
    ['that is not there', (folder: string) => join(folder, 'none.json')],
    ['without the registry', (folder: string) => join(folder, 'other.json')],
  ])('REGISTRY_AUTH_FILE %s: nothing else is looked at', async (_, pathIn) => {
    const { folder, write, keychain } = home();
    write('other.json', entry('x', 'other.example'));
    write('.docker/config.json', entry('docker'));
    expect(await userAt(keychain({ REGISTRY_AUTH_FILE: pathIn(folder) }))).toBeNull();
  });

  test('an empty variable is none', async () => {
    const { write, keychain } = home();
    write('.docker/config.json', entry('docker'));
    const empty = { REGISTRY_AUTH_FILE: '', DOCKER_AUTH_CONFIG: '', DOCKER_CONFIG: '', XDG_CONFIG_HOME: '' };
    expect(await userAt(keychain(empty))).toBe('docker');
  });

  test('a place that cannot be used ends the look-up before it, and is nobody’s fault after the answer', async () => {
    const { write, keychain } = home();
    const broken = write('run/containers/auth.json', '{');
    write('.dockercfg', { 'reg.example': login('flat') });
    expect(await faultOf(keychain().find(reg))).toMatchObject({ path: broken });
    write('.docker/config.json', entry('docker'));
    expect(await userAt(keychain())).toBe('docker');
    expect(await keychain().explain(reg)).toMatchObject({ found: { username: 'docker' }, error: null });
  });

  test('Docker’s file follows Docker’s rules, Podman’s and REGISTRY_AUTH_FILE follow Podman’s', async () => {
    const { write, keychain } = home();
    const team = { auths: { 'quay.example/team': login('team') }, credsStore: '' };
    const quay = 'https://quay.example';
    const named = write('auth.json', team);
    write('run/containers/auth.json', team);
    expect(await userAt(keychain(), quay, 'team/app')).toBe('team');
    expect(await userAt(keychain(), quay, 'teamevil/app')).toBeNull();
    expect(await userAt(keychain({ REGISTRY_AUTH_FILE: named }), quay, 'other')).toBeNull();
    write('.docker/config.json', team);
    expect(await userAt(keychain(), quay, 'other')).toBe('team');
  });

  test('what stands in the working directory is not read', async () => {
    const { folder, write } = home();
    for (const path of ['containers/auth.json', '.docker/config.json', '.dockercfg'])
      write(path, entry('here'));
    const before = process.cwd();
    process.chdir(folder);
    onTestFinished(() => process.chdir(before));
    for (const XDG_RUNTIME_DIR of ['.', '', 'run']) {
      const env = { XDG_RUNTIME_DIR, XDG_CONFIG_HOME: '.' };
      expect(await userAt(defaultKeychain({ env, home: '' }))).toBeNull();
      expect(await userAt(defaultKeychain({ env, home: '.' }))).toBeNull();
    }
  });
});

describe('where the files are', () => {
  const linux = { env: {}, home: '/home/a', platform: 'linux', uid: 1000 } as const;

  test('Podman’s, on Linux in the session’s folder, or root’s or a service’s own', () => {
    const config = '/home/a/.config/containers/auth.json';
    expect(containersPaths({ ...linux, env: { XDG_RUNTIME_DIR: '/run/user/1000' } })).toEqual([
      '/run/user/1000/containers/auth.json',
      config,
    ]);
    expect(containersPaths(linux)).toEqual(['/run/containers/1000/auth.json', config]);
    expect(containersPaths({ ...linux, uid: 0, home: null })).toEqual(['/run/containers/0/auth.json']);
    expect(containersPaths({ ...linux, platform: 'darwin' })).toEqual([config]);
    expect(containersPaths({ ...linux, platform: 'win32', uid: null })).toEqual([config]);
    expect(containersPaths({ env: {}, home: null, platform: 'linux', uid: null })).toEqual([]);
    expect(containersPaths({ ...linux, env: { XDG_CONFIG_HOME: '/etc/x' }, home: null })).toEqual([
      '/run/containers/1000/auth.json',
      '/etc/x/containers/auth.json',
    ]);
  });

  test('Docker’s (requirement 105)', () => {
    expect(dockerPath(linux)).toBe('/home/a/.docker/config.json');
    expect(dockerPath({ ...linux, env: { DOCKER_CONFIG: '/etc/d' } })).toBe('/etc/d/config.json');
    expect([dockerPath({ ...linux, home: null }), flatPath({ ...linux, home: null })]).toEqual([null, null]);
    expect(surroundings({ home: '' }).home).toBeNull();
  });
});

describe('the flavor containers (requirements 116, 117)', () => {
  const auths = {
    'quay.example': login('host'),
    'quay.example/team': login('team'),
    'quay.example/team/app': login('app'),
    'quay.example/team/app/deep/er': login('deep'),
    'https://quay.example/v1/': login('address'),
    'https://other.example/v1/team': login('other'),
    'docker.io/library': login('library'),
    'docker.io': login('hub'),
    'index.docker.io/team': login('alias'),
  };

  async function user(origin: string, repository?: string, only: object = auths) {
    const { write } = home();
    return userAt(
      dockerKeychain({ path: write('auth.json', { auths: only }), flavor: 'containers' }),
      origin,
      repository,
    );
  }

  test.each([
    ['https://quay.example', undefined, 'host'],
    ['https://quay.example', '', 'host'],
    ['https://quay.example', 'other', 'host'],
    ['https://quay.example', 'team', 'team'],
    ['https://quay.example', 'team/other', 'team'],
    ['https://quay.example', 'team/app', 'app'],
    ['https://quay.example', 'team/app/deep', 'app'],
    ['https://quay.example', 'team/app/deep/er/still', 'deep'],
    ['https://quay.example', 'teamevil/app', 'host'],
    ['https://quay.example', 'team2', 'host'],
    ['https://quay.example', 'x/team', 'host'],
    // An address is cut at its first slash.
    ['https://other.example', 'x', 'other'],
    [hub, 'library/alpine', 'library'],
    [hub, 'team/app', 'alias'],
    [hub, 'x/y', 'hub'],
    [hub, undefined, 'hub'],
    ['https://quay.example:5000', 'team/app', null],
  ])('%s %s: %s', async (origin, repository, expected) => {
    expect(await user(origin, repository)).toBe(expected);
  });

  test('a namespace is for nothing beside it, not for its host either', async () => {
    const only = { 'quay.example/team': login('team') };
    expect(await user('https://quay.example', 'other/app', only)).toBeNull();
    expect(await user('https://quay.example', undefined, only)).toBeNull();
    expect(await user('https://quay.example', 'team/app', only)).toBe('team');
  });

  test('an exact name over an address, in whatever order they stand', async () => {
    const only = { 'https://quay.example/v1/': login('address'), 'quay.example': login('host') };
    expect(await user('https://quay.example', 'x', only)).toBe('host');
    const { 'https://quay.example/v1/': address } = only;
    expect(await user('https://quay.example', 'x', { 'https://quay.example/v1/': address })).toBe('address');
  });

  test.each<[string, object, string]>([
    ['of a namespace', { 'quay.example/team': {}, 'quay.example': login('host') }, 'quay.example'],
    ['without text', { 'quay.example/team': { auth: '' }, 'quay.example': login('host') }, 'quay.example'],
    [
      'of a longer namespace',
      { 'quay.example/team/app': {}, 'quay.example/team': login('team') },
      'quay.example/team',
    ],
    [
      'of a host',
      { 'quay.example': {}, 'https://quay.example/v1/': login('old') },
      'https://quay.example/v1/',
    ],
  ])('an empty entry %s ends the search in its file, as for Podman', async (_, only, shadowed) => {
    expect(await user('https://quay.example', 'team/app', only)).toBeNull();
    const { write, keychain } = home();
    const path = write('run/containers/auth.json', { auths: only });
    const { found, trail } = await keychain().explain('https://quay.example', 'team/app');
    expect(found).toBeNull();
    const [empty = '', other] = Object.keys(only);
    expect(trail.filter(({ key }) => key !== null)).toMatchObject([
      { outcome: 'none', key: empty, why: 'an empty entry, which ends the search in this file' },
      { outcome: 'shadowed', key: other, why: `${path}, entry "${empty}" comes first` },
    ]);
    expect(other).toBe(shadowed);
    // The next file is looked at.
    write('.config/containers/auth.json', entry('next', 'quay.example'));
    expect(await userAt(keychain(), 'https://quay.example', 'team/app')).toBe('next');
  });

  test('in Docker’s file it marks what a helper keeps, and is passed (requirement 107)', async () => {
    const { write } = home();
    const only = { 'quay.example': {}, 'https://quay.example/v1/': login('old') };
    const keychain = dockerKeychain({ path: write('config.json', { auths: only }) });
    expect(await userAt(keychain, 'https://quay.example')).toBe('old');
  });
});

describe('DOCKER_AUTH_CONFIG (requirement 112)', () => {
  const secret = canary('password');

  test.each<[string, string, string]>([
    ['another member', `{"auths":{},"credsStore":"x"}`, 'has a member that is not "auths"'],
    ['config-file-19: helpers', '{"credHelpers":{"r.example":"x"}}', 'has a member that is not "auths"'],
    ['a secret in the place of a member', `{"alice:${secret}":1}`, 'has a member that is not "auths"'],
    [
      'another member of any entry',
      `{"auths":{"other.example":{"username":"a","password":"${secret}"}}}`,
      'an entry has a member that is not "auth"',
    ],
    [
      'a secret in the place of an entry’s member, and of its key',
      `{"auths":{"alice:${secret}@other.example":{"${secret}":1}}}`,
      'an entry has a member that is not "auth"',
    ],
    ['two values', `{"auths":{}}{"auths":{"reg.example":{"auth":"${secret}"}}}`, 'is not JSON'],
    ['no object', `["${secret}"]`, 'is not a JSON object'],
    ['auths no object', `{"auths":"${secret}"}`, '"auths" is not an object'],
    ['an entry of text', `{"auths":{"reg.example":"${secret}"}}`, 'the entry "reg.example" is not an object'],
    [
      'auth in clear',
      `{"auths":{"reg.example":{"auth":"alice:${secret}"}}}`,
      '"auth" of the entry "reg.example" is not base64 of user:password',
    ],
  ])('%s is an error that names the variable', async (_, value, message) => {
    const { write, keychain } = home();
    write('.docker/config.json', entry('docker'));
    const error = await faultOf(keychain({ DOCKER_AUTH_CONFIG: value }).find(reg));
    expect(error).toMatchObject({ path: 'DOCKER_AUTH_CONFIG', message: `DOCKER_AUTH_CONFIG: ${message}` });
  });

  test('blank, it is nothing; with an entry, Docker’s keys count', async () => {
    const { keychain } = home();
    expect(await userAt(keychain({ DOCKER_AUTH_CONFIG: ' \n' }))).toBeNull();
    const env = { DOCKER_AUTH_CONFIG: JSON.stringify(entry('alice', 'https://reg.example/v1/')) };
    expect(await userAt(keychain(env))).toBe('alice');
    expect((await keychain(env).find(reg))?.source).toBe(
      'DOCKER_AUTH_CONFIG, entry "https://reg.example/v1/"',
    );
  });
});

describe('a config in the place of its path', () => {
  const secret = canary('password');
  const config = ` {"auths":{"reg.example":{"auth":"${secret}"}}}`;

  test.each(['REGISTRY_AUTH_FILE', 'DOCKER_CONFIG'])(
    '%s: is an error that shows nothing of it',
    async (name) => {
      const { folder, keychain } = home();
      const message = `${name}: holds a config in the place of a path`;
      const env = { [name]: config };
      const flavor = name === 'DOCKER_CONFIG' ? 'docker' : 'containers';
      for (const at of [keychain(env), dockerKeychain({ env, flavor, home: folder })]) {
        expect(await faultOf(at.find(reg))).toMatchObject({ path: name, message });
        const explained = await at.explain(reg);
        expect(explained).toMatchObject({ found: null, error: { message } });
        expect(explained.trail[0]).toMatchObject({ source: name, outcome: 'failed' });
        expect(JSON.stringify(explained)).not.toContain(secret);
      }
    },
  );

  test('is nobody’s fault after the answer', async () => {
    const { keychain } = home();
    const env = { DOCKER_AUTH_CONFIG: JSON.stringify(entry('variable')), DOCKER_CONFIG: config };
    expect(await userAt(keychain(env))).toBe('variable');
  });
});

describe('the trail', () => {
  const short = (steps: readonly TrailStep[], folder: string) =>
    steps.map(({ source, outcome, key, why }) => [
      source.replace(folder, '~'),
      outcome,
      ...(key === null ? [] : [key]),
      why.replaceAll(folder, '~'),
    ]);

  test('names each place, what was there, and why it is the answer or not', async () => {
    const { folder, write, keychain } = home();
    write('.docker/config.json', {
      auths: { 'reg.example': login('docker'), 'https://reg.example/v1/': login('old') },
    });
    write('run/containers/auth.json', ' ');
    write('.config/containers/auth.json', {
      auths: { 'reg.example': login('config') },
      credHelpers: { 'reg.example': 'pass' },
    });
    write('.dockercfg', { 'reg.example': login('flat') });
    const variable = JSON.stringify(entry('x', 'other.example'));
    const { found, error, trail } = await keychain({ DOCKER_AUTH_CONFIG: variable }).explain(reg);
    const winner = '~/.docker/config.json, entry "reg.example" comes first';
    expect(short(trail, folder)).toEqual([
      ['DOCKER_AUTH_CONFIG', 'no-entry', 'nothing in it for reg.example'],
      ['~/.docker/config.json', 'matched', 'reg.example', '"reg.example" is for reg.example'],
      ['~/.docker/config.json', 'shadowed', 'https://reg.example/v1/', winner],
      ['~/run/containers/auth.json', 'empty', 'nothing in it'],
      ['~/.config/containers/auth.json', 'shadowed', 'reg.example', `${winner}, so the helper was not run`],
      ['~/.dockercfg', 'shadowed', 'reg.example', winner],
    ]);
    expect(trail.filter(({ helper }) => helper !== null)).toMatchObject([
      { helper: 'docker-credential-pass', outcome: 'shadowed' },
    ]);
    expect(error).toBeNull();
    expect(found).toEqual({
      type: 'password',
      username: 'docker',
      source: `${join(folder, '.docker/config.json')}, entry "reg.example"`,
      expiresAt: null,
    });
  });

  test('with no place at all it says what was looked for', async () => {
    const { folder, keychain } = home();
    mkdirSync(join(folder, '.docker', 'config.json'), { recursive: true });
    const { found, error, trail } = await keychain().explain(reg);
    expect({ found, error }).toEqual({ found: null, error: null });
    expect(short(trail, folder)).toEqual([
      ['~/.docker/config.json', 'absent', 'is a folder'],
      ['~/run/containers/auth.json', 'absent', 'no such file'],
      ['~/.config/containers/auth.json', 'absent', 'no such file'],
      ['~/.dockercfg', 'absent', 'no such file'],
    ]);
  });

  test('a fault ends the look-up, and what comes after it still shows', async () => {
    const { folder, write, keychain } = home();
    const path = write('.docker/config.json', { auths: { 'reg.example': { auth: 'x' } } });
    write('.dockercfg', { 'reg.example': login('flat') });
    const { found, error, trail } = await keychain().explain(reg);
    expect(found).toBeNull();
    expect(error).toMatchObject({ path, code: 'ERR_REG_CREDENTIALS' });
    expect(short(trail, folder).filter(([, outcome]) => outcome !== 'absent')).toEqual([
      [
        '~/.docker/config.json',
        'failed',
        '~/.docker/config.json: "auth" of the entry "reg.example" is not base64 of user:password',
      ],
      ['~/.dockercfg', 'shadowed', 'reg.example', 'the fault of ~/.docker/config.json comes first'],
    ]);
  });

  test('it holds no secret, whatever is in the files', async () => {
    const { write, keychain } = home();
    const secret = canary('password');
    write('.docker/config.json', {
      auths: { 'reg.example': { auth: Buffer.from(`alice:${secret}`).toString('base64') } },
    });
    write('run/containers/auth.json', { auths: { 'reg.example': { identitytoken: secret } } });
    write('.config/containers/auth.json', `{"auths":{"reg.example":${secret}`);
    write('.dockercfg', { 'reg.example': { registrytoken: secret } });
    const text = JSON.stringify(await keychain().explain(reg));
    expect(text).toContain('"username":"alice"');
    expect(text).not.toContain(secret);
    expect(text).not.toContain(Buffer.from(secret).toString('base64').slice(4, -4));
  });

  test.skipIf(process.platform === 'win32')(
    'a file that others may read or write is a warning and no error (Windows has no such mode)',
    async () => {
      const { write, keychain } = home();
      const path = write('.docker/config.json', entry('docker'));
      for (const [mode, exposed] of [
        [0o644, 'read it (mode 0644)'],
        [0o640, 'read it (mode 0640)'],
        [0o604, 'read it (mode 0604)'],
        [0o600, null],
        [0o622, 'write it (mode 0622)'],
        [0o602, 'write it (mode 0602)'],
        [0o620, 'write it (mode 0620)'],
        [0o666, 'read and write it (mode 0666)'],
        [0o664, 'read and write it (mode 0664)'],
        [0o711, null],
      ] as const) {
        chmodSync(path, mode);
        const { trail, found } = await keychain().explain(reg);
        expect(found?.username).toBe('docker');
        expect(trail.filter(({ outcome }) => outcome === 'exposed').map(({ why }) => why)).toEqual(
          exposed === null ? [] : [`others than its owner may ${exposed}`],
        );
      }
    },
  );

  test.skipIf(process.platform === 'win32')(
    'of a file that others may read or write, the process is warned once when it is used (Windows has no such mode)',
    async () => {
      const { write, keychain, folder } = home();
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
      onTestFinished(() => warn.mockRestore());
      const path = write('.docker/config.json', entry('docker'));
      await keychain().find(reg);
      chmodSync(path, 0o666);
      await keychain().explain(reg);
      expect(warn).not.toHaveBeenCalled();
      await Promise.all([keychain().find(reg), keychain().find(hub)]);
      await dockerKeychain({ path }).find(reg);
      expect(warn.mock.calls).toEqual([
        [
          `credentials are looked for in ${path}, and others than its owner may read and write it (mode 0666)`,
          { type: 'RegWarning', code: 'REG_CREDENTIALS_EXPOSED' },
        ],
      ]);
      // One that is in the way too, whether it can be used or not.
      const broken = write('other.json', '{');
      chmodSync(broken, 0o604);
      await faultOf(keychain({ REGISTRY_AUTH_FILE: broken }).find(reg));
      expect(warn).toHaveBeenCalledTimes(2);
      // A cluster mounts its secrets readable to all of a pod.
      const secret = write('secret/.dockerconfigjson', entry('pod'));
      chmodSync(secret, 0o644);
      const pod = pullSecretKeychain({ paths: [join(folder, 'secret')] });
      expect(await userAt(pod)).toBe('pod');
      expect((await pod.explain(reg)).trail.map(({ outcome }) => outcome)).toEqual(['absent', 'matched']);
      expect(warn).toHaveBeenCalledTimes(2);
      chmodSync(secret, 0o646);
      await pod.find(reg);
      expect(warn).toHaveBeenCalledTimes(3);
    },
  );

  test('a key is shown bounded and visible', async () => {
    const { write, keychain } = home();
    const long = `https://reg.example/${'x'.repeat(1000)}`;
    write('.docker/config.json', {
      auths: { [long]: { auth: 'x' }, 'reg.example/\u001b[2J\u202e': { auth: 'y' } },
    });
    const { message } = await faultOf(keychain().find(reg));
    expect(message).toContain('reg.example/\\u001b[2J\\u{202e}"');
    write('.docker/config.json', { auths: { [long]: { auth: 'x' } } });
    expect((await faultOf(keychain().find(reg))).message.length).toBeLessThan(500);
  });

  test('is asked by origin only, and ends with its signal', async () => {
    const { keychain } = home();
    for (const origin of [
      '',
      'reg.example',
      'https://reg.example/',
      'https://reg.example\nusername=x',
      'https://REG.example',
    ]) {
      await expect(keychain().find(origin)).rejects.toThrow(TypeError);
      await expect(keychain().explain(origin)).rejects.toThrow(TypeError);
    }
    const stop = new Error('stop');
    await expect(keychain().find(reg, null, { signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
    await expect(keychain().explain(reg, null, { signal: AbortSignal.abort(stop) })).rejects.toBe(stop);
  });
});

test.skipIf(process.platform === 'win32')('a pipe is not waited for (Windows has none there)', async () => {
  const { folder, keychain } = home();
  const { execFileSync } = await import('node:child_process');
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  expect((await faultOf(keychain({ REGISTRY_AUTH_FILE: path }).find(reg))).message).toBe(
    `${path}: is a pipe, not a file`,
  );
  const link = join(folder, 'null');
  symlinkSync('/dev/null', link);
  expect(await userAt(keychain({ REGISTRY_AUTH_FILE: link }))).toBeNull();
  // And is everybody's by its nature.
  const { trail } = await keychain({ REGISTRY_AUTH_FILE: link }).explain(reg);
  expect(trail.map(({ outcome }) => outcome)).toEqual(['empty']);
});

describe('options that mean nothing are the caller’s mistake', () => {
  test.each<[string, object]>([
    ['no path', { path: '' }],
    ['a path that is none', { path: null }],
    ['another word for what a helper’s failure means', { onHelperError: 'error' }],
    ['no word for it', { onHelperError: '' }],
    ['none for it', { onHelperError: null }],
    ['one in capitals', { onHelperError: 'Anonymous' }],
    ['another flavor', { flavor: 'podman' }],
    ['a member of every object', { flavor: 'toString' }],
  ])('%s', (_, options) => {
    // As JavaScript gives them: a variable that is not set, a word from a file.
    for (const keychain of [dockerKeychain, defaultKeychain]) {
      expect(() => keychain(options as DefaultKeychainOptions)).toThrow(TypeError);
      expect(() => keychain(options as DefaultKeychainOptions)).toThrow(/^\[@reg\/node\] /);
    }
  });

  test('a pull secret without a path', () => {
    expect(() => pullSecretKeychain({ paths: ['/run/secrets/a', ''] })).toThrow(TypeError);
  });

  test('what is left out is none of them', async () => {
    const { folder } = home();
    const unset: object = { path: undefined, flavor: undefined, onHelperError: undefined };
    const options = { ...unset, home: folder, env: { XDG_RUNTIME_DIR: folder } };
    expect(await defaultKeychain(options).find(reg)).toBeNull();
    expect(await dockerKeychain(options).find(reg)).toBeNull();
  });
});
