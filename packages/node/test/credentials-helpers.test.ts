/** Credentials that helpers keep: which helper, what it is asked for, what its answer means. Requirements 109, 121 to 129. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startRegistry } from '@reg/testing';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Helpers } from '../src/credentials/helpers.ts';
import {
  CredentialsError,
  type DockerKeychainOptions,
  defaultKeychain,
  dockerKeychain,
} from '../src/credentials/index.ts';
import { createRegistryFetch } from '../src/fetch.ts';
import { isRunning, type Programs, programs } from './programs.ts';

if (process.platform === 'win32')
  console.log('skipped: credentials of helpers (the tests write shell scripts)');
const scripts = describe.skipIf(process.platform === 'win32');

const hub = 'https://registry-1.docker.io';
const reg = 'https://reg.example';
const login = (user: string) => ({ auth: Buffer.from(`${user}:pass`).toString('base64') });

/** A script that writes down what it is asked for and answers `said`. */
function answering(said: object | string): string {
  const answer = typeof said === 'string' ? said : `printf '%s' '${JSON.stringify(said)}'`;
  return `cat >>"$NOTES/asked"; echo >>"$NOTES/asked"; ${answer}`;
}

const alice = answering({ Username: 'alice', Secret: 'pass' });
const none = answering(`echo 'credentials not found in native keychain'; exit 1`);

interface Place extends Programs {
  readonly path: string;
  readonly asked: () => readonly string[];
  keychain(options?: DockerKeychainOptions): ReturnType<typeof dockerKeychain>;
}

/** A config beside helpers, `docker-credential-<name>` by name. */
function place(config: object, helpers: Readonly<Record<string, string>> = { test: alice }): Place {
  const all = programs();
  for (const [name, script] of Object.entries(helpers)) all.write(`docker-credential-${name}`, script);
  const path = join(all.folder, 'config.json');
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return {
    ...all,
    path,
    asked: () => (all.note('asked') ?? '').split('\n').filter((line) => line !== ''),
    keychain: (options) => dockerKeychain({ path, env: all.env, ...options }),
  };
}

