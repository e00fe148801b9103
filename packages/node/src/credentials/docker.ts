/**
 * The credentials that `docker login` left behind.
 *
 * Rules of this file: a registry matches an entry by its exact host and port, never by a part of a name (CVE-2026-59891); what
 * is missing or empty has no credentials, what is there and cannot be used is an error that names the file, the key and the
 * fault and shows nothing else of the text; only own members are read.
 */

import { createReadStream } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Credential } from '@reg/core';
import type { Found, Keychain } from '@reg/core/driver';
import { CredentialsError } from './error.ts';

export interface DockerKeychainOptions {
  /** The file to read. Default: `$DOCKER_CONFIG/config.json`, else `.docker/config.json` in the home directory. */
  readonly path?: string;
  /** Where `DOCKER_CONFIG` is looked for. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's. */
  readonly home?: string;
}

/**
 * Reads `auths` of Docker's `config.json` each time a credential is asked for, so that a login or logout counts at once.
 * Entries may hold `auth`, `username` and `password`, `identitytoken` or `registrytoken` (requirements 105 to 111). As for
 * Docker, the path of a key counts for nothing: an entry is for all of a registry.
 *
 * `find` rejects with `CredentialsError` when the file or the matching entry cannot be used, or when a credential helper is
 * configured for the registry.
 */
export function dockerKeychain(options: DockerKeychainOptions = {}): Keychain {
  return {
    async find(origin): Promise<Found | null> {
      const path = pathOf(options);
      const config = path === null ? null : await readConfig(path);
      if (path === null || config === null) return null;
      const names = namesOf(new URL(origin));
      refuseHelper(path, config, names);
      const auths = objectIn(path, config, 'auths');
      const key = keyFor(auths, names);
      if (key === null) return null;
      const credential = readEntry(path, key, member(auths, key));
      return credential === null ? null : { credential, source: `${path}, entry ${JSON.stringify(key)}` };
    },
  };
}

function pathOf({ path, env = process.env, home }: DockerKeychainOptions): string | null {
  if (path !== undefined) return path;
  const folder = env['DOCKER_CONFIG'];
  if (folder) return join(folder, 'config.json');
  try {
    return join(home ?? homedir(), '.docker', 'config.json');
  } catch {
    // A user without a home directory, as clusters assign them.
    return null;
  }
}

/** 4 MiB: a config with ten thousand entries is below 2. */
const longestFile = 4_194_304;

/** No file, no folder, or a folder in the file's place, which Docker makes of a bind mount of nothing. */
const absent: readonly string[] = ['ENOENT', 'ENOTDIR', 'EISDIR'];

async function readConfig(path: string): Promise<object | null> {
  const chunks: Buffer[] = [];
  try {
    // `end` is the offset of the last byte: one more than allowed.
    for await (const chunk of createReadStream(path, { end: longestFile })) chunks.push(chunk);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    if (absent.includes(code)) return null;
    throw new CredentialsError(path, `cannot be read (${code})`);
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length > longestFile) throw new CredentialsError(path, 'is larger than 4 MiB');
  const text = utf8(bytes);
  if (text === null) throw new CredentialsError(path, 'is not UTF-8 text');
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

/** Names of a registry in a config, in order of preference. */
interface Names {
  /** How it is called in messages. */
  readonly host: string;
  /** Keys that are its own as they stand. */
  readonly keys: readonly string[];
  /** Hosts that a key may name beside a scheme and a path. */
  readonly hosts: readonly string[];
}

const hubHosts: readonly string[] = ['index.docker.io', 'docker.io', 'registry-1.docker.io'];

function namesOf({ protocol, host, hostname, port, origin }: URL): Names {
  // Docker Hub has several names, and a key that is none of them as it stands (Q63).
  if (protocol === 'https:' && hubHosts.includes(host)) {
    return { host, keys: ['https://index.docker.io/v1/', ...hubHosts], hosts: hubHosts };
  }
  const hosts = port === '' ? [host, `${hostname}:${protocol === 'https:' ? 443 : 80}`] : [host];
  return { host, keys: [...hosts, origin], hosts };
}

/** The key of the entry: as it stands, else the shortest that names the host (Q64). */
function keyFor(auths: object, names: Names): string | null {
  const own = names.keys.find((key) => Object.hasOwn(auths, key));
  if (own !== undefined) return own;
  const [shortest] = Object.keys(auths)
    .filter((key) => names.hosts.includes(hostOf(key)))
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return shortest ?? null;
}

function hostOf(key: string): string {
  const bare = key.startsWith('https://') ? key.slice(8) : key.startsWith('http://') ? key.slice(7) : key;
  const slash = bare.indexOf('/');
  return (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase();
}

/** A helper keeps the credential: what `auths` says beside it is not the answer (requirement 109). */
function refuseHelper(path: string, config: object, { host, keys }: Names): void {
  const helpers = objectIn(path, config, 'credHelpers');
  const key = keys.find((name) => Object.hasOwn(helpers, name));
  const what = key === undefined ? '"credsStore"' : `"credHelpers" for ${host}`;
  const helper = (key === undefined ? member(config, 'credsStore') : member(helpers, key)) ?? '';
  if (typeof helper !== 'string') throw new CredentialsError(path, `${what} is not a string`);
  if (helper === '') return;
  // It is part of a program's name (requirement 128), and anything else may be a secret in the wrong place.
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(helper)) {
    throw new CredentialsError(path, `${what} is not the name of a helper`);
  }
  const program = `docker-credential-${helper}`;
  throw new CredentialsError(
    path,
    `the credential for ${host} is kept by the helper ${program}, which this version does not run`,
  );
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
  if (auth !== '') {
    const login = decodeAuth(auth);
    if (login === null) throw new CredentialsError(path, `"auth" of ${at} is not base64 of user:password`);
    return login;
  }
  const username = text('username');
  const password = text('password');
  if (username !== '') return { type: 'password', username, password };
  if (password !== '') throw new CredentialsError(path, `${at} has a password and no user name`);
  return null;
}

/** User name and password of an `auth` member (requirement 106), or `null`. What Buffer alone would skip is refused. */
function decodeAuth(auth: string): Credential | null {
  const encoded = auth.replaceAll('\r', '').replaceAll('\n', '');
  const bytes = Buffer.from(encoded, 'base64');
  const text = bytes.toString('base64') === encoded ? utf8(bytes) : null;
  const colon = text?.indexOf(':') ?? -1;
  if (text === null || colon < 1) return null;
  return { type: 'password', username: text.slice(0, colon), password: trimNul(text.slice(colon + 1)) };
}

/** Docker pads some passwords (Q72). */
function trimNul(text: string): string {
  let end = text.length;
  while (end > 0 && text.charCodeAt(end - 1) === 0) end--;
  return text.slice(0, end);
}

/** `bytes` as text without a BOM, or `null`: what is replaced in a password makes another one. */
function utf8(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The object in the member `name`, an empty one where it is absent. */
function objectIn(path: string, config: object, name: string): object {
  const value = member(config, name) ?? {};
  if (!isObject(value)) throw new CredentialsError(path, `"${name}" is not an object`);
  return value;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
