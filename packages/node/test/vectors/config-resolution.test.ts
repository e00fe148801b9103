/**
 * Where other clients find credentials, and which.
 *
 * A vector's credential may have a password, an identity token and a registry token at once; ours is one of them, the
 * strongest: what is compared is that one.
 */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Credential, endpoint, parseReference } from '@reg/core';
import { chainKeychains, staticKeychain } from '@reg/core/driver';
import { vi } from 'vitest';
import { describeTopic, type Fields, membersOf, type Vector } from '../../../core/test/vectors/harness.ts';
import { parseConfig } from '../../src/credentials/config.ts';
import { credentialIn, sendable } from '../../src/credentials/entry.ts';
import {
  CredentialsError,
  defaultKeychain,
  dockerKeychain,
  type ExplainingKeychain,
  environmentKeychain,
  eraseCredential,
  type Flavor,
  pullSecretKeychain,
  saveCredential,
} from '../../src/credentials/index.ts';
import { namesOf } from '../../src/credentials/names.ts';
import { containersPaths } from '../../src/credentials/places.ts';
import { containersKeys, flatKeys, hubKey, partsOf, registryAt } from '../../src/credentials/registry.ts';
import { certFolders } from '../../src/network/index.ts';
import { originOf, placeOf, type Stage, stageFor } from './config-stage.ts';

type Members = Readonly<Record<string, unknown>>;

/** `answer`, or that it is refused: a source that cannot be used, or what is no name of a registry. */
async function orError(answer: () => unknown): Promise<unknown> {
  try {
    return await answer();
  } catch (error) {
    const isRefusal =
      error instanceof TypeError && error.message.startsWith('[@reg/node] a registry is named');
    const isNoNamespace =
      error instanceof TypeError && error.message.includes("only the flavor 'containers'");
    if (error instanceof CredentialsError || isRefusal || isNoNamespace) return { error: true };
    throw error;
  }
}

function inTheirWords(credential: Credential | null): Members | null {
  switch (credential?.type) {
    case undefined:
      return null;
    case 'password':
      return { username: credential.username, password: credential.password };
    case 'identity':
      return { identity_token: credential.token };
    case 'registry':
      return { registry_token: credential.token };
  }
}

/** The strongest of what a vector's credential has. */
function strongest(credential: unknown): Members | null {
  const { username = '', password = '', identity_token, registry_token } = membersOf(credential);
  if (registry_token !== undefined) return { registry_token };
  if (identity_token !== undefined) return { identity_token };
  return username === '' && password === '' ? null : { username, password };
}

/** A vector's expectation of one credential. */
function theirCredential({ expect }: Vector): unknown {
  return { credential: strongest(expect.value('credential')) };
}

async function credentialOf(keychain: ExplainingKeychain, key: string): Promise<Members | null> {
  const { origin, repository } = placeOf(key);
  return inTheirWords((await keychain.find(origin, repository))?.credential ?? null);
}

/** What an entry in the words of Go's structures comes to. */
function entryIn(entry: unknown): Members {
  const { Auth, Username, Password, IdentityToken, RegistryToken } = membersOf(entry);
  const members = {
    auth: Auth,
    username: Username,
    password: Password,
    identitytoken: IdentityToken,
    registrytoken: RegistryToken,
  };
  try {
    return { credential: inTheirWords(credentialIn('vector', 'entry', members)) };
  } catch {
    return { error: true };
  }
}

/** The config of a vector: an object, its text, or nothing. */
function configOf(input: Fields): unknown {
  return input.value('config') ?? input.value('config_text');
}

/** A file with the config, or where none is. */
function fileFor(stage: Stage, input: Fields, path = 'config.json'): string {
  if (input.value('config_is_directory') === true) stage.write(`${path}/below`, '');
  const config = configOf(input);
  return config === undefined ? join(stage.home, 'none', path) : stage.write(path, config);
}

function helpersFor(stage: Stage, input: Fields): void {
  for (const [name, answers] of Object.entries(membersOf(input.value('helpers')))) {
    stage.helper(name, membersOf(answers));
  }
}

