/** An identity token that its token server replaced is kept where the login is, so that the next process has it as well. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Credential } from '@reg/core';
import { chainKeychains, staticKeychain } from '@reg/core/driver';
import { canary, startRegistry } from '@reg/testing';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
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

/** What the process was warned of, and nobody was shown. */
let warnings: string[] = [];
beforeEach(() => {
  warnings = [];
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)));
});
afterEach(() => void vi.restoreAllMocks());

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
        'reg.example': { auth: btoa('alice:'), identitytoken: 'old', email: 'a@b.example' },
      },
    });
    const keychain = dockerKeychain({ path });
    await keychain.replaced?.(reg, await foundAt(keychain), identity('new'));
    expect(contentOf(path)).toEqual({
      HttpHeaders: { x: '1' },
      auths: {
        'other.example': { auth: 'x' },
        'reg.example': { auth: btoa('alice:'), identitytoken: 'new', email: 'a@b.example' },
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

describe('what could not be written', () => {
  const holding = (token: string) => JSON.stringify({ auths: { 'reg.example': { identitytoken: token } } });

  /** Has `keychain` replace each of `tokens` by the next while the file cannot be understood, and then puts `content` there. */
  async function fail(
    keychain: ReturnType<typeof dockerKeychain>,
    path: string,
    tokens: readonly Credential[],
    content: string,
  ): Promise<void> {
    writeFileSync(path, '{torn');
    for (const [i, token] of tokens.entries()) {
      const old = tokens[i - 1];
      if (old === undefined) continue;
      await expect(keychain.replaced?.(reg, old, token)).rejects.toMatchObject({
        code: 'ERR_REG_CREDENTIALS',
      });
    }
    writeFileSync(path, content);
  }

  test.each([
    ['the first of them', 'first'],
    ['one between', 'second'],
    ['the one before', 'third'],
  ])('is made up for by the next that is replaced, while the file holds %s', async (_, held) => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'first' } } });
    const keychain = dockerKeychain({ path });
    const [second, third, fourth] = [identity('second'), identity('third'), identity('fourth')];
    await fail(keychain, path, [await foundAt(keychain), second, third], holding(held));
    await keychain.replaced?.(reg, third, fourth);
    expect(await foundAt(dockerKeychain({ path }))).toEqual(fourth);
    // From here on it is no more than any other.
    writeFileSync(path, holding(held));
    await keychain.replaced?.(reg, fourth, identity('fifth'));
    expect(await foundAt(keychain)).toEqual(identity(held));
  });

  test('is nothing where the server gives again what is there', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'first' } } });
    const keychain = dockerKeychain({ path });
    const [first, second] = [await foundAt(keychain), identity('second')];
    await fail(keychain, path, [first, second], holding('first'));
    await keychain.replaced?.(reg, second, first);
    expect(readFileSync(path, 'utf8')).toBe(holding('first'));
    await keychain.replaced?.(reg, first, identity('third'));
    expect(await foundAt(keychain)).toEqual(identity('third'));
  });

  test('is not made up for where another login is by then', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'first' } } });
    const keychain = dockerKeychain({ path });
    const tokens = [await foundAt(keychain), identity('second')] as const;
    await fail(keychain, path, tokens, holding('of another login'));
    await keychain.replaced?.(reg, tokens[1], identity('third'));
    expect(await foundAt(keychain)).toEqual(identity('of another login'));
  });

  test('is known for as long as it takes, and of very many the first and the last are', async () => {
    const path = fileOf({ auths: { 'reg.example': { identitytoken: 'first' } } });
    const keychain = dockerKeychain({ path });
    const others = Array.from({ length: 300 }, (_, i) => identity(`another ${i}`));
    const last = identity('last');
    await fail(keychain, path, [await foundAt(keychain), ...others, last], holding('first'));
    await keychain.replaced?.(reg, last, identity('new'));
    expect(await foundAt(keychain)).toEqual(identity('new'));
  });

  test('is told once for each file, without a secret', async () => {
    const secret = canary('identity token');
    const [path, other] = [fileOf({}), fileOf({})];
    for (const at of [path, path, other]) {
      writeFileSync(at, holding(secret));
      const keychain = dockerKeychain({ path: at });
      await fail(keychain, at, [await foundAt(keychain), identity(`${secret}2`), identity(`${secret}3`)], '');
    }
    const message = (at: string) =>
      `an identity token that was replaced is not kept, and whoever reads the old one may have to log in again: ${at}: is not JSON`;
    expect(warnings).toEqual([message(path), message(other)]);
    expect(process.emitWarning).toHaveBeenCalledWith(message(path), {
      type: 'RegWarning',
      code: 'REG_CREDENTIAL_NOT_KEPT',
    });
  });
});

test('replacements that overtake one another end with the newest', async () => {
  const path = fileOf({ auths: { 'reg.example': { identitytoken: 'token 0' } } });
  const keychain = dockerKeychain({ path });
  const tokens = [
    await foundAt(keychain),
    ...Array.from({ length: 5 }, (_, i) => identity(`token ${i + 1}`)),
  ];
  await Promise.all(
    tokens.map((token, i) => i > 0 && keychain.replaced?.(reg, tokens[i - 1] ?? token, token)),
  );
  expect(await foundAt(keychain)).toEqual(identity('token 5'));
  expect(warnings).toEqual([]);
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
