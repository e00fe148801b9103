/**
 * Logging in and out: what Docker's and Podman's login and logout do to a config.
 *
 * Rules of this file: what a helper keeps for a registry goes to the helper and never into the file; the file is read again
 * under its lock and replaced whole, and everything in it that is not about the registry stays; what cannot be understood is
 * refused and left as it is; no message shows a secret (requirement 114).
 */

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Credential } from '@reg/core';
import { type Held, LockedError, LockLostError, withLock } from '../files/lock.ts';
import { removeLeftovers, replaceFile } from '../files/replace.ts';
import { UnsafeFileError } from '../files/target.ts';
import { isObject, member, objectIn, parseConfig, shown } from './config.ts';
import { type Flavor, helperIn, type Named } from './config-file.ts';
import { defaultPath } from './docker.ts';
import { hasControl } from './entry.ts';
import { CredentialsError } from './error.ts';
import { longestFile, readFileText } from './file.ts';
import { helperErase, helperList, helperStore } from './helper.ts';
import type { SurroundingsOptions } from './places.ts';
import { containersKeys, dockerKeys, hubKey, partsOf, type Registry, registryAt } from './registry.ts';

export interface SaveOptions extends SurroundingsOptions {
  /** The file to write. Default: the one that `docker login` writes, or with the flavor `containers` `podman login`. */
  readonly path?: string;
  /** Whose rules the file follows. Default: `docker`. */
  readonly flavor?: Flavor;
}

/** Where a credential went. */
export interface Saved {
  /** The config. With a helper, it only says that there is something. */
  readonly path: string;
  /** The registry's name there, or in the helper. */
  readonly key: string;
  /** The name of the helper that keeps it, `pass` for `docker-credential-pass`; `null` where the file does. */
  readonly helper: string | null;
}

/**
 * Keeps `credential` for a registry, in place of what was kept for it under the same key.
 *
 * @param registry `host`, `host:port` or an address of which only these count; any name of Docker Hub; with the flavor
 *   `containers` also a namespace, `quay.io/team`
 *
 * Rejects with `CredentialsError`, and leaves what was there, when the credential cannot be sent, the config cannot be
 * understood or written, or its helper fails; with a `TypeError` for what is no name of a registry.
 */
export async function saveCredential(
  registry: string,
  credential: Credential,
  options: SaveOptions = {},
): Promise<Saved> {
  const { path, flavor, names } = placeOf(registry, options);
  checkCredential(path, credential);
  await makeFolder(path);
  return edit<Saved>(path, async (config) => {
    const named = helperNamed(path, config, names, flavor);
    if (named !== null) {
      const login = loginOf(path, credential, named.helper);
      await helperStore(named.helper, { serverUrl: named.server, ...login }, options);
      const saved = { path, key: named.server, helper: named.helper };
      // Docker marks what is in a helper; Podman does not.
      return [saved, flavor === 'docker' ? withEntry(path, config, names.key, {}) : config];
    }
    const saved = { path, key: names.key, helper: null };
    return [saved, withEntry(path, config, names.key, entryOf(credential, flavor))];
  });
}

/**
 * Forgets what is kept for a registry, under each of its names, and has its helper forget it. Resolves to whether there was
 * anything.
 *
 * @param registry as for `saveCredential`; a namespace is forgotten alone
 *
 * Rejects as `saveCredential` does. When only the helper fails, the file has forgotten already.
 */
export async function eraseCredential(registry: string, options: SaveOptions = {}): Promise<boolean> {
  const { path, flavor, names } = placeOf(registry, options);
  // Nothing to forget is no reason to make a file, or to need the right to.
  const seen = parseConfig(path, await readText(path)) ?? {};
  const isThere = keysOf(Object.keys(objectIn(path, seen, 'auths')), names, flavor).length > 0;
  if (!isThere && helperNamed(path, seen, names, flavor) === null) return false;
  let isErased = false;
  let fault: unknown = null;
  await edit(path, async (config) => {
    const named = helperNamed(path, config, names, flavor);
    if (named !== null) {
      try {
        if (await eraseFromHelper(named, names, flavor, options)) isErased = true;
      } catch (error) {
        fault = error;
      }
    }
    const auths = objectIn(path, config, 'auths');
    const gone = new Set(keysOf(Object.keys(auths), names, flavor));
    if (gone.size === 0) return [undefined, config];
    isErased = true;
    const kept = Object.entries(auths).filter(([key]) => !gone.has(key));
    return [undefined, { ...config, auths: Object.fromEntries(kept) }];
  });
  if (fault !== null) throw fault;
  return isErased;
}

/** A registry, or a namespace in it, as a file names it. */
interface Names {
  readonly registry: Registry;
  /** Empty for all of a registry. */
  readonly namespace: string;
  /** The key that is written. */
  readonly key: string;
}

