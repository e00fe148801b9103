import { chmodSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { monotonicNow } from '@reg/core/driver';
import { fileTokenStore } from '@reg/node/stores';
import { canary } from '@reg/testing';
import { describe, expect, test } from 'vitest';
import { entry, homeFor, keeper } from './logins.ts';
import { hintIn, registryFor } from './run.ts';
import { matchesSchema } from './schema.ts';

const password = canary('password');
const config = '.docker/config.json';
const auth = 'run/containers/auth.json';
const own = '.config/reg/credentials.json';
const login = (user = 'alice') => entry(user, password);

describe('reg logout forgets a registry wherever it is stored', () => {
  test('in Docker’s file and in Podman’s, under every name, and leaves the rest', async () => {
    const { reg, read, write } = homeFor();
    write(config, {
      auths: { 'ghcr.io': login(), 'https://ghcr.io/v2/': login(), 'quay.io': login() },
      x: 1,
    });
    write(auth, { auths: { 'ghcr.io': login('podman') } });
    const ran = await reg(['logout', 'ghcr.io']);
    expect(ran).toEqual({
      code: 0,
      stdout: '',
      stderr: '✓ ghcr.io: forgotten in ~/.docker/config.json, ~/run/containers/auth.json\n',
    });
    expect(read(config)).toEqual({ auths: { 'quay.io': login() }, x: 1 });
    expect(read(auth)).toEqual({ auths: {} });
    expect((await reg(['status', 'ghcr.io'])).code).toBe(4);
  });

  test('in a helper', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('keeper', keeper);
    write(config, { credsStore: 'keeper' });
    const env = { REG_PASSWORD: password };
    await reg(['login', 'ghcr.io', '-u', 'alice', '--no-verify'], { env });
    expect((await reg(['status', 'ghcr.io'])).stdout).toContain('alice');
    const ran = await reg(['logout', 'ghcr.io']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toContain('✓ ghcr.io: forgotten in ~/.docker/config.json (docker-credential-keeper)');
    expect(read(config)).toEqual({ credsStore: 'keeper', auths: {} });
    expect((await reg(['status', 'ghcr.io'])).code).toBe(4);
  });

  test('in what stands beside docker-credential-reg, which would answer next', async () => {
    const { reg, read, write, helper } = homeFor();
    helper('keeper', keeper);
    // Lists what it would answer with, and has nothing of its own to forget.
    helper('reg', '[ "$1" = list ] && exec docker-credential-keeper list; exit 0');
    write(config, { credsStore: 'keeper' });
    const env = { REG_PASSWORD: password };
    await reg(['login', 'ghcr.io', '-u', 'alice', '--no-verify'], { env });
    write(config, { credsStore: 'keeper', credHelpers: { 'ghcr.io': 'reg' } });
    expect((await reg(['status', 'ghcr.io'])).stdout).toContain('› reg');
    expect(await reg(['logout', 'ghcr.io'])).toMatchObject({ code: 0 });
    expect(read('kept-docker-credential-keeper')).toBeNull();
  });

  test('in what docker-credential-reg keeps, though no config names it', async () => {
    const { reg, read, write } = homeFor();
    write(own, { auths: { 'ghcr.io': login('old'), 'quay.io': login() } });
    const ran = await reg(['logout', 'ghcr.io']);
    expect(ran).toEqual({
      code: 0,
      stdout: '',
      stderr: '✓ ghcr.io: forgotten in ~/.config/reg/credentials.json\n',
    });
    expect(read(own)).toEqual({ auths: { 'quay.io': login() } });
    write(config, { auths: { 'ghcr.io': login() } });
    expect(await reg(['logout', '--all'])).toMatchObject({ code: 0 });
    expect([read(own), read(config)]).toEqual([{ auths: {} }, { auths: {} }]);
    write(own, '{');
    const broken = await reg(['logout', 'ghcr.io']);
    expect(broken).toMatchObject({ code: 8 });
    expect(broken.stderr).toContain('ghcr.io may still be in ~/.config/reg/credentials.json');
  });

  test('not there, where a file or a folder is named', async () => {
    const { reg, read, write } = homeFor();
    write(own, { auths: { 'ghcr.io': login() } });
    const file = write('other.json', { auths: { 'ghcr.io': login() } });
    expect(await reg(['logout', 'ghcr.io', '--authfile', file])).toMatchObject({ code: 0 });
    expect(read(own)).toEqual({ auths: { 'ghcr.io': login() } });
  });

  test('several, in JSON', async () => {
    const { reg, write, folder } = homeFor();
    write(config, { auths: { 'ghcr.io': login(), 'https://index.docker.io/v1/': login() } });
    const ran = await reg(['logout', 'ghcr.io', 'docker.io', 'none.example', '-o', 'json']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const erased = [{ source: `${folder}/${config}`, helper: null }];
    expect(matchesSchema('logout', ran.stdout)).toEqual({
      registries: [
        { registry: 'ghcr.io', erased, left: [] },
        { registry: 'docker.io', erased, left: [] },
        { registry: 'none.example', erased: [], left: [] },
      ],
      purgedCache: false,
    });
  });

  test('--all, namespaces too', async () => {
    const { reg, read, write } = homeFor();
    write(config, { auths: { 'ghcr.io': login() } });
    write(auth, { auths: { 'quay.io/team': login(), 'quay.io': login() } });
    expect(await reg(['logout', '--all'])).toMatchObject({ code: 0 });
    expect([read(config), read(auth)]).toEqual([{ auths: {} }, { auths: {} }]);
    expect((await reg(['logout', '--all'])).stderr).toBe('reg: not logged in anywhere\n');
  });

  test('a namespace is a login of its own, and that is said', async () => {
    const { reg, read, write } = homeFor();
    write(auth, { auths: { 'quay.io/team': login(), 'quay.io': login() } });
    const ran = await reg(['logout', 'quay.io']);
    expect(ran.stderr).toContain('reg: quay.io/team is a login of its own: reg logout quay.io/team\n');
    expect(read(auth)).toEqual({ auths: { 'quay.io/team': login() } });
    expect(await reg(['logout', 'quay.io/team'])).toMatchObject({ code: 0 });
    expect(read(auth)).toEqual({ auths: {} });
  });

  test('not to be logged in is said, and no error', async () => {
    const { reg, read } = homeFor();
    expect(await reg(['logout', 'ghcr.io'])).toEqual({
      code: 0,
      stdout: '',
      stderr: 'reg: not logged in to ghcr.io\n',
    });
    expect(read(config)).toBeNull();
  });

  test('what it cannot change is told, with exit 8, when the rest is done', async () => {
    const { reg, read, write } = homeFor();
    write(config, { auths: { 'ghcr.io': login() } });
    write('.dockercfg', { 'https://quay.io/v1/': login() });
    const env = { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { 'ghcr.io': login('ci') } }) };
    const ran = await reg(['logout', 'ghcr.io'], { env });
    expect(ran).toMatchObject({ code: 8, stdout: '' });
    expect(ran.stderr).toContain('ghcr.io may still be in $DOCKER_AUTH_CONFIG: a variable of the shell');
    expect(hintIn(ran)).toBe('unset DOCKER_AUTH_CONFIG');
    expect(read(config)).toEqual({ auths: {} });
    const flat = await reg(['logout', 'quay.io', '-o', 'json']);
    expect(flat.code).toBe(8);
    expect(matchesSchema('logout', flat.stdout)).toMatchObject({
      registries: [{ erased: [], left: [{ source: expect.stringContaining('.dockercfg') }] }],
    });
  });

  test('a helper that fails, and a file that cannot be read: exit 8', async () => {
    const { reg, write, helper } = homeFor();
    helper('locked', '[ "$1" = list ] && echo \'{"ghcr.io":"alice"}\' || { echo "sealed" >&2; exit 1; }');
    write(config, { credsStore: 'locked' });
    const locked = await reg(['logout', 'ghcr.io']);
    expect(locked).toMatchObject({ code: 8, stderr: expect.stringContaining('sealed') });
    write(config, '{');
    const broken = await reg(['logout', 'ghcr.io']);
    expect(broken).toMatchObject({ code: 8, stderr: expect.stringContaining('is not JSON') });
  });

  test('--all, where a file cannot be looked into: the rest is done, and exit 8', async () => {
    const { reg, read, write } = homeFor();
    write(config, '{');
    write(auth, { auths: { 'quay.io': login() } });
    const ran = await reg(['logout', '--all']);
    expect(ran).toMatchObject({ code: 8, stderr: expect.stringContaining('is not known: is not JSON') });
    expect(read(auth)).toEqual({ auths: {} });
    expect((await reg(['logout', '--all', '-o', 'json'])).code).toBe(8);
  });

  test.each(['QUAY.IO', 'quay.io:443', 'https://Quay.io/v2/'])('%s is quay.io', async (name) => {
    const { reg, read, write } = homeFor();
    write(auth, { auths: { 'quay.io': login() } });
    expect((await reg(['status', name])).stdout).toContain('alice');
    expect((await reg(['logout', name])).stderr).toContain('✓ quay.io: forgotten in ~/run/containers');
    expect(read(auth)).toEqual({ auths: {} });
  });

  test('--purge-cache forgets its tokens as well', async () => {
    const { host, pair } = await registryFor({
      auth: 'bearer',
      users: { alice: password },
      repositories: { 'team/app': { tags: ['1'] } },
    });
    const { reg, write } = homeFor();
    write(config, { auths: { [host]: login() } });
    await reg(['tags', `${host}/team/app`, '--trust-realm', pair.realm]);
    expect((await reg(['cache', 'ls'])).stdout).toContain(host);
    expect(await reg(['logout', host, '--purge-cache'])).toMatchObject({ code: 0 });
    expect((await reg(['cache', 'ls'])).stdout).not.toContain(host);
  });

  test('--purge-cache forgets those of a registry that was spoken to over plain http, too', async () => {
    const { url, pair } = await registryFor({
      auth: 'bearer',
      users: { alice: password },
      repositories: { 'team/app': { tags: ['1'] } },
    });
    const { port } = new URL(url);
    const host = `registry.lab:${port}`;
    const { reg, write } = homeFor();
    write(config, { auths: { [host]: login() } });
    const there = ['--plain-http', '--resolve', `${host}:127.0.0.1`, '--trust-realm', pair.realm];
    expect(await reg(['tags', `${host}/team/app`, ...there])).toMatchObject({ code: 0 });
    expect((await reg(['cache', 'ls'])).stdout).toContain(`http://${host}`);
    expect(await reg(['logout', host, '--purge-cache'])).toMatchObject({ code: 0 });
    expect((await reg(['cache', 'ls'])).stdout).not.toContain(host);
  });

  test('--purge-cache in a folder that is open to others, and where it cannot be', async () => {
    const { reg, write, folder } = homeFor();
    const [caches, path] = [join(folder, '.cache'), join(folder, '.cache/reg')];
    mkdirSync(caches);
    const store = fileTokenStore({ path });
    const expiresAt = monotonicNow() + 60_000;
    const hint = { scheme: 'basic', realm: null, service: null, elsewhere: null } as const;
    await store.write(
      { kind: 'challenge', origin: 'https://ghcr.io' },
      { kind: 'challenge', hint, expiresAt },
    );
    expect(await store.list()).toHaveLength(1);
    chmodSync(path, 0o770);
    expect(await reg(['logout', 'ghcr.io', '--purge-cache'])).toMatchObject({ code: 0 });
    expect(readdirSync(path)).toEqual([]);

    renameSync(path, join(caches, 'elsewhere'));
    symlinkSync(join(caches, 'elsewhere'), path);
    write(config, { auths: { 'ghcr.io': login() } });
    const ran = await reg(['logout', 'ghcr.io', '--purge-cache']);
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('is a link or a file') });
    expect(ran.stderr).toContain('✓ ghcr.io: forgotten');
    expect(ran.stderr).not.toContain('kept tokens: forgotten');
    const json = await reg(['logout', 'ghcr.io', '--purge-cache', '-o', 'json']);
    expect(json.code).toBe(1);
    expect(matchesSchema('logout', json.stdout)).toMatchObject({ purgedCache: false });
    expect((await reg(['cache', 'clear'])).code).toBe(1);
  });

  test.each([
    [['logout'], 'a registry is missing'],
    [['logout', '--all', 'ghcr.io'], 'every registry'],
    [['logout', ''], 'no host name'],
    [['logout', 'a\u0000b'], 'no host name'],
    [['logout', 'ghcr.io', '--authfile', '/nonexistent/auth.json'], 'does not exist'],
  ])('%j is a usage error', async (args, message) => {
    const { reg } = homeFor();
    const ran = await reg(args);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(message);
  });
});