/** One file, by the rules of the tool whose file it is. */
function fileKeychain(stage: Stage, input: Fields): ExplainingKeychain {
  const { env, home } = stage;
  helpersFor(stage, input);
  if (input.value('config_kind') === 'dockercfg') {
    stage.write('$HOME/.dockercfg', configOf(input));
    return defaultKeychain({ env, home });
  }
  const flavor = input.value('client') === 'containers-image' ? 'containers' : 'docker';
  return dockerKeychain({ path: fileFor(stage, input), flavor, env, home });
}

/** The helper that a look-up would run. */
async function helperOf(keychain: ExplainingKeychain, key: string): Promise<string> {
  const { origin, repository } = placeOf(key);
  const { trail } = await keychain.explain(origin, repository);
  return trail.find(({ outcome }) => outcome === 'asked')?.helper ?? '';
}

const ours = {
  async 'resolve-credential'({ input }: Vector) {
    const { username, password } = membersOf(input.value('explicit_credential'));
    const { origin, repository } = placeOf(input.text('key'));
    const given: Credential = { type: 'password', username: String(username), password: String(password) };
    const explicit = staticKeychain(username === undefined ? {} : { [new URL(origin).host]: given });
    const keychain = chainKeychains(explicit, fileKeychain(stageFor(), input));
    const found = await keychain.find(origin, repository);
    return { credential: inTheirWords(found?.credential ?? null) };
  },

  async 'resolve-from-files'({ input }: Vector) {
    const files = {
      ...membersOf(input.value('files')),
      ...membersOf(input.value('files_text')),
    };
    const named = Object.keys(files).map((path) => path.slice(1).split('/', 1)[0] ?? '');
    const set = input.has('env_set') ? input.texts('env_set') : named;
    const variables = set.filter((name) => name !== 'HOME').map((name) => [name, null] as const);
    const stage = stageFor(Object.fromEntries(variables));
    for (const [path, content] of Object.entries(files)) stage.write(path, content);
    const { env, home } = stage;
    return { credential: await credentialOf(defaultKeychain({ env, home }), input.text('key')) };
  },

  async 'resolve-from-env'({ input }: Vector) {
    const env = Object.fromEntries(
      Object.entries(membersOf(input.value('env'))).map(([k, v]) => [k, String(v)]),
    );
    return { credential: await credentialOf(environmentKeychain({ env }), input.text('key')) };
  },

  async 'resolve-k8s-pull-secrets'({ input }: Vector) {
    const stage = stageFor();
    const group = (name: string) => (input.has(name) ? input.list(name) : []);
    const pulls =
      input.value('ignore_pull_secrets') === true
        ? []
        : [...group('secrets'), ...group('explicit_pull_secrets'), ...group('service_account_pull_secrets')];
    const mounts = input.value('use_mount_secrets') === true ? group('service_account_mount_secrets') : [];
    const isFlat = input.value('secret_format') === 'dockercfg';
    const paths = [...pulls, ...mounts].map((secret, i) => {
      if (isFlat) stage.write(`secret-${i}/.dockercfg`, secret.value('auths'));
      else stage.write(`secret-${i}/.dockerconfigjson`, secret.without());
      return join(dirname(stage.home), `secret-${i}`);
    });
    // A secret that is not there any more.
    paths.push(join(stage.home, 'secret'));
    return { credential: await credentialOf(pullSecretKeychain({ paths }), input.text('key')) };
  },

  async 'helper-result'({ input }: Vector) {
    const stage = stageFor();
    const asked = input.text('helper_called_with');
    stage.helper('test', { [asked]: input.value('helper') ?? input.value('helper_error') });
    const path = stage.write('config.json', { credHelpers: { [asked]: 'test' } });
    const { env } = stage;
    const keychain = dockerKeychain({ path, env, onHelperError: 'anonymous' });
    const credential = await credentialOf(keychain, input.text('key'));
    return { credential, asked: stage.asked() };
  },

  async 'helper-get'({ input, expect }: Vector) {
    const stage = stageFor();
    const server = input.text('cred_host') === '' ? input.text('host') : input.text('cred_host');
    const { username, password, identity_token } = membersOf(expect.value('credential'));
    const answer =
      identity_token === undefined ? { username, password } : { Username: '<token>', Secret: identity_token };
    if (!expect.has('error')) stage.helper('test', { [server]: answer });
    const path = stage.write('config.json', { credHelpers: { [server]: 'test' } });
    const keychain = dockerKeychain({ path, env: stage.env });
    return { credential: await credentialOf(keychain, input.text('host')) };
  },

  async 'get-authconfig'({ input }: Vector) {
    const keychain = fileKeychain(stageFor(), input);
    const { host } = partsOf(input.text('server_address'));
    return { credential: await credentialOf(keychain, host) };
  },

  async 'load-config'({ input }: Vector) {
    await credentialOf(fileKeychain(stageFor(), input), 'registry.example');
    return { ok: true };
  },

  async 'get-credential-helper'({ input }: Vector) {
    const keychain = fileKeychain(stageFor(), input);
    const helper = await helperOf(keychain, input.text('server_address'));
    return { helper: helper.replace('docker-credential-', '') };
  },

  async 'get-creds-store'({ input }: Vector) {
    const helper = await helperOf(fileKeychain(stageFor(), input), 'no-helper-of-its-own.example');
    return { creds_store: helper.replace('docker-credential-', '') };
  },

  async 'get-all-credentials'({ input, expect }: Vector) {
    const { DOCKER_AUTH_CONFIG } = membersOf(input.value('env'));
    const stage = stageFor(
      DOCKER_AUTH_CONFIG === undefined ? {} : { DOCKER_AUTH_CONFIG: `${DOCKER_AUTH_CONFIG}` },
    );
    helpersFor(stage, input);
    stage.write('$HOME/.docker/config.json', configOf(input));
    const keychain = defaultKeychain({ env: stage.env, home: stage.home });
    const all: Record<string, unknown> = {};
    for (const key of Object.keys(membersOf(expect.value('credentials')))) {
      all[key] = await credentialOf(keychain, key);
    }
    return { credentials: all };
  },

  async 'parse-docker-auth-config-env'({ input, expect }: Vector) {
    const { env, home } = stageFor({ DOCKER_AUTH_CONFIG: input.text('text') });
    const keychain = defaultKeychain({ env, home });
    const all: Record<string, unknown> = {};
    const keys = Object.keys(membersOf(expect.value('credentials')));
    for (const key of keys.length === 0 ? ['registry.example'] : keys)
      all[key] = await credentialOf(keychain, key);
    return { credentials: all };
  },

  'authconfig-unmarshal'({ input }: Vector) {
    const entry = parseConfig('vector', input.text('json'));
    return { credential: inTheirWords(credentialIn('vector', 'entry', entry)) };
  },

  'authconfig-to-credential'({ input }: Vector) {
    return { credential: inTheirWords(credentialIn('vector', 'entry', input.value('entry'))) };
  },

  'decode-auth'({ input }: Vector) {
    return { credential: inTheirWords(credentialIn('vector', 'entry', { auth: input.text('auth') })) };
  },

  'validate-credential'({ input }: Vector) {
    const { username, password } = membersOf(input.value('credential'));
    const credential = { type: 'password', username: String(username), password: String(password) } as const;
    return { credential: inTheirWords(sendable('vector', 'it', credential)) };
  },

  async 'registry-to-server-address'({ input }: Vector) {
    const stage = stageFor();
    stage.helper('test', {});
    const path = stage.write('config.json', { credsStore: 'test' });
    await credentialOf(dockerKeychain({ path, env: stage.env }), input.text('registry'));
    return { server_address: stage.asked()[0] };
  },

  'server-address-to-hostname'({ input }: Vector) {
    return { hostname: partsOf(input.text('address')).host };
  },

  /** Of all keys there could be, deepest last. */
  'auth-key-lookup-order'({ input }: Vector) {
    const segments = input.text('key').split('/');
    const { origin, repository } = placeOf(input.text('key'));
    const all = segments.map((_, i) => segments.slice(0, i + 1).join('/'));
    const registry = registryAt(origin);
    // In the flat file every key is cut to its host: the one it is looked up under is the first.
    if (input.value('legacy_format') === true) return { keys: flatKeys(all, registry).slice(0, 1) };
    return {
      keys: containersKeys([...all, `${input.text('key')}/more`, 'other.example'], registry, repository),
    };
  },

  'auth-file-path'({ input }: Vector) {
    const { AuthFilePath } = membersOf(input.value('options'));
    if (typeof AuthFilePath === 'string') return { path: AuthFilePath, user_specified: true };
    const [home, temporary] = ['/home/user', '/temporary'];
    const runtime = input.value('XDG_RUNTIME_DIR');
    const env = typeof runtime === 'string' ? { XDG_RUNTIME_DIR: runtime.replace('$TMP', temporary) } : {};
    const os = input.text('os');
    const platform = os === 'darwin' || os === 'freebsd' ? os : 'linux';
    const [path = ''] = containersPaths({ env, home, platform, uid: 1000 });
    const named = path.replace(home, '$HOME').replace(temporary, '$TMP').replace('/1000/', '/$UID/');
    return { path: named, user_specified: false };
  },

  async 'static-credential-match'({ input }: Vector) {
    const given = { type: 'password', username: 'u', password: 'p' } as const;
    const keychain = staticKeychain({ [input.text('registry')]: given });
    return { match: (await keychain.find(`https://${input.text('request_host')}`)) !== null };
  },

  /** Each source by itself: theirs are poured together. */
  async 'load-hosts'({ input }: Vector) {
    const host = input.text('host');
    if (host.includes('/')) return { present: false };
    const stage = stageFor();
    const listed = membersOf(membersOf(input.value('creds_store_list'))['teststore']);
    stage.helper('test', { '*': { Username: 'hello', Secret: 'secret' } });
    stage.helper(
      'teststore',
      Object.fromEntries(
        Object.entries(listed).map(([server, Username]) => [
          partsOf(server).host,
          { Username, Secret: 'secret' },
        ]),
      ),
    );
    const path = stage.write('config.json', configOf(input));
    const { env, home } = stage;
    const inFile = await dockerKeychain({ path, env }).explain(originOf(host));
    const variable = JSON.stringify(membersOf(input.value('env'))['DOCKER_AUTH_CONFIG']);
    const inVariable = await defaultKeychain({ env: { ...env, DOCKER_AUTH_CONFIG: variable }, home }).explain(
      originOf(host),
    );
    const found = inFile.found ?? inVariable.found;
    if (found === null) return inVariable.error === null ? { present: false } : { error: true };
    const asked = inFile.trail.find(({ outcome }) => outcome === 'asked');
    return { present: true, cred_helper: asked?.helper ?? '' };
  },

  /** On a clock that the case moves. */
  async 'refreshing-credential'({ input }: Vector) {
    const stage = stageFor();
    stage.helper('test', { '*': { Username: 'user', Secret: 'secret' } });
    const path = stage.write('config.json', { credsStore: 'test' });
    const keychain = dockerKeychain({ path, env: stage.env });
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      for (let call = 0; call < input.number('calls'); call++) {
        await keychain.find('https://registry.example');
        vi.advanceTimersByTime(input.number('clock_step_seconds') * 1000);
      }
    } finally {
      vi.useRealTimers();
    }
    return { resolve_count: stage.asked().length };
  },
};

