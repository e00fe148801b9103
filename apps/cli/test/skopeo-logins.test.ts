/**
 * Real programs: Debian's registry, Skopeo, and a helper of Debian's. What `reg login` writes Skopeo finds, and the reverse; and
 * Skopeo asks this command for a credential.
 */

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canary, createServerCertificate, startTokenServer } from '@reg/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { skopeoFor } from '../../../packages/node/test/skopeo.ts';
import { isMissing, startDistribution } from '../../../packages/testing/test/docker-registry.ts';
import { quote } from '../src/report/shell.ts';
import { type Home, homeFor } from './logins.ts';
import { commandLine } from './process.ts';
import { hintIn, registryFor } from './run.ts';

const execFileAsync = promisify(execFile);

const auth = 'run/containers/auth.json';
const own = '.config/reg/credentials.json';

/** Skopeo in a home. Resolves to what it prints. */
function skopeoIn({ env }: Home): (...words: readonly string[]) => Promise<string> {
  return async (...words) => (await execFileAsync('skopeo', words, { env })).stdout.trim();
}

/** `docker-credential-reg` in a home, from source. */
function installIn({ helper }: Home): void {
  const [program, ...words] = [...commandLine('main.ts', ['credential'])].map(quote);
  helper('reg', `exec ${[program, ...words].join(' ')} "$@"`);
}

const missing = isMissing('docker-registry', 'htpasswd', 'skopeo');

describe.skipIf(missing)('skopeo and a registry with passwords', () => {
  /** A registry that knows alice, with one image in it. */
  async function stage() {
    const password = canary('password');
    const registry = await startDistribution({ htpasswd: { alice: password } });
    const { push } = await skopeoFor(registry.host, ['alice', password]);
    await push('team/app', '1', 'an image');
    const home = homeFor();
    const tags = (...options: readonly string[]) =>
      skopeoIn(home)('list-tags', '--tls-verify=false', ...options, `docker://${registry.host}/team/app`);
    return { ...registry, ...home, home, password, tags, skopeo: skopeoIn(home) };
  }

  test('Skopeo finds what reg login stored, in Docker’s file and in its own', async () => {
    const { host, reg, tags, skopeo, folder, password } = await stage();
    await expect(tags()).rejects.toThrow('unauthorized');
    const env = { REG_PASSWORD: password };
    const ran = await reg(['login', host, '-u', 'alice'], { env });
    expect(ran.stdout).toContain(
      '✓ alice is accepted (checked: authenticated GET /v2/ → 200; anonymous → 401)',
    );
    expect(JSON.parse(await tags())).toMatchObject({ Tags: ['1'] });
    await reg(['logout', host]);
    await expect(tags()).rejects.toThrow('unauthorized');
    await reg(['login', host, '-u', 'alice', '--authfile', join(folder, auth)], { env });
    expect(JSON.parse(await tags())).toMatchObject({ Tags: ['1'] });
    expect(await skopeo('login', '--get-login', host)).toBe('alice');
  });

  test('a wrong password stores nothing that Skopeo would find', async () => {
    const { host, reg, skopeo } = await stage();
    const ran = await reg(['login', host, '-u', 'alice'], { env: { REG_PASSWORD: 'wrong' } });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    expect(hintIn(ran)).toBe(`reg login ${host} -u alice`);
    await expect(skopeo('login', '--get-login', host)).rejects.toThrow('not logged into');
  });

  test('reg finds what skopeo login stored, tells where, tries it, and forgets it', async () => {
    const { host, reg, skopeo, password } = await stage();
    await skopeo('login', '--tls-verify=false', '-u', 'alice', '-p', password, host);
    expect((await reg(['tags', `${host}/team/app`])).stdout).toBe('1\n');
    const status = await reg(['status', host, '--check']);
    expect(status).toMatchObject({ code: 0, stderr: '' });
    expect(status.stdout).toMatch(
      /alice {2}~\/run\/containers\/auth\.json {2}password .* reg, podman .*✓ accepted/,
    );
    expect(await reg(['logout', host])).toMatchObject({ code: 0 });
    await expect(skopeo('login', '--get-login', host)).rejects.toThrow('not logged into');
  });

  test('Skopeo logs in through docker-credential-reg, gets its credential from it, and logs out', async () => {
    const { host, home, reg, read, write, tags, skopeo, password } = await stage();
    installIn(home);
    write(auth, { auths: {} });
    await reg(['credential', 'install', host, '--yes', '--authfile', join(home.folder, auth)]);
    expect(read(auth)).toMatchObject({ credHelpers: { [host]: 'reg' } });
    await skopeo('login', '--tls-verify=false', '-u', 'alice', '-p', password, host);
    expect(JSON.stringify(read(auth))).not.toContain(Buffer.from(`alice:${password}`).toString('base64'));
    expect(read(own)).toMatchObject({ auths: { [host]: {} } });
    expect(JSON.parse(await tags())).toMatchObject({ Tags: ['1'] });
    expect(await skopeo('login', '--get-login', host)).toBe('alice');
    // So does this command, as any other.
    expect((await reg(['tags', `${host}/team/app`])).stdout).toBe('1\n');
    expect((await reg(['status', host])).stdout).toContain('› reg');
    await skopeo('logout', host);
    expect(read(own)).toEqual({ auths: {} });
    await expect(tags()).rejects.toThrow('unauthorized');
  });

  test('Skopeo gets through docker-credential-reg what stands beside its name in Docker’s file', async () => {
    const { host, home, reg, tags, password } = await stage();
    installIn(home);
    await reg(['login', host, '-u', 'alice'], { env: { REG_PASSWORD: password } });
    await reg(['credential', 'install', host, '--yes']);
    expect(JSON.parse(await tags())).toMatchObject({ Tags: ['1'] });
    expect((await reg(['tags', `${host}/team/app`])).stdout).toBe('1\n');
    expect(await reg(['logout', host])).toMatchObject({ code: 0 });
    await expect(tags()).rejects.toThrow('unauthorized');
  });

  test('by a token server: found by reg login, and by Skopeo with what it stored', async () => {
    const password = canary('password');
    const users = { alice: password };
    const repositories = { 'team/app': { access: { alice: ['pull' as const, 'push' as const] } } };
    const tokens = await startTokenServer({ users, repositories });
    onTestFinished(() => tokens.close());
    const { host } = await startDistribution({ token: tokens });
    await (await skopeoFor(host, ['alice', password])).push('team/app', '1', 'an image');
    const home = homeFor();
    const realm = new URL(tokens.url).origin;
    const args = ['login', host, '-u', 'alice', '--trust-realm', realm, '--scope'];
    const env = { REG_PASSWORD: password };
    const denied = await home.reg([...args, 'repository:other/app:pull'], { env });
    expect(denied).toMatchObject({ code: 5, stdout: '' });
    const ran = await home.reg([...args, 'repository:team/app:pull,push'], { env });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('✓ repository:team/app:pull,push is granted');
    const list = ['list-tags', '--tls-verify=false', `docker://${host}/team/app`];
    expect(JSON.parse(await skopeoIn(home)(...list))).toMatchObject({ Tags: ['1'] });
  });

  test('an identity token that reg login stored in Docker’s file is what Skopeo asks for tokens with', async () => {
    const identityToken = canary('identity token');
    const { host, pair } = await registryFor({
      auth: 'oauth2',
      users: { bob: { password: 'x', identityToken } },
      repositories: { 'team/app': { tags: ['1'], access: { bob: ['pull'] } } },
    });
    const home = homeFor();
    const tags = () => skopeoIn(home)('list-tags', '--tls-verify=false', `docker://${host}/team/app`);
    await expect(tags()).rejects.toThrow('denied');
    const args = ['login', host, '--identity-token-stdin', '--trust-realm', pair.realm];
    expect(await home.reg(args, { stdin: identityToken })).toMatchObject({ code: 0 });
    expect(JSON.parse(await tags())).toMatchObject({ Tags: ['1'] });
  });

  test('over TLS, under an authority of its own', async () => {
    const password = canary('password');
    const certificate = createServerCertificate();
    const { host } = await startDistribution({ htpasswd: { alice: password } }, certificate);
    const home = homeFor();
    const ca = home.write('certs/ca.crt', certificate.ca);
    const env = { REG_PASSWORD: password };
    const unknown = await home.reg(['login', `https://${host}`, '-u', 'alice'], { env });
    expect(unknown).toMatchObject({ code: 6, stdout: '' });
    const ran = await home.reg(['login', `https://${host}`, '-u', 'alice', '--ca-file', ca], { env });
    expect(ran).toMatchObject({ code: 0 });
    // With what was stored Skopeo needs no password.
    const login = ['login', '--cert-dir', join(home.folder, 'certs'), '--get-login', host];
    expect(await skopeoIn(home)(...login)).toBe('alice');
  });
});

