/** An identity token that its token server replaced is kept where the login is, so that the next process has it as well. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chainKeychains, staticKeychain } from '@reg/core/driver';
import { canary, startRegistry } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { defaultKeychain, dockerKeychain, pullSecretKeychain } from '../src/credentials/index.ts';
import { createRegistryFetch } from '../src/fetch.ts';
import { programs } from './programs.ts';

const reg = 'https://reg.example';
const identity = (token: string) => ({ type: 'identity', token }) as const;

function fileOf(config: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'replaced-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

const contentOf = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));

async function foundAt(keychain: ReturnType<typeof dockerKeychain>, repository?: string) {
  const credential = (await keychain.find(reg, repository))?.credential;
  if (credential == null) throw new Error('nothing found');
  return credential;
}

test('a second process goes on with the token that the first was given', async () => {
  const identityToken = canary('identity token');
  const registry = await startRegistry({
    auth: 'oauth2',
    users: { alice: { password: canary('password'), identityToken } },
    repositories: { 'team/app': {}, 'team/other': {}, 'team/third': {} },
    tokens: { rotateRefreshTokens: true },
  });
  onTestFinished(() => registry.close());
  const path = fileOf({ auths: { [new URL(registry.url).host]: { identitytoken: identityToken } } });
  const policy = { realms: { pairs: [registry.pair] } };
  for (let run = 0; run < 3; run++) {
    const fetch = createRegistryFetch({ keychain: dockerKeychain({ path }), policy });
    // One exchange each, and each ends the token it was made with.
    for (const name of ['team/app', 'team/other', 'team/third']) {
      expect((await fetch(`${registry.url}/v2/${name}/tags/list`)).status).toBe(200);
    }
    expect(readFileSync(path, 'utf8').includes(identityToken)).toBe(false);
  }
});

describe('in a file', () => {
  test('in place of the old one, and nothing else changes', async () => {
    const path = fileOf({
      HttpHeaders: { x: '1' },
      auths: {
        'other.example': { auth: 'x' },
        'reg.example': { identitytoken: 'old', email: 'a@b.example' },
      },
    });
    const keychain = dockerKeychain({ path });
    await keychain.replaced?.(reg, await foundAt(keychain), identity('new'));
    expect(contentOf(path)).toEqual({
      HttpHeaders: { x: '1' },
      auths: {
        'other.example': { auth: 'x' },
        'reg.example': { identitytoken: 'new', email: 'a@b.example' },
      },
    });
  });

  test('again and again, each in place of the one before, whether that was looked up or not', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'first' } } });
    const keychain = dockerKeychain({ path });
    const [second, third] = [identity('second'), identity('third')];
    await keychain.replaced?.(reg, await foundAt(keychain), second);
    await keychain.replaced?.(reg, second, third);
    expect(await foundAt(keychain)).toEqual(third);
    await keychain.replaced?.(reg, await foundAt(keychain), identity('fourth'));
    expect(await foundAt(keychain)).toEqual(identity('fourth'));
  });

  test('of a namespace, for that namespace alone', async () => {
    const path = fileOf({
      auths: { 'reg.example': { identitytoken: 'host' }, 'reg.example/team': { identitytoken: 'old' } },
    });
    const keychain = dockerKeychain({ path, flavor: 'containers' });
    await keychain.replaced?.(reg, await foundAt(keychain, 'team/app'), identity('new'));
    expect(await foundAt(keychain, 'team/app')).toEqual(identity('new'));
    expect(await foundAt(keychain, 'other')).toEqual(identity('host'));
  });

  test('under an address: it is found next, though the address stays', async () => {
    const path = fileOf({ auths: { 'https://reg.example/v1/': { identitytoken: 'old' } } });
    const keychain = dockerKeychain({ path });
    await keychain.replaced?.(reg, await foundAt(keychain), identity('new'));
    expect(await foundAt(keychain)).toEqual(identity('new'));
  });

  test('among several places, in the one it came from', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'old' } } });
    const env = { REGISTRY_AUTH_FILE: path };
    const keychain = defaultKeychain({ env });
    const chained = chainKeychains(staticKeychain({}), keychain);
    const credential = (await chained.find(reg))?.credential;
    if (credential == null) throw new Error('nothing found');
    await chained.replaced?.(reg, credential, identity('new'));
    expect(await foundAt(keychain)).toEqual(identity('new'));
  });

  test('not over another login that was made meanwhile, nor after a logout', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'old' } } });
    const keychain = dockerKeychain({ path });
    const old = await foundAt(keychain);
    for (const auths of [{ 'reg.example': { identitytoken: 'of another login' } }, {}]) {
      writeFileSync(path, JSON.stringify({ auths }));
      await keychain.replaced?.(reg, old, identity('new'));
      expect(contentOf(path)).toEqual({ auths });
    }
  });

  test('not where no login writes: the flat file, a variable, a pull secret', async () => {
    const auths = { 'reg.example': { identitytoken: 'old' } };
    const path = fileOf({ auths });
    const secret = pullSecretKeychain({ paths: [path] });
    await secret.replaced?.(reg, await foundAt(secret), identity('new'));
    expect(contentOf(path)).toEqual({ auths });
    const home = join(path, '..');
    writeFileSync(join(home, '.dockercfg'), JSON.stringify(auths));
    const flat = defaultKeychain({ home, env: { XDG_RUNTIME_DIR: home } });
    await flat.replaced?.(reg, await foundAt(flat), identity('new'));
    expect(contentOf(join(home, '.dockercfg'))).toEqual(auths);
    // Nor what is not from here at all.
    await flat.replaced?.(reg, identity('stranger'), identity('new'));
    expect(contentOf(join(home, '.dockercfg'))).toEqual(auths);
  });

  test('what cannot be written is an error to who hands it over', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'old' } } });
    const keychain = dockerKeychain({ path });
    await expect(keychain.replaced?.(reg, await foundAt(keychain), identity('a\nb'))).rejects.toMatchObject({
      code: 'ERR_REG_CREDENTIALS',
    });
    expect(await foundAt(keychain)).toEqual(identity('old'));
  });
});

test.skipIf(process.platform === 'win32')(
  'with a helper, in the helper, which is asked again (Windows runs no shell script)',
  async () => {
    const { env, write } = programs();
    write(
      'docker-credential-test',
      `input=$(cat); case "$1" in
        get) cat "$NOTES/kept";;
        store) printf '%s' "$input" >"$NOTES/kept";;
      esac`,
    );
    const path = fileOf({ credHelpers: { 'reg.example': 'test' } });
    writeFileSync(join(env['NOTES'] ?? '', 'kept'), '{"Username":"<token>","Secret":"old"}');
    const keychain = dockerKeychain({ path, env });
    await keychain.replaced?.(reg, await foundAt(keychain), identity('new'));
    expect(await foundAt(keychain)).toEqual(identity('new'));
    expect(contentOf(join(env['NOTES'] ?? '', 'kept'))).toMatchObject({ Username: '<token>', Secret: 'new' });
    expect(readFileSync(path, 'utf8')).not.toContain('new');
  },
);
