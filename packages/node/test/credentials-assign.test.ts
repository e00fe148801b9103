/** Who is to keep a registry's credential: `credHelpers`, and nothing else of a config, changes. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { assignHelper, defaultKeychain, eraseCredential, saveCredential } from '../src/credentials/index.ts';
import { folder } from './folder.ts';
import { programs } from './programs.ts';

const password = (username: string) => ({ type: 'password', username, password: 'pass' }) as const;
const login = (user: string) => ({ auth: Buffer.from(`${user}:pass`).toString('base64') });

function config(content?: object) {
  const path = join(folder(), 'config.json');
  if (content !== undefined) writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
  return { path, read: (): unknown => JSON.parse(readFileSync(path, 'utf8')) };
}

/** A helper that keeps one credential in a file of its own. */
const keeper = `case "$1" in
  store) cat >$NOTES/kept;;
  get) [ -f $NOTES/kept ] && cat $NOTES/kept || { echo "credentials not found in native keychain"; exit 1; };;
  erase) rm -f $NOTES/kept;;
  *) echo "not implemented"; exit 1;;
esac`;

describe('assignHelper', () => {
  test('names a helper for a registry, and says what was there', async () => {
    const { path, read } = config({
      auths: { 'ghcr.io': login('a') },
      credHelpers: { 'gcr.io': 'gcr' },
      x: 1,
    });
    const expected = {
      path,
      key: 'ghcr.io',
      before: { 'gcr.io': 'gcr' },
      after: { 'gcr.io': 'gcr', 'ghcr.io': 'reg' },
    };
    const before = read();
    expect(await assignHelper('ghcr.io', 'reg', { path, dryRun: true })).toEqual(expected);
    expect(read()).toEqual(before);
    expect(await assignHelper('ghcr.io', 'reg', { path })).toEqual(expected);
    expect(read()).toEqual({
      auths: { 'ghcr.io': login('a') },
      credHelpers: { 'gcr.io': 'gcr', 'ghcr.io': 'reg' },
      x: 1,
    });
    expect(await assignHelper('ghcr.io', 'reg', { path })).toMatchObject({ before: expected.after });
  });

  test('replaces the name under the key it has, and there is one key then', async () => {
    const { path, read } = config({ credHelpers: { 'https://ghcr.io': 'old', 'GHCR.io': 'older' } });
    expect(await assignHelper('ghcr.io', 'reg', { path })).toMatchObject({ key: 'https://ghcr.io' });
    expect(read()).toEqual({ credHelpers: { 'https://ghcr.io': 'reg' } });
  });

  test.each([
    ['docker', 'https://index.docker.io/v1/'],
    ['containers', 'docker.io'],
  ] as const)('%s has Docker Hub as %s', async (flavor, key) => {
    const { path, read } = config();
    await assignHelper('docker.io', 'reg', { path, flavor });
    expect(read()).toEqual({ credHelpers: { [key]: 'reg' } });
  });

  test.each([
    ['ghcr.io', '../reg'],
    ['ghcr.io', ''],
    ['quay.io/team', 'reg'],
    ['user@quay.io', 'reg'],
  ])('%s, %j is a TypeError', async (registry, helper) => {
    const { path } = config();
    await expect(assignHelper(registry, helper, { path, flavor: 'containers' })).rejects.toThrow(TypeError);
  });
});

describe('saveCredential with a helper', () => {
  test('keeps it there, and the config says so', async () => {
    const { env, write, note } = programs();
    write('docker-credential-keeper', keeper);
    const { path, read } = config({ auths: { 'ghcr.io': login('old') } });
    const saved = await saveCredential('ghcr.io', password('alice'), { path, env, helper: 'keeper' });
    expect(saved).toEqual({ path, key: 'ghcr.io', helper: 'keeper' });
    expect(read()).toEqual({ auths: { 'ghcr.io': {} }, credHelpers: { 'ghcr.io': 'keeper' } });
    expect(note('kept')).toContain('"Username":"alice"');
    const keychain = defaultKeychain({ path, env });
    expect((await keychain.find('https://ghcr.io'))?.credential).toEqual(password('alice'));
  });

  test('one that fails leaves the config as it was', async () => {
    const { env, write } = programs();
    write('docker-credential-locked', 'echo "the store is locked" >&2; exit 1');
    const content = { auths: { 'ghcr.io': login('old') } };
    const { path, read } = config(content);
    await expect(
      saveCredential('ghcr.io', password('alice'), { path, env, helper: 'locked' }),
    ).rejects.toThrow('the store is locked');
    expect(read()).toEqual(content);
  });

  test('null: the file keeps it, whatever is named, and that is found', async () => {
    const { env } = programs();
    const { path, read } = config({ credsStore: 'desktop', credHelpers: { 'ghcr.io': 'gone' } });
    const saved = await saveCredential('ghcr.io', password('alice'), { path, env, helper: null });
    expect(saved).toEqual({ path, key: 'ghcr.io', helper: null });
    expect(read()).toEqual({
      credsStore: 'desktop',
      credHelpers: { 'ghcr.io': '' },
      auths: { 'ghcr.io': login('alice') },
    });
    const keychain = defaultKeychain({ path, env });
    expect((await keychain.find('https://ghcr.io'))?.credential).toEqual(password('alice'));
  });

  test('null where nothing is named leaves no mark', async () => {
    const { path, read } = config();
    await saveCredential('ghcr.io', password('alice'), { path, helper: null });
    expect(read()).toEqual({ auths: { 'ghcr.io': login('alice') } });
  });

  test('a helper that is left out is neither given nor asked anything', async () => {
    const { env, write, note } = programs();
    write('docker-credential-own', 'echo "$1" >>$NOTES/own; exit 1');
    const { path, read } = config({ credHelpers: { 'ghcr.io': 'own' } });
    const options = { path, env, withoutHelpers: ['own'] };
    await saveCredential('ghcr.io', password('alice'), options);
    expect(read()).toMatchObject({ auths: { 'ghcr.io': login('alice') } });
    expect(await eraseCredential('ghcr.io', options)).toBe(true);
    expect(read()).toEqual({ credHelpers: { 'ghcr.io': 'own' }, auths: {} });
    expect(note('own')).toBeNull();
  });

  test('one that is to forget is told which config is locked meanwhile', async () => {
    const { env, write, note } = programs();
    write('docker-credential-editor', 'printf "%s %s" "$1" "$REG_LOCKED_CONFIG" >$NOTES/$1');
    const { path } = config({ credHelpers: { 'ghcr.io': 'editor' }, auths: { 'ghcr.io': {} } });
    await eraseCredential('ghcr.io', { path, env });
    expect(note('erase')).toBe(`erase ${path}`);
    await saveCredential('ghcr.io', password('alice'), { path, env });
    expect(note('store')).toBe('store ');
  });

  test('a text that is no name of one is a TypeError', async () => {
    const { path } = config();
    await expect(saveCredential('ghcr.io', password('a'), { path, helper: 'a/b' })).rejects.toThrow(
      TypeError,
    );
  });
});