/** Files that login and logout write, by the rules of one tool or the other. */
const written = {
  async 'set-credentials-sequence'({ input }: Vector) {
    const path = join(stageFor().home, 'auth.json');
    const keychain = dockerKeychain({ path, flavor: 'containers' });
    const keys = input.list('set').map((each) => each.text('key'));
    for (const each of input.list('set')) await login(each, each.text('key'), path, 'containers');
    const get: Record<string, unknown> = {};
    for (const key of keys) get[key] = await credentialOf(keychain, key);
    return { get, file_keys: keysOf(path).toSorted() };
  },

  async 'set-then-get-all'({ input }: Vector) {
    const path = join(stageFor().home, 'auth.json');
    await login(input, input.text('write_key'), path, 'containers');
    return { listed_under: keysOf(path)[0] };
  },

  async 'remove-credentials'({ input }: Vector) {
    const path = stageFor().write('auth.json', configOf(input));
    let isMissing = false;
    for (const key of input.texts('remove')) {
      if (!(await eraseCredential(key, { path, flavor: 'containers' }))) isMissing = true;
    }
    return isMissing ? { error: true } : { error: false, remaining_keys: keysOf(path).toSorted() };
  },

  async 'docker-login-then-podman-get'({ input }: Vector) {
    const path = join(stageFor().home, 'config.json');
    const registry = input.text('login_key').replace(/^\(default: (.*)\)$/, '$1');
    const podman = dockerKeychain({ path, flavor: 'containers' });
    await login(input, registry, path, 'docker');
    const found = (await credentialOf(podman, input.text('query_key'))) !== null;
    await eraseCredential(registry, { path });
    const after = (await credentialOf(podman, input.text('query_key'))) !== null;
    return { found, found_after_docker_logout: after };
  },

  /** What Podman writes for Docker to read, it writes by Docker's rules. */
  async 'podman-login-compat-then-docker-get'({ input }: Vector) {
    const stage = stageFor();
    const others = input.value('file_has_other_contents') === true ? { detachKeys: 'ctrl-e,e' } : null;
    const path = others === null ? join(stage.home, 'config.json') : stage.write('config.json', others);
    const docker = dockerKeychain({ path });
    await login(input, input.text('login_key'), path, 'docker');
    const found = (await credentialOf(docker, input.text('query_repo'))) !== null;
    await eraseCredential(input.text('login_key'), { path });
    const after = (await credentialOf(docker, input.text('query_repo'))) !== null;
    const kept = others === null ? null : contentOf(path)['detachKeys'] === others.detachKeys;
    return { found, found_after_logout: after, other_contents_kept: kept };
  },

  async 'encode-auth'({ input }: Vector) {
    const path = join(stageFor().home, 'config.json');
    await login(input, 'registry.example', path, 'docker');
    return { auth: membersOf(membersOf(contentOf(path)['auths'])['registry.example'])['auth'] };
  },

  'validate-key'({ input }: Vector) {
    const { namespace } = namesOf(input.text('key'), 'containers');
    return { valid: true, namespaced: namespace !== '' };
  },

  'login-argument-to-key'({ input }: Vector) {
    const flavor = input.value('accept_repositories') === true ? 'containers' : 'docker';
    const { key, registry } = namesOf(input.text('argument'), flavor);
    return { key: key === hubKey ? registry.hosts[0] : key, registry: registry.hosts[0] };
  },
};