function placeOf(registry: string, options: SaveOptions): { path: string; flavor: Flavor; names: Names } {
  const { flavor = 'docker' } = options;
  const names = namesOf(registry, flavor);
  const path = options.path ?? defaultPath(flavor, options);
  if (path === null) {
    throw new CredentialsError('config.json', 'has no place without a home directory: give its path');
  }
  return { path, flavor, names };
}

function namesOf(text: string, flavor: Flavor): Names {
  // Docker and Podman both cut an address after its host: `https://index.docker.io/v1/`, `https://quay.io/v2/`.
  const { isUrl, host, path } = partsOf(text);
  const registry = registryOf(`${text.startsWith('http://') ? 'http' : 'https'}://${host}`, host, text);
  const key = !registry.isHub ? registry.host : flavor === 'docker' ? hubKey : 'docker.io';
  if (isUrl || path.length === 0) return { registry, namespace: '', key };
  if (flavor === 'docker') {
    // Docker would take it for all of the registry (Q65).
    throw new TypeError(
      `[@reg/node] only the flavor 'containers' has entries for a namespace: ${shown(text)}`,
    );
  }
  if (!path.every((segment) => /^[a-z0-9][a-z0-9._-]*$/.test(segment))) refuseName(text);
  const namespace = path.join('/');
  return { registry, namespace, key: `${key}/${namespace}` };
}

/** What a URL makes another of, or leaves out of its host without a word, is no name: user and password, blanks, `?`, `0x7f.1`. */
function registryOf(address: string, host: string, text: string): Registry {
  const url = URL.canParse(address) ? new URL(address) : null;
  const spellings = url === null ? [] : [url.host, `${url.hostname}:${url.protocol === 'https:' ? 443 : 80}`];
  if (url === null || !spellings.includes(host) || url.hostname.endsWith('.')) refuseName(text);
  return registryAt(url.origin);
}

function refuseName(text: string): never {
  throw new TypeError(
    `[@reg/node] a registry is named host, host:port or by its address, not ${shown(text)}`,
  );
}

/** Those of `keys` that are the registry's, or the namespace's alone. */
function keysOf(keys: readonly string[], { registry, namespace }: Names, flavor: Flavor): readonly string[] {
  if (namespace !== '') {
    const own = registry.hosts.map((host) => `${host}/${namespace}`);
    return keys.filter((key) => own.includes(key));
  }
  if (flavor === 'containers') return containersKeys(keys, registry, null);
  // Docker keeps tokens of its own login beside its key for Docker Hub, and its logout takes them along.
  const tokens = registry.isHub ? keys.filter((key) => key.startsWith(hubKey)) : [];
  return [...dockerKeys(keys, registry), ...tokens];
}

/** The helper that keeps what is asked for; a namespace has none. */
function helperNamed(path: string, config: object, names: Names, flavor: Flavor): Named | null {
  return names.namespace === '' ? helperIn(path, config, names.registry, flavor, null) : null;
}

/** Has the helper forget the registry under each of its names. Resolves to whether it knew one. */
async function eraseFromHelper(
  { helper, server }: Named,
  names: Names,
  flavor: Flavor,
  options: SaveOptions,
): Promise<boolean> {
  let known: readonly string[];
  try {
    known = keysOf(Object.keys(await helperList(helper, options)), names, flavor);
  } catch {
    // Some cannot list. What else could have been stored is what Docker tries too.
    const { host } = names.registry;
    known = [...new Set([server, host, `https://${host}`, `http://${host}`])];
  }
  let isErased = false;
  const faults: unknown[] = [];
  for (const key of known) {
    try {
      if (await helperErase(helper, key, options)) isErased = true;
    } catch (error) {
      faults.push(error);
    }
  }
  // Helpers differ in what they say of a name they do not know: one that went well is enough, as it is for Docker.
  if (faults.length > 0 && faults.length === known.length) throw faults[0];
  return isErased;
}

/** What can be neither sent nor read back is refused before it is written (requirements 100 to 102). */
function checkCredential(path: string, credential: Credential): void {
  const refuse = (fault: string) => {
    throw new CredentialsError(path, `the credential ${fault} and is not kept`);
  };
  const texts =
    credential.type === 'password' ? [credential.username, credential.password] : [credential.token];
  if (texts.some((text) => text === '')) refuse('has an empty part');
  if (texts.some(hasControl)) refuse('has a control character');
  // Half a character has no UTF-8 form: another one would be written.
  if (texts.some((text) => Buffer.from(text).toString() !== text)) refuse('is not well-formed text');
  if (credential.type !== 'password') return;
  // Whoever reads it takes the first colon for the end of the name (RFC 7617 §2).
  if (credential.username.includes(':')) refuse('has a colon in its user name');
  if (credential.username === tokenUser)
    refuse(`has the user name ${tokenUser}, which marks an identity token,`);
}

