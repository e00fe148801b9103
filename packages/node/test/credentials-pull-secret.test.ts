/** Pull secrets as Kubernetes mounts them: patterns for hosts, paths by whole segments, the most specific of all secrets. */

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { canary } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { matchesHost } from '../src/credentials/glob.ts';
import { CredentialsError, pullSecretKeychain } from '../src/credentials/index.ts';

const hub = 'https://registry-1.docker.io';
const login = (username: string) => ({ username, password: 'pass' });

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'secrets-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A secret as a volume: the key is a link into a folder that is replaced as a whole. */
function mounted(content: unknown, key = '.dockerconfigjson'): string {
  const path = folder();
  mkdirSync(join(path, '..2026'));
  writeFileSync(join(path, '..2026', key), typeof content === 'string' ? content : JSON.stringify(content), {
    mode: 0o600,
  });
  symlinkSync('..2026', join(path, '..data'));
  symlinkSync(join('..data', key), join(path, key));
  return path;
}

async function userOf(paths: readonly string[], origin: string, repository?: string) {
  const credential = (await pullSecretKeychain({ paths }).find(origin, repository))?.credential ?? null;
  return credential?.type === 'password' ? credential.username : credential;
}

/** The user of the entries, each of which has its key for a user name. */
function keyFor(keys: readonly string[], origin: string, repository?: string) {
  const auths = Object.fromEntries(
    keys.map((key) => [key, { auth: btoa(`${key.replaceAll(':', '_')}:pass`) }]),
  );
  return userOf([mounted({ auths })], origin, repository);
}

describe('patterns for hosts', () => {
  test.each([
    ['*.dkr.ecr.*.amazonaws.com', '1234.dkr.ecr.eu-west-1.amazonaws.com'],
    ['*.reg.example', 'a.reg.example'],
    ['a*.reg.example', 'a.reg.example'],
    ['*a.reg.example', 'a.reg.example'],
    ['a*c*.reg.example', 'abcd.reg.example'],
    ['*-good.reg.example', 'very-good.reg.example'],
    ['*b*b*.reg.example', 'abab.reg.example'],
    ['?.reg.example', 'a.reg.example'],
    ['*.*.example', 'a.reg.example'],
    ['*:5000', 'localhost:5000'],
    ['*.reg.example:5000', 'a.reg.example:5000'],
    ['[::1]:5000', '[::1]:5000'],
    ['[fe80::?]', '[fe80::1]'],
    ['reg.example', 'reg.example'],
  ])('%s means %s', (pattern, host) => {
    expect(matchesHost(pattern, host)).toBe(true);
  });

  test.each([
    // A star never crosses a dot.
    ['*.reg.example', 'reg.example'],
    ['*.reg.example', 'a.b.reg.example'],
    ['*', 'reg.example'],
    ['*.*', 'a.reg.example'],
    ['*.dkr.ecr.*.amazonaws.com', '1234.dkr.ecr.eu-west-1.amazonaws.com.cn'],
    ['*.dkr.ecr.*.amazonaws.com', 'dkr.ecr.eu-west-1.amazonaws.com'],
    ['*.reg.example', 'a.reg.example.attacker.test'],
    ['*.reg.example', 'a.regXexample'],
    ['?.reg.example', 'ab.reg.example'],
    ['?.reg.example', '.reg.example'],
    ['a*c.reg.example', 'abd.reg.example'],
    ['*b*b*.reg.example', 'abaa.reg.example'],
    // Ports are equal, or both absent.
    ['*.reg.example', 'a.reg.example:5000'],
    ['*.reg.example:5000', 'a.reg.example'],
    ['*.reg.example:500?', 'a.reg.example:5000'],
    ['*.reg.example:*', 'a.reg.example:5000'],
    ['[::1]', '[::1]:5000'],
    ['', 'reg.example'],
  ])('%s does not mean %s', (pattern, host) => {
    expect(matchesHost(pattern, host)).toBe(false);
  });

  test('a pattern with a thousand stars is tried in one go', () => {
    expect(matchesHost(`${'*a'.repeat(1000)}b`, 'a'.repeat(5000))).toBe(false);
    expect(matchesHost(`${'*a'.repeat(1000)}b`, `${'a'.repeat(5000)}b`)).toBe(true);
  });
});