async function login(input: Fields, registry: string, path: string, flavor: Flavor): Promise<void> {
  const [username = 'user', password = 'password'] = [input.value('username'), input.value('password')];
  await saveCredential(
    registry,
    { type: 'password', username: String(username), password: String(password) },
    { path, flavor },
  );
}

function contentOf(path: string): Members {
  return membersOf(JSON.parse(readFileSync(path, 'utf8')));
}

function keysOf(path: string): readonly string[] {
  return Object.keys(membersOf(contentOf(path)['auths']));
}

/** What other parts of the packages know of hosts. */
const hosts = {
  'cert-dir'({ input }: Vector) {
    const { DockerPerHostCertDirPath: dir } = membersOf(input.value('options'));
    const options = typeof dir === 'string' ? { dirs: [dir] } : {};
    return { path: certFolders(input.text('host'), { platform: 'linux', ...options }).at(-1) };
  },

  'default-hosts'({ input }: Vector) {
    const { protocol, host } = endpoint(parseReference(`${input.text('host')}/name`), 'ping');
    return { hosts: [{ scheme: protocol.slice(0, -1), host }] };
  },
};

/** What a vector expects, of operations whose answer is not one credential. */
const theirs: Readonly<Record<string, (vector: Vector) => unknown>> = {
  'helper-result': ({ input, expect }) => ({
    credential: strongest(expect.value('credential')),
    asked: [input.text('helper_called_with')],
  }),
  // The entry as it stands: what is looked at here is which one it is.
  'get-authconfig': ({ expect }) => entryIn(expect.value('entry')),
  'get-all-credentials': theirCredentials,
  'parse-docker-auth-config-env': theirCredentials,
  // Their "auth" is made anew from the name and the password.
  'authconfig-unmarshal': ({ expect }) =>
    expect.has('config')
      ? entryIn({ ...membersOf(expect.value('config')), Auth: undefined })
      : { error: true },
  'decode-auth': ({ expect }) =>
    expect.has('error') ? { error: true } : { credential: strongest(expect.without()) },
  'validate-credential': ({ input, expect }) =>
    expect.value('error') === null ? { credential: input.value('credential') } : { error: true },
  'auth-file-path': ({ expect }) => expect.without('legacy_format'),
  // Helpers of registries.conf are not listed here.
  'set-then-get-all': ({ expect }) => ({ listed_under: expect.value('listed_under') }),
  'validate-key': ({ expect }) => (expect.value('valid') === true ? expect.without() : { error: true }),
  'default-hosts': ({ expect }) => ({
    hosts: expect.list('hosts').map((each) => ({ scheme: each.value('scheme'), host: each.value('host') })),
  }),
  'load-hosts': ({ expect }) =>
    expect.value('present') === true
      ? { present: true, cred_helper: expect.value('cred_helper') }
      : { present: false },
};

