/**
 * The credentials that `docker login` left behind.
 *
 * Rules of this file: a registry matches one entry by its exact host and port, never by a part of a name (CVE-2026-59891); a
 * file that is missing or empty has no credentials, one that cannot be read is an error that names the file and the fault and
 * shows nothing of its text; only own members are read.
 */

import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Credential } from '@reg/core';
import type { Found, Keychain } from '@reg/core/driver';

export interface DockerKeychainOptions {
  /** The file to read. Default: `$DOCKER_CONFIG/config.json`, else `.docker/config.json` in the home directory. */
  readonly path?: string;
  /** Where `DOCKER_CONFIG` is looked for. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's. */
  readonly home?: string;
}

/** A config file or an entry in it that cannot be used. Its message holds no text of the file. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
  readonly code = 'ERR_REG_CREDENTIALS';
  readonly path: string;

  constructor(path: string, fault: string) {
    super(`${path}: ${fault}`);
    this.path = path;
  }
}

/** 4 MiB: a config with ten thousand entries is below 2. */
const longestFile = 4_194_304;

/**
 * Reads `auths` of Docker's `config.json` each time a credential is asked for, so that a login or logout counts at once.
 * Entries may hold `auth`, `username` and `password`, `identitytoken` or `registrytoken` (requirements 105 to 111).
 *
 * `find` rejects with `CredentialsError` when the file or the matching entry cannot be used, or when a credential helper is
 * configured for the registry.
 */
export function dockerKeychain(options: DockerKeychainOptions = {}): Keychain {
  const { env = process.env, home = homedir() } = options;
  const folder = env['DOCKER_CONFIG'] || join(home, '.docker');
  const path = options.path ?? join(folder, 'config.json');
  return {
    async find(origin): Promise<Found | null> {
      const config = await readConfig(path);
      if (config === null) return null;
      const { host } = new URL(origin);
      refuseHelpers(path, config, host);
      const auths = member(config, 'auths') ?? {};
      if (!isObject(auths)) throw new CredentialsError(path, '"auths" is not an object');
      const key = keyFor(auths, host);
      if (key === null) return null;
      const credential = readEntry(path, key, member(auths, key));
      return credential === null ? null : { credential, source: `${path}, entry ${JSON.stringify(key)}` };
    },
  };
}

async function readConfig(path: string): Promise<object | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new CredentialsError(path, `cannot be read (${code})`);
  }
  if (text.length > longestFile) throw new CredentialsError(path, 'is larger than 4 MiB');
  if (text.trim() === '') return null;
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, and the text is secrets (CVE-2020-8564).
    throw new CredentialsError(path, 'is not JSON');
  }
  if (!isObject(config)) throw new CredentialsError(path, 'is not a JSON object');
  return config;
}

/** A helper holds the credential: what `auths` says beside it is not the answer. */
function refuseHelpers(path: string, config: object, host: string): void {
  const helpers = member(config, 'credHelpers');
  const store = member(config, 'credsStore');
  const aliases = aliasesOf(host);
  const named = isObject(helpers)
    ? aliases
        .map((alias) => member(helpers, alias))
        .find((value) => typeof value === 'string' && value !== '')
    : undefined;
  const helper = named ?? (typeof store === 'string' && store !== '' ? store : undefined);
  if (helper === undefined) return;
  throw new CredentialsError(
    path,
    `the credentials for ${host} are in the helper docker-credential-${String(helper)}, which this version does not run`,
  );
}

const hub = ['registry-1.docker.io', 'index.docker.io', 'docker.io'];

/** Names an entry for `host` may have as a bare host; Docker Hub has several (Q63). */
function aliasesOf(host: string): readonly string[] {
  return hub.includes(host)
    ? ['https://index.docker.io/v1/', 'index.docker.io', 'docker.io', 'registry-1.docker.io']
    : [host];
}

/** The key of the entry: an exact name first, then one that is the host once scheme and path are cut (Q64). */
function keyFor(auths: object, host: string): string | null {
  const aliases = aliasesOf(host);
  const keys = Object.keys(auths);
  const exact = aliases.find((alias) => keys.includes(alias));
  return exact ?? keys.find((key) => aliases.includes(hostOf(key))) ?? null;
}

function hostOf(key: string): string {
  const bare = key.startsWith('https://') ? key.slice(8) : key.startsWith('http://') ? key.slice(7) : key;
  const slash = bare.indexOf('/');
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
  return host.endsWith(':443') ? host.slice(0, -4) : host;
}

/** The credential of an entry; `null` for an empty one, which marks a helper's (Q66). */
function readEntry(path: string, key: string, entry: unknown): Credential | null {
  const at = `the entry ${JSON.stringify(key)}`;
  if (!isObject(entry)) throw new CredentialsError(path, `${at} is not an object`);
  const text = (name: string): string => {
    const value = member(entry, name) ?? '';
    if (typeof value !== 'string') throw new CredentialsError(path, `"${name}" of ${at} is not a string`);
    return value;
  };
  const registry = text('registrytoken');
  if (registry !== '') return { type: 'registry', token: registry };
  const identity = text('identitytoken');
  if (identity !== '') return { type: 'identity', token: identity };
  const auth = text('auth');
  const username = text('username');
  const password = text('password');
  if (username !== '' || password !== '') return { type: 'password', username, password };
  if (auth === '') return null;
  const decoded = Buffer.from(auth, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  if (colon < 1) throw new CredentialsError(path, `"auth" of ${at} is not base64 of user:password`);
  return { type: 'password', username: decoded.slice(0, colon), password: trimNul(decoded.slice(colon + 1)) };
}

/** Docker pads some passwords (Q72). */
function trimNul(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