const noPass = missing || isMissing('docker-credential-pass', 'pass', 'gpg');
describe.skipIf(noPass)('docker-credential-pass', () => {
  /** A home with a password store, for a key without a passphrase, so that nobody is asked. */
  async function stage() {
    const password = canary('password');
    const { host } = await startDistribution({ htpasswd: { alice: password } });
    const home = homeFor();
    const gnupg = { GNUPGHOME: join(home.folder, 'gnupg') };
    const env = { ...home.env, ...gnupg };
    const run = (program: string, ...words: readonly string[]) =>
      execFileSync(program, words, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    mkdirSync(gnupg.GNUPGHOME, { mode: 0o700 });
    onTestFinished(() => void run('gpgconf', '--kill', 'all'));
    const key = ['--batch', '--passphrase', '', '--quick-generate-key', 'reg', 'default', 'default', 'never'];
    run('gpg', ...key);
    run('pass', 'init', 'reg');
    const reg: Home['reg'] = (args, { env: more = {}, ...options } = {}) =>
      home.reg(args, { ...options, env: { ...gnupg, ...more } });
    return { ...home, host, password, gnupg, reg };
  }

  test('keeps what reg login stores in it, lists it, and forgets it', async () => {
    const { host, reg, read, password } = await stage();
    const args = ['login', host, '-u', 'alice', '--store', 'helper:pass'];
    const ran = await reg(args, { env: { REG_PASSWORD: password } });
    expect(ran.stdout).toContain('stored in ~/.docker/config.json, via docker-credential-pass');
    expect(read('.docker/config.json')).toEqual({ auths: { [host]: {} }, credHelpers: { [host]: 'pass' } });
    const status = await reg(['status', '--check']);
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/alice {2}~\/\.docker\/config\.json › pass {2}password .*✓ accepted/);
    expect(await reg(['logout', host])).toMatchObject({ code: 0 });
    expect(await reg(['status', host])).toMatchObject({ code: 4 });
  });

  test('that cannot decrypt: exit 8, in its own words', async () => {
    const { host, reg, password, gnupg } = await stage();
    const args = ['login', host, '-u', 'alice', '--store', 'helper:pass'];
    await reg(args, { env: { REG_PASSWORD: password } });
    rmSync(join(gnupg.GNUPGHOME, 'private-keys-v1.d'), { recursive: true });
    execFileSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, ...gnupg } });
    const ran = await reg(['status', host, '--check']);
    expect(ran).toMatchObject({ code: 8, stdout: expect.stringContaining('✗ failed') });
    expect(ran.stderr).toContain('docker-credential-pass');
  });
});