/** Operations whose answer is compared as it stands. */
const wordForWord = [
  ...Object.keys(written),
  'cert-dir',
  'load-config',
  'get-credential-helper',
  'get-creds-store',
  'registry-to-server-address',
  'server-address-to-hostname',
  'auth-key-lookup-order',
  'static-credential-match',
  'refreshing-credential',
];

function theirCredentials({ expect }: Vector): unknown {
  const all = Object.entries(membersOf(expect.value('credentials')));
  return { credentials: Object.fromEntries(all.map(([key, credential]) => [key, strongest(credential)])) };
}

/** Whatever the words of their error. */
function theirError({ expect }: Vector): boolean {
  const { error } = expect.without();
  return expect.has('error_contains') || (error !== undefined && error !== null && error !== false);
}

const operations = Object.fromEntries(
  Object.entries({ ...ours, ...written, ...hosts }).map(([op, run]) => {
    const word = wordForWord.includes(op) ? ({ expect }: Vector) => expect.without() : theirCredential;
    const expected = theirs[op] ?? word;
    return [
      op,
      {
        ours: (vector: Vector) => orError(() => run(vector)),
        theirs: (vector: Vector) => (theirError(vector) ? { error: true } : expected(vector)),
      },
    ];
  }),
);

/** Whether a key of the config names a namespace that the case asks for. */
function hasNamespace({ input }: Vector): boolean {
  const auths = Object.keys(membersOf(membersOf(input.value('config'))['auths']));
  return auths.some((key) => partsOf(key).path.length > 0 && input.value('key') === key);
}