/** The user name of an identity token, for helpers and for Podman (requirement 126). */
const tokenUser = '<token>';

function loginOf(path: string, credential: Credential, helper: string): { username: string; secret: string } {
  switch (credential.type) {
    case 'password':
      return { username: credential.username, secret: credential.password };
    case 'identity':
      return { username: tokenUser, secret: credential.token };
    case 'registry':
      throw new CredentialsError(path, `docker-credential-${helper} keeps no registry token`);
  }
}

interface Entry {
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

function entryOf(credential: Credential, flavor: Flavor): Entry {
  switch (credential.type) {
    case 'password':
      return { auth: base64(`${credential.username}:${credential.password}`) };
    case 'identity':
      // Podman skips an entry without a user, and does not read its identity token.
      if (flavor === 'containers') return { auth: base64(`${tokenUser}:`), identitytoken: credential.token };
      return { identitytoken: credential.token };
    case 'registry':
      return { registrytoken: credential.token };
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** The members of an entry that are its credential. Any other stays. */
const credentialMembers = ['auth', 'username', 'password', 'identitytoken', 'registrytoken'];

function withEntry(path: string, config: object, key: string, entry: Entry): object {
  const auths = objectIn(path, config, 'auths');
  const old = member(auths, key) ?? {};
  if (!isObject(old)) throw new CredentialsError(path, `the entry ${shown(key)} is not an object`);
  const others = Object.entries(old).filter(([name]) => !credentialMembers.includes(name));
  return { ...config, auths: { ...auths, [key]: { ...entry, ...Object.fromEntries(others) } } };
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw asCredentialsError(path, error);
  }
}

/** Enough for a hundred others whose helper takes half a second. */
const waitMs = 60_000;

/** Tries, when others who take no lock keep writing. */
const mostTries = 5;

/**
 * Replaces the config at `path` by what `change` makes of it, unless that is the same. Another program that takes no lock,
 * Docker among them, may write meanwhile: then all of it is done again with what is there by now.
 */
async function edit<T>(
  path: string,
  change: (config: object) => Promise<readonly [result: T, config: object]>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await withLock(path, (held) => editOnce(path, held, change), { waitMs });
    } catch (error) {
      if (!(error instanceof LockLostError) || tries === mostTries) throw asCredentialsError(path, error);
    }
  }
}

async function editOnce<T>(
  path: string,
  held: Held,
  change: (config: object) => Promise<readonly [result: T, config: object]>,
): Promise<T> {
  await removeLeftovers(path);
  const version = await versionOf(path);
  const text = await readText(path);
  const old = parseConfig(path, text) ?? {};
  const [result, config] = await change(old);
  if (JSON.stringify(config) === JSON.stringify(old)) return result;
  const written = formatted(config, text);
  if (Buffer.byteLength(written) > longestFile) {
    throw new CredentialsError(path, 'would become larger than 4 MiB, more than is read again');
  }
  const confirm = async () => {
    await held();
    if ((await versionOf(path)) !== version) throw new LockLostError(path);
  };
  await replaceFile(path, written, { confirm });
  return result;
}

async function readText(path: string): Promise<string> {
  const file = await readFileText(path);
  switch (file.kind) {
    case 'absent':
      return '';
    case 'folder':
      throw new CredentialsError(path, 'is a folder');
    case 'file':
      return file.text;
  }
}

/** Tells one content of a file from the next: who replaces it makes another file, who writes into it changes its time. */
async function versionOf(path: string): Promise<string | null> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino}:${size}:${mtimeNs}`;
  } catch {
    return null;
  }
}

/** `config` indented as `text` is, with tabs where that does not say, as Docker does it. */
function formatted(config: object, text: string): string {
  const [, indent] = /^\s*\{\r?\n([\t ]+)"/.exec(text) ?? [];
  const isOneLine = text.trim() !== '{}' && text.trim() !== '' && !text.trim().includes('\n');
  return JSON.stringify(config, null, indent ?? (isOneLine ? '' : '\t')) + (text.endsWith('\n') ? '\n' : '');
}

/** What went wrong with a file as this package says it. */
function asCredentialsError(path: string, error: unknown): unknown {
  if (error instanceof UnsafeFileError) return new CredentialsError(path, error.fault);
  if (error instanceof LockedError) return new CredentialsError(path, 'is locked by another process');
  if (error instanceof LockLostError) return new CredentialsError(path, 'is written by others all the time');
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return new CredentialsError(path, `cannot be written (${String(error.code)})`);
  }
  return error;
}