async function faultOf(attempt: Promise<unknown>): Promise<CredentialsError> {
  const error: unknown = await attempt.then(
    (value) => expect.fail(`found ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof CredentialsError)) throw error;
  return error;
}

/** Resolves when `ready` does; polls, since what a program does is no event here. */
async function until(ready: () => boolean): Promise<void> {
  await vi.waitUntil(ready, { timeout: 20_000, interval: 5 });
}

scripts('which helper, and what it is asked for', () => {
  const auths = { 'reg.example': login('file'), 'https://index.docker.io/v1/': login('file') };
  const three = {
    auths,
    credsStore: 'store',
    credHelpers: { 'reg.example': 'one', 'other.example': 'other' },
  };
  const each = (name: string) => answering({ Username: name, Secret: 'pass' });
  const helpers = { one: each('one'), other: each('other'), store: each('store') };

  test.each<[string, object, string, string, string]>([
    ['credHelpers over credsStore over auths (Q71)', three, reg, 'one', 'reg.example'],
    ['credsStore for the rest', three, 'https://rest.example', 'store', 'rest.example'],
    ['credsStore over auths', { ...three, credHelpers: {} }, reg, 'store', 'reg.example'],
    ['a port', three, 'https://reg.example:5000', 'store', 'reg.example:5000'],
    [
      'a port in the key',
      { credHelpers: { 'reg.example:5000': 'one' } },
      'https://reg.example:5000',
      'one',
      'reg.example:5000',
    ],
    [
      'the default port in the key, as it stands there',
      { credHelpers: { 'reg.example:443': 'one' } },
      reg,
      'one',
      'reg.example:443',
    ],
    [
      'an address as key',
      { credHelpers: { 'http://reg.example/': 'one' } },
      reg,
      'one',
      'http://reg.example/',
    ],
    [
      'an exact key over an address',
      { credHelpers: { 'https://reg.example/v2/': 'other', 'reg.example': 'one' } },
      reg,
      'one',
      'reg.example',
    ],
    ['Docker Hub in a store (requirement 110)', three, hub, 'store', 'https://index.docker.io/v1/'],
    [
      'Docker Hub by Docker’s key',
      { credHelpers: { 'https://index.docker.io/v1/': 'one' } },
      hub,
      'one',
      'https://index.docker.io/v1/',
    ],
    [
      'Docker Hub by its name',
      { credHelpers: { 'docker.io': 'one' } },
      hub,
      'one',
      'https://index.docker.io/v1/',
    ],
  ])('%s', async (_, config, origin, username, asked) => {
    const { keychain, asked: askedFor, folder } = place(config, helpers);
    const found = await keychain().find(origin);
    expect(found).toMatchObject({
      credential: { type: 'password', username, password: 'pass' },
      source: expect.stringContaining(join(folder, `docker-credential-${username}`)),
    });
    expect(askedFor()).toEqual([asked]);
  });

  test('Podman asks under the key as it stands, and reads no credsStore (requirement 118)', async () => {
    const config = {
      credsStore: 'test',
      credHelpers: { 'docker.io': 'test' },
      auths: { 'reg.example': login('file') },
    };
    const { keychain, asked } = place(config);
    const podman = keychain({ flavor: 'containers' });
    expect((await podman.find(hub, 'library/alpine'))?.credential).toMatchObject({ username: 'alice' });
    expect(asked()).toEqual(['docker.io']);
    expect((await podman.find(reg))?.credential).toMatchObject({ username: 'file' });
    expect(asked()).toEqual(['docker.io']);
    expect((await podman.explain(reg)).trail.map(({ outcome }) => outcome)).toEqual(['ignored', 'matched']);
    // Nor what is wrong with it.
    for (const credsStore of ['../x', 1, {}]) {
      const { keychain: other } = place({ ...config, credsStore });
      expect((await other({ flavor: 'containers' }).find(reg))?.credential).toMatchObject({
        username: 'file',
      });
    }
  });
});

scripts('what an answer means', () => {
  const config = { credsStore: 'test', auths: { 'reg.example': login('file') } };

  test('the user <token> has an identity token (requirement 126, Q70)', async () => {
    const { keychain } = place(config, { test: answering({ Username: '<token>', Secret: 'refresh' }) });
    expect((await keychain().find(reg))?.credential).toEqual({ type: 'identity', token: 'refresh' });
  });

  test.each([
    ['not found (requirement 124)', none],
    ['empty (requirement 127, Q69)', answering({ Username: '', Secret: '' })],
  ])('%s is none, and an entry beside the helper is no login', async (_, script) => {
    const { keychain } = place(config, { test: script });
    expect(await keychain().find(reg)).toBeNull();
  });

  test('with none, the next place is looked at', async () => {
    const { folder, env, write } = programs();
    write('docker-credential-test', none);
    mkdirSync(join(folder, '.docker'));
    writeFileSync(join(folder, '.docker', 'config.json'), JSON.stringify({ credsStore: 'test' }), {
      mode: 0o600,
    });
    writeFileSync(join(folder, '.dockercfg'), JSON.stringify({ 'https://reg.example/v1/': login('flat') }), {
      mode: 0o600,
    });
    const keychain = defaultKeychain({ home: folder, env: { PATH: env['PATH'], NOTES: folder } });
    expect((await keychain.find(reg))?.credential).toMatchObject({ username: 'flat' });
  });

  test.each<[string, string, RegExp]>([
    ['fails', answering('echo "locked" >&2; exit 3'), /"get" failed \(exit code 3\): locked$/],
    ['answers something else', answering('echo hello'), /did not answer with JSON$/],
    [
      'answers what cannot be sent (requirement 102)',
      answering({ Username: 'a\u001bb', Secret: 'x' }),
      /the answer has a control character in its user name or password$/,
    ],
    [
      'answers a name with a colon',
      answering({ Username: 'a:b', Secret: 'x' }),
      /has a colon in its user name$/,
    ],
  ])('one that %s is an error, and no other credential is taken', async (_, script, message) => {
    const { keychain, folder } = place(config, { test: script });
    const error = await faultOf(keychain().find(reg));
    expect(error.path).toBe(join(folder, 'docker-credential-test'));
    expect(error.message).toMatch(message);
  });

  test('credential-helper-05: one that is not there is an error, and no other credential is taken', async () => {
    const { keychain } = place({ ...config, credHelpers: { 'reg.example': 'absent' } });
    const error = await faultOf(keychain().find(reg));
    expect(error).toMatchObject({ code: 'ERR_REG_CREDENTIALS', path: 'docker-credential-absent' });
    // It is a fault of its own registry only.
    expect((await keychain().find('https://other.example'))?.credential).toMatchObject({ username: 'alice' });
  });

  test('with onHelperError "anonymous" a helper that fails means nobody: not the entry, not the next place', async () => {
    const { keychain } = place(config, { test: answering('exit 1') });
    const anonymous = keychain({ onHelperError: 'anonymous' });
    expect(await anonymous.find(reg)).toMatchObject({ credential: null });
    const { found, error, trail } = await anonymous.explain(reg);
    expect({ found, error }).toMatchObject({ found: { type: null, username: null }, error: null });
    expect(trail.map(({ outcome }) => outcome)).toEqual(['asked', 'failed']);
    // What is wrong with a file is no helper's fault.
    const broken = place({ credsStore: 1 }).keychain({ onHelperError: 'anonymous' });
    expect((await faultOf(broken.find(reg))).message).toContain('"credsStore" is not a string');
  });

  test('a registry sees the credential of a helper', async () => {
    const registry = await startRegistry({ auth: 'bearer', users: { alice: 'pass' } });
    onTestFinished(() => registry.close());
    const { keychain, asked } = place({ credHelpers: { [new URL(registry.url).host]: 'test' } });
    const policy = { realms: { pairs: [registry.pair] } };
    const fetch = createRegistryFetch({ keychain: keychain(), policy });
    const { status } = await fetch(`${registry.url}/v2/_catalog`);
    expect(status).toBe(200);
    expect(asked()).toEqual([new URL(registry.url).host]);
  });
});

scripts('a helper runs once for all who wait, and its answer is kept for a while', () => {
  afterEach(() => vi.useRealTimers());

  const config = { credsStore: 'test' };
  /** Waits until the test lets it answer. */
  const held = answering(
    `echo $$ >>"$NOTES/pids"; while [ ! -e "$NOTES/go" ]; do sleep 0.01; done; printf '%s' '{"Username":"alice","Secret":"pass"}'`,
  );

  test('a hundred look-ups for as many repositories run it once', async () => {
    const { keychain, asked } = place(config);
    const one = keychain();
    const repositories = Array.from({ length: 100 }, (_, i) => `team/app-${i}`);
    const found = await Promise.all(repositories.map((repository) => one.find(reg, repository)));
    expect(new Set(found.map((each) => JSON.stringify(each?.credential))).size).toBe(1);
    await one.find(reg, 'team/another');
    expect(asked()).toEqual(['reg.example']);
  });

  test('each registry is asked for by itself, and each keychain asks for itself', async () => {
    const { keychain, asked } = place(config);
    const one = keychain();
    await Promise.all([one.find(reg), one.find(hub), keychain().find(reg)]);
    expect(asked().toSorted()).toEqual(['https://index.docker.io/v1/', 'reg.example', 'reg.example']);
  });

  test('it is asked again for a credential that was refused', async () => {
    const { keychain, asked } = place(config);
    const one = keychain();
    const first = await one.find(reg);
    if (first?.credential == null) throw new Error('nothing found');
    await one.find(reg, null, { rejected: first.credential });
    await one.find(reg);
    expect(asked()).toHaveLength(2);
  });

  test('what it answers after a refusal is for all who were refused', async () => {
    const { keychain, asked, write } = place(config);
    const one = keychain();
    const old = (await one.find(reg, 'team/a'))?.credential;
    if (old == null) throw new Error('nothing found');
    write('docker-credential-test', answering({ Username: 'alice', Secret: 'changed' }));
    // Nobody was refused yet.
    expect((await one.find(reg, 'team/b'))?.credential).toEqual(old);
    const changed = { type: 'password', username: 'alice', password: 'changed' };
    for (const repository of ['team/a', 'team/b', 'team/c']) {
      expect((await one.find(reg, repository, { rejected: old }))?.credential).toEqual(changed);
    }
    expect((await one.find(reg, 'team/d'))?.credential).toEqual(changed);
    expect(asked()).toHaveLength(2);
  });

  test('an identity token is asked for anew, since one that was kept may be older than the one that was refused', async () => {
    const { keychain, asked } = place(config, { test: answering({ Username: '<token>', Secret: 'first' }) });
    const one = keychain();
    await one.find(reg);
    await one.find(reg, null, { rejected: { type: 'identity', token: 'second' } });
    expect(asked()).toHaveLength(2);
  });

  test('a run from before a refusal that brings what was refused is no answer', async () => {
    const { keychain, asked, note, write, folder } = place(config, { test: held });
    const one = keychain();
    const before = one.find(reg, 'team/a');
    await until(() => note('pids') !== null);
    write('docker-credential-test', answering({ Username: 'alice', Secret: 'changed' }));
    const old = { type: 'password', username: 'alice', password: 'pass' } as const;
    const { signal } = new AbortController();
    const after = [
      one.find(reg, 'team/b', { rejected: old }),
      one.find(reg, 'team/c', { rejected: old, signal }),
      one.find(reg, 'team/d', { rejected: old }),
    ];
    writeFileSync(join(folder, 'go'), '');
    expect((await before)?.credential).toEqual(old);
    for (const found of await Promise.all(after)) {
      expect(found?.credential).toMatchObject({ password: 'changed' });
    }
    expect((await one.find(reg))?.credential).toMatchObject({ password: 'changed' });
    expect(asked()).toHaveLength(2);
  });

  test('a secret that changed is used by the call whose old one was refused, and by those that follow', async () => {
    const registry = await startRegistry({
      auth: 'bearer',
      users: { alice: 'changed' },
      repositories: { 'team/a': {}, 'team/b': {}, 'team/c': {} },
    });
    onTestFinished(() => registry.close());
    const { keychain, asked, write } = place({ credHelpers: { [new URL(registry.url).host]: 'test' } });
    const policy = { realms: { pairs: [registry.pair] } };
    const one = keychain();
    const old = await one.find(registry.url);
    expect(old?.credential).toMatchObject({ password: 'pass' });
    write('docker-credential-test', answering({ Username: 'alice', Secret: 'changed' }));
    const fetch = createRegistryFetch({ keychain: one, policy });
    for (const name of ['team/a', 'team/b', 'team/a', 'team/c']) {
      expect((await fetch(`${registry.url}/v2/${name}/tags/list`)).status).toBe(200);
    }
    expect(asked()).toHaveLength(2);
  });

  test('it is asked again after 4 min 50 s, and nobody is told to keep the answer for longer (Q74)', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { keychain, asked } = place(config);
    const one = keychain();
    const start = performance.timeOrigin + performance.now();
    expect((await one.find(reg))?.expiresAt).toBe(start + 290_000);
    vi.advanceTimersByTime(289_999);
    expect((await one.find(reg))?.expiresAt).toBe(start + 290_000);
    expect(asked()).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect((await one.find(reg))?.expiresAt).toBe(start + 580_000);
    expect(asked()).toHaveLength(2);
  });

  test.each([
    ['a failure', answering('exit 1')],
    ['none', none],
  ])('%s is not kept: the next look-up may go well', async (_, script) => {
    const { keychain, write } = place(config, { test: script });
    const one = keychain();
    expect(await one.find(reg).catch(() => null)).toBeNull();
    write('docker-credential-test', alice);
    expect((await one.find(reg))?.credential).toMatchObject({ username: 'alice' });
  });

  test('a login under another helper, or in the file, counts at once', async () => {
    const { keychain, path } = place(config);
    const one = keychain();
    await one.find(reg);
    writeFileSync(path, JSON.stringify({ auths: { 'reg.example': login('file') } }));
    expect((await one.find(reg))?.credential).toMatchObject({ username: 'file' });
  });

  test('one who stops waiting takes nobody along; the last ends the program', async () => {
    const { keychain, note, folder } = place(config, { test: held });
    const one = keychain();
    const [first, second] = [new AbortController(), new AbortController()];
    const leaving = one.find(reg, null, { signal: first.signal });
    const staying = one.find(reg, null, { signal: second.signal });
    await until(() => note('pids') !== null);
    const stop = new Error('stop');
    first.abort(stop);
    await expect(leaving).rejects.toBe(stop);
    const pid = Number(note('pids'));
    expect(isRunning(pid)).toBe(true);
    writeFileSync(join(folder, 'go'), '');
    expect((await staying)?.credential).toMatchObject({ username: 'alice' });

    const hanging = place(config, { test: held });
    const third = new AbortController();
    const alone = hanging.keychain().find(reg, null, { signal: third.signal });
    await until(() => hanging.note('pids') !== null);
    third.abort(stop);
    await expect(alone).rejects.toBe(stop);
    await until(() => !isRunning(Number(hanging.note('pids'))));
    // With a signal that has aborted already, nothing is run.
    await expect(hanging.keychain().find(reg, null, { signal: third.signal })).rejects.toBe(stop);
    expect(hanging.asked()).toHaveLength(1);
  });

  test('who comes while the program is being ended gets a run of its own', async () => {
    const { env, note, folder } = place(config, { test: held });
    const helpers = new Helpers({ env, onError: 'fail' });
    const controller = new AbortController();
    const ask = (signal?: AbortSignal) => helpers.ask('test', 'reg.example', { signal, rejected: undefined });
    const leaving = ask(controller.signal);
    await until(() => note('pids') !== null);
    controller.abort(new Error('stop'));
    // At once: a moment later the run has ended.
    const coming = leaving.then(
      () => expect.fail('it was aborted'),
      () => ask(),
    );
    writeFileSync(join(folder, 'go'), '');
    expect(await coming).toMatchObject({ kind: 'credential', credential: { username: 'alice' } });
  });
});