/** Keys of pull secrets that are the beginning of what is asked for, but not by whole segments. */
function hasTornPath({ input }: Vector): boolean {
  const secrets = input.has('secrets') ? input.list('secrets') : [];
  const keys = secrets.flatMap((secret) => Object.keys(membersOf(secret.value('auths'))));
  const asked = input.text('key');
  return keys.some((key) => key.includes('/') && asked.startsWith(key) && !`${asked}/`.startsWith(`${key}/`));
}

function isNobody(answer: unknown): boolean {
  return membersOf(answer)['credential'] === null;
}

function isRefused(answer: unknown): boolean {
  return membersOf(answer)['error'] === true;
}

function option({ input }: Vector, name: string): boolean {
  return membersOf(input.value('options'))[name] !== undefined;
}

function variable({ input }: Vector): string {
  const value = membersOf(input.value('env'))['DOCKER_AUTH_CONFIG'] ?? '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

describeTopic('config-resolution', {
  data: join(dirname(fileURLToPath(import.meta.url)), 'data'),
  operations,
  rules: [
    {
      name: 'registries.conf',
      reason:
        'helpers are named in the files that credentials are in; Podman’s other configuration is not read',
      kind: 'foreign',
      applies: ({ op, input }) =>
        op === 'resolve-credential' && input.has('registries_conf_credential_helpers'),
    },
    {
      name: 'hosts.toml',
      reason: 'containerd’s own configuration of mirrors',
      kind: 'foreign',
      applies: ({ op }) => op === 'parse-hosts-toml',
    },
    {
      name: 'configured-at-all',
      reason: 'whether anything is configured for any registry: a look-up is for one',
      kind: 'foreign',
      applies: ({ op }) => op === 'is-auth-configured',
    },
    {
      name: 'entry-as-a-structure',
      reason: 'how another client prints its own type: a credential is one of three kinds and no entry',
      kind: 'foreign',
      applies: ({ op }) => op === 'authconfig-marshal',
    },
    {
      name: 'path-option',
      reason:
        'options that only Podman’s library has: a root for all paths, one file or folder in place of all',
      kind: 'foreign',
      applies: (vector) =>
        ['RootForImplicitAbsolutePaths', 'LegacyFormatAuthFilePath', 'DockerCertPath'].some((name) =>
          option(vector, name),
        ),
    },
    {
      name: 'no-registry',
      reason: 'a credential is looked for by origin, and there is none in an empty text',
      kind: 'foreign',
      applies: ({ op, input }) => op === 'resolve-credential' && input.value('key') === '',
    },
    {
      name: 'a-path-counts-for-nothing-in-dockers-file',
      reason:
        'Docker reads a key by its host (requirement 111); with flavor containers the namespace counts (Q65)',
      kind: 'policy',
      applies: (vector) =>
        vector.op === 'resolve-credential' &&
        vector.input.value('client') !== 'containers-image' &&
        hasNamespace(vector),
      differs: (ours) => !isNobody(ours) && !isRefused(ours),
    },
    {
      name: 'one-docker-hub',
      reason:
        'Docker Hub is one registry: of several entries for it one wins, whichever name was asked for (Q63)',
      kind: 'policy',
      applies: ({ op, input }) => {
        const auths = membersOf(membersOf(input.value('config'))['auths'] ?? input.value('config'));
        const asked = op === 'resolve-credential' ? input.text('key').split('/', 1)[0] : '';
        const isAlias = asked === 'index.docker.io' || asked === 'registry-1.docker.io';
        return isAlias && auths[asked] !== undefined && auths['docker.io'] !== undefined;
      },
      differs: (ours) => !isNobody(ours) && !isRefused(ours),
    },
    {
      name: 'a-missing-folder-is-no-fault',
      reason: 'a session’s folder that is not there holds no credentials',
      kind: 'policy',
      applies: (vector) => vector.op === 'auth-file-path' && theirError(vector),
      differs: (ours) => membersOf(ours)['path'] !== '',
    },
    {
      name: 'the-named-file-alone',
      reason:
        'REGISTRY_AUTH_FILE names the one file to read, Docker’s is not looked at (design §8, requirement 115)',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'resolve-from-files' &&
        input.has('env_set') &&
        input.texts('env_set').includes('REGISTRY_AUTH_FILE') &&
        Object.keys(membersOf(input.value('files'))).some((path) => path.endsWith('/config.json')),
      differs: (ours) => JSON.stringify(ours).includes('REGISTRY_AUTH_FILE'),
    },
    {
      name: 'a-bad-variable-is-an-error',
      reason: 'a variable that cannot be read is not passed over in silence (requirement 112)',
      kind: 'policy',
      applies: (vector) =>
        vector.op === 'get-all-credentials' &&
        /"(username|password|serveraddress|email)"/.test(variable(vector)),
      differs: isRefused,
    },
    {
      name: 'no-helper-from-a-variable',
      reason: 'a variable names no program to run (CVE-2020-13347), and one that does is refused whole',
      kind: 'policy',
      applies: (vector) => {
        const host = vector.op === 'load-hosts' ? vector.input.text('host') : '/';
        const value = variable(vector);
        return (
          !host.includes('/') &&
          value.includes('"credHelpers"') &&
          (value.includes(`"${host}"`) || vector.expect.value('present') === false)
        );
      },
      differs: isRefused,
    },
    {
      name: 'a-store-keeps-all',
      reason: 'entries beside "credsStore" are not logins (requirement 109)',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'load-hosts' &&
        expect.value('present') === true &&
        expect.value('cred_helper') === '' &&
        membersOf(input.value('config'))['credsStore'] !== undefined,
      differs: (ours) => membersOf(ours)['cred_helper'] !== '',
    },
    {
      name: 'one-registry-one-entry',
      reason: 'a registry is asked for by origin, so that one entry is its own, however an address spells it',
      kind: 'policy',
      applies: ({ op, input }) => {
        const { host, isUrl } = partsOf(op === 'get-authconfig' ? input.text('server_address') : '');
        return isUrl && membersOf(membersOf(input.value('config'))['auths'])[host] !== undefined;
      },
      differs: (ours) => !isNobody(ours) && !isRefused(ours),
    },
    {
      name: 'no-user-is-no-entry',
      reason: 'an entry without a user name is invalid (requirement 106)',
      kind: 'policy',
      applies: ({ op, expect }) => {
        const said = membersOf(op === 'decode-auth' ? expect.without() : expect.value('credential'));
        const { username = '', password = '' } = said;
        const isDecoding = op === 'decode-auth' || op === 'authconfig-to-credential';
        return isDecoding && username === '' && password !== '';
      },
      differs: isRefused,
    },
    {
      name: 'no-half-a-login',
      reason: 'what cannot be sent is not kept: a name or a password that is empty',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'encode-auth' && [input.value('username'), input.value('password')].includes(''),
      differs: isRefused,
    },
    {
      name: 'an-address-names-its-host',
      reason: 'a registry may be named by its address, as login commands take it',
      kind: 'policy',
      applies: ({ op, input }) => op === 'validate-key' && partsOf(input.text('key')).isUrl,
      differs: (ours) => membersOf(ours)['namespaced'] === false,
    },
    {
      name: 'no-namespace-for-docker',
      reason: 'what Docker would take for all of a registry is not cut to it in silence (Q65)',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'login-argument-to-key' &&
        input.value('accept_repositories') === false &&
        !partsOf(input.text('argument')).isUrl &&
        partsOf(input.text('argument')).path.length > 0 &&
        expect.has('key'),
      differs: isRefused,
    },
    {
      name: 'whole-segments',
      reason: 'a path of a pull secret is for whole segments: team is not for teamevil',
      kind: 'policy',
      applies: (vector) => vector.op === 'resolve-k8s-pull-secrets' && hasTornPath(vector),
      differs: (ours) => !isRefused(ours),
    },
    {
      name: 'github-token-in-actions',
      reason: 'outside of a job the token is a developer’s own, and nobody said that it is for a registry',
      kind: 'policy',
      applies: ({ op, input, expect }) =>
        op === 'resolve-from-env' &&
        membersOf(input.value('env'))['GITHUB_ACTIONS'] === undefined &&
        expect.value('credential') !== null,
      differs: isNobody,
    },
    {
      name: 'hosts-are-urls-hosts',
      reason: 'hosts given in code are compared as URLs are: case and the default port make no other host',
      kind: 'policy',
      applies: ({ op, input }) => {
        const [given, asked] = [input.value('registry'), input.value('request_host')];
        return (
          op === 'static-credential-match' &&
          given !== asked &&
          `${given}`.toLowerCase().replace(/:443$/, '') === `${asked}`.toLowerCase().replace(/:443$/, '')
        );
      },
      differs: (ours) => membersOf(ours)['match'] === true,
    },
    {
      name: 'given-hosts-have-one-name',
      reason:
        'what is given in code is for the host it names; only the files of Docker know Docker Hub by several',
      kind: 'policy',
      applies: ({ op, input }) => op === 'static-credential-match' && input.value('registry') === 'docker.io',
      differs: (ours, { expect }) => membersOf(ours)['match'] !== expect.value('match'),
    },
    {
      name: 'brackets',
      reason: 'an IPv6 address stands in brackets, with or without a port (RFC 3986 §3.2.2)',
      kind: 'policy',
      applies: ({ op, input }) =>
        op === 'server-address-to-hostname' && /^https?:\/\/[^/[]*:[^/]*:/.test(input.text('address')),
      differs: (ours, { expect }) =>
        membersOf(ours)['hostname'] === String(expect.value('hostname')).replace('[', '').replace(']', ''),
    },
  ],
  pins: {
    cases: 279,
    rules: {
      'registries.conf': 2,
      'hosts.toml': 1,
      'configured-at-all': 8,
      'entry-as-a-structure': 2,
      'path-option': 6,
      'no-registry': 1,
      'a-path-counts-for-nothing-in-dockers-file': 1,
      'the-named-file-alone': 2,
      'a-bad-variable-is-an-error': 1,
      'no-helper-from-a-variable': 1,
      'one-registry-one-entry': 1,
      'no-user-is-no-entry': 1,
      'no-half-a-login': 2,
      'an-address-names-its-host': 1,
      'github-token-in-actions': 1,
      'hosts-are-urls-hosts': 2,
      'given-hosts-have-one-name': 2,
      brackets: 1,
    },
  },
});
