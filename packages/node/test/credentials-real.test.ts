/** Real programs: what Skopeo's login writes is found, what is saved Skopeo finds, and a helper of Debian's keeps credentials. */

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { isMissing } from '../../testing/test/docker-registry.ts';
import {
  defaultKeychain,
  dockerKeychain,
  eraseCredential,
  saveCredential,
} from '../src/credentials/index.ts';

const execFileAsync = promisify(execFile);

function home(): string {
  const folder = mkdtempSync(join(tmpdir(), 'real-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const password = (username: string, password = 'pass') => ({ type: 'password', username, password }) as const;

describe.skipIf(isMissing('skopeo'))('skopeo', () => {
  /** A registry that knows alice and bob, and Skopeo's login and logout for it. */
  async function stage() {
    const registry = await startRegistry({
      auth: 'basic',
      users: { alice: 'pass', bob: 'pass' },
      repositories: { 'team/app': {} },
    });
    onTestFinished(() => registry.close());
    const folder = home();
    const env = { PATH: process.env['PATH'], HOME: folder, XDG_RUNTIME_DIR: folder };
    const skopeo = (...words: readonly string[]) =>
      execFileAsync('skopeo', words, { env }).then(({ stdout }) => stdout.trim());
    const login = (where: string, user: string) =>
      skopeo('login', '--tls-verify=false', '--username', user, '--password', 'pass', where);
    return { ...registry, env, folder, skopeo, login };
  }

  test('its login is found, in the place where it is', async () => {
    const { url, host, env, folder, login, skopeo } = await stage();
    await login(host, 'alice');
    await login(`${host}/team`, 'bob');
    const keychain = defaultKeychain({ env, home: folder });
    const path = join(folder, 'containers', 'auth.json');
    expect(await keychain.find(url)).toEqual({
      credential: password('alice'),
      source: `${path}, entry "${host}"`,
    });
    expect((await keychain.find(url, 'team/app'))?.credential).toEqual(password('bob'));
    expect((await keychain.find(url, 'teamevil/app'))?.credential).toEqual(password('alice'));
    await skopeo('logout', host);
    expect(await keychain.find(url)).toBeNull();
    expect((await keychain.find(url, 'team/app'))?.credential).toEqual(password('bob'));
  });

  test('it finds what is saved by its rules, and no more what is erased', async () => {
    const { host, env, folder, skopeo } = await stage();
    await saveCredential(host, password('alice'), { flavor: 'containers', env, home: folder });
    expect(await skopeo('login', '--get-login', host)).toBe('alice');
    await eraseCredential(host, { flavor: 'containers', env, home: folder });
    await expect(skopeo('login', '--get-login', host)).rejects.toThrow('not logged into');
  });
});

const noPass = isMissing('docker-credential-pass', 'pass', 'gpg');
describe.skipIf(noPass)('docker-credential-pass', () => {
  /** A password store for a key without a passphrase, so that nobody is asked. */
  function stage() {
    const folder = home();
    const env = {
      PATH: process.env['PATH'],
      HOME: folder,
      GNUPGHOME: join(folder, 'gnupg'),
      PASSWORD_STORE_DIR: join(folder, 'store'),
    };
    const run = (program: string, ...words: readonly string[]) =>
      execFileSync(program, words, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    execFileSync('mkdir', ['-m', '700', env.GNUPGHOME]);
    onTestFinished(() => void run('gpgconf', '--kill', 'all'));
    const generate = [
      '--batch',
      '--passphrase',
      '',
      '--quick-generate-key',
      'reg',
      'default',
      'default',
      'never',
    ];
    run('gpg', ...generate);
    run('pass', 'init', 'reg');
    const path = join(folder, 'config.json');
    writeFileSync(path, JSON.stringify({ credsStore: 'pass' }), { mode: 0o600 });
    return { path, env };
  }

  test('keeps a password and an identity token, gives them back, and forgets them', async () => {
    const options = stage();
    const find = async (origin: string) => (await dockerKeychain(options).find(origin))?.credential ?? null;
    const hub = 'https://registry-1.docker.io';
    expect(await find('https://reg.example:5000')).toBeNull();
    const secret = 'p"ä\\ss ☃';
    await saveCredential('reg.example:5000', password('alice', secret), options);
    await saveCredential('docker.io', { type: 'identity', token: 'refresh' }, options);
    expect(await find('https://reg.example:5000')).toEqual(password('alice', secret));
    expect(await find('https://reg.example')).toBeNull();
    expect(await find(hub)).toEqual({ type: 'identity', token: 'refresh' });
    const { found, trail } = await dockerKeychain(options).explain(hub);
    expect(found).toMatchObject({
      type: 'identity',
      source: expect.stringContaining('docker-credential-pass'),
    });
    expect(trail.map(({ outcome }) => outcome)).toEqual(['asked', 'matched']);
    expect(await eraseCredential('docker.io', options)).toBe(true);
    expect(await find(hub)).toBeNull();
    expect(await find('https://reg.example:5000')).toEqual(password('alice', secret));
  });

  test('that cannot decrypt is an error and not nobody', async () => {
    const options = stage();
    await saveCredential('reg.example', password('alice'), options);
    rmSync(join(options.env.GNUPGHOME, 'private-keys-v1.d'), { recursive: true });
    execFileSync('gpgconf', ['--kill', 'all'], { env: options.env });
    await expect(dockerKeychain(options).find('https://reg.example')).rejects.toMatchObject({
      code: 'ERR_REG_CREDENTIALS',
    });
  });
});