describe('which entry', () => {
  test.each<[readonly string[], string, string | undefined, string | null]>([
    [['reg.example'], 'https://reg.example', undefined, 'reg.example'],
    [['https://reg.example'], 'https://reg.example', 'team/app', 'https_//reg.example'],
    [['https://reg.example/v1/'], 'https://reg.example', 'team/app', 'https_//reg.example/v1/'],
    [['https://reg.example/v2/team'], 'https://reg.example', 'team/app', 'https_//reg.example/v2/team'],
    [['reg.example/v2'], 'https://reg.example', 'team/app', null],
    [['reg.example/v2'], 'https://reg.example', 'v2/app', 'reg.example/v2'],
    [['reg.example:443'], 'https://reg.example', 'team/app', 'reg.example_443'],
    [['reg.example:5000'], 'https://reg.example', 'team/app', null],
    // The longer path wins, and only whole segments count.
    [
      ['reg.example', 'reg.example/team', 'reg.example/team/app'],
      'https://reg.example',
      'team/app',
      'reg.example/team/app',
    ],
    [
      ['reg.example', 'reg.example/team', 'reg.example/team/app'],
      'https://reg.example',
      'team/application',
      'reg.example/team',
    ],
    [['reg.example', 'reg.example/team/'], 'https://reg.example', 'team/x', 'reg.example/team/'],
    [['reg.example', 'reg.example/team'], 'https://reg.example', 'teamevil/app', 'reg.example'],
    [['reg.example/team'], 'https://reg.example', undefined, null],
    // A host by name wins over a pattern, and a longer pattern over a shorter.
    [['*.reg.example/team', 'a.reg.example'], 'https://a.reg.example', 'team/app', 'a.reg.example'],
    [['*.reg.example', '*.reg.example/team'], 'https://a.reg.example', 'team/app', '*.reg.example/team'],
    [['*.*.example', '*.reg.example'], 'https://a.reg.example', 'team/app', '*.reg.example'],
    [['index.docker.io'], hub, 'library/alpine', 'index.docker.io'],
    [['https://index.docker.io/v1/'], hub, 'library/alpine', 'https_//index.docker.io/v1/'],
    [['docker.io/team'], hub, 'team/app', 'docker.io/team'],
    [['docker.io/team'], hub, 'library/alpine', null],
  ])('of %j for %s %s: %s', async (keys, origin, repository, key) => {
    expect(await keyFor(keys, origin, repository)).toBe(key);
    expect(await keyFor(keys.toReversed(), origin, repository)).toBe(key);
  });

  test('config-file-04: a path is for whole segments', async () => {
    expect(
      await keyFor(['registry.example.com/team'], 'https://registry.example.com', 'team/app'),
    ).not.toBeNull();
    expect(
      await keyFor(['registry.example.com/team'], 'https://registry.example.com', 'teamevil/app'),
    ).toBeNull();
  });

  test('of all secrets together the most specific wins, then the first', async () => {
    const [host, team, again] = [
      mounted({ auths: { 'reg.example': login('first') } }),
      mounted({ auths: { 'reg.example/team': login('team') } }),
      mounted({ auths: { 'reg.example': login('second') } }),
    ];
    expect(await userOf([host, team, again], 'https://reg.example', 'team/app')).toBe('team');
    expect(await userOf([host, team, again], 'https://reg.example', 'x')).toBe('first');
    expect(await userOf([again, host], 'https://reg.example', 'x')).toBe('second');
    const empty = mounted({ auths: { 'reg.example': {} } });
    expect(await userOf([empty, again], 'https://reg.example', 'x')).toBe('second');
  });
});

describe('files', () => {
  const auths = { 'reg.example': login('alice') };

  test('a folder with either key, a file of either kind', async () => {
    const config = mounted({ auths });
    const flat = mounted(auths, '.dockercfg');
    const named = join(folder(), 'secret.json');
    writeFileSync(named, JSON.stringify({ auths }));
    for (const path of [config, flat, join(config, '.dockerconfigjson'), join(flat, '.dockercfg'), named]) {
      expect(await userOf([path], 'https://reg.example'), basename(path)).toBe('alice');
    }
  });

  test('a secret that is not there, or empty, is none', async () => {
    const gone = join(folder(), 'gone');
    const paths = [gone, join(gone, 'below'), folder(), mounted(''), mounted({}), mounted({ auths: null })];
    expect(await userOf(paths, 'https://reg.example')).toBeNull();
    expect(await userOf([...paths, mounted({ auths })], 'https://reg.example')).toBe('alice');
    expect(await userOf([], 'https://reg.example')).toBeNull();
  });

  test('one that cannot be read is an error: it might have been the answer', async () => {
    const secret = canary('password');
    const broken = mounted(`{"auths":{"reg.example":{"password":"${secret}`);
    const error: unknown = await userOf([mounted({ auths }), broken], 'https://reg.example').catch(
      (reason: unknown) => reason,
    );
    if (!(error instanceof CredentialsError)) throw error;
    expect(error.message).toBe(`${join(broken, '.dockerconfigjson')}: is not JSON`);
  });

  test('names no program to run', async () => {
    const path = mounted({ auths, credsStore: 'absent', credHelpers: { 'reg.example': 'absent' } });
    expect(await userOf([path], 'https://reg.example')).toBe('alice');
  });

  test('is read anew at each look-up', async () => {
    const path = folder();
    const keychain = pullSecretKeychain({ paths: [path] });
    expect(await keychain.find('https://reg.example')).toBeNull();
    writeFileSync(join(path, '.dockerconfigjson'), JSON.stringify({ auths }));
    expect(await keychain.find('https://reg.example')).toMatchObject({
      source: `${join(path, '.dockerconfigjson')}, entry "reg.example"`,
    });
  });

  test('the trail names the secret, its key and what it shadows', async () => {
    const first = mounted({ auths: { '*.reg.example': login('pattern'), 'other.example': login('x') } });
    const second = mounted({ auths: { 'a.reg.example': login('name') } });
    const third = mounted({ auths: { 'other.example': login('x') } });
    const { found, trail } = await pullSecretKeychain({ paths: [first, second, third] }).explain(
      'https://a.reg.example',
    );
    expect(found?.username).toBe('name');
    const steps = trail.filter(({ outcome }) => outcome !== 'absent');
    expect(steps.map(({ source, outcome, key }) => [source, outcome, key])).toEqual([
      [join(third, '.dockerconfigjson'), 'no-entry', null],
      [join(second, '.dockerconfigjson'), 'matched', 'a.reg.example'],
      [join(first, '.dockerconfigjson'), 'shadowed', '*.reg.example'],
    ]);
  });
});
