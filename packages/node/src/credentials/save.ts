/**
 * Logging in and out: what Docker's and Podman's login and logout do to a config.
 *
 * Rules of this file: what a helper keeps for a registry goes to the helper and never into the file; what is saved is what is
 * found next, and what is erased is found under no other name; what could not be sent is not kept; no message shows a secret.
 */

import type { Credential } from '@reg/core';
import { checkHelper, withHelper } from './assign.ts';
import { isObject, member, objectIn, shown } from './config.ts';
import { type Flavor, helperIn, type Named } from './config-file.ts';
import { configAt, editConfig } from './edit.ts';
import { credentialIn, hasControl } from './entry.ts';
import { CredentialsError } from './error.ts';
import { helperErase, helperGet, helperList, helperStore, tokenUser } from './helper.ts';
import { keysOf, type Names, namesOf } from './names.ts';
import { loginPath, type SurroundingsOptions } from './places.ts';

export interface SaveOptions extends SurroundingsOptions {
  /** The file to write. Default: the one that `docker login` writes, or with the flavor `containers` `podman login`. */
  readonly path?: string;
  /** Whose rules the file follows. Default: `docker`. */
  readonly flavor?: Flavor;
  /** Helpers that count as not named, as for `dockerKeychain`. */
  readonly withoutHelpers?: readonly string[];
}

export interface SaveCredentialOptions extends SaveOptions {
  /**
   * Who is to keep it: the helper of this name, `pass` for `docker-credential-pass`, or with `null` the file. The config says so from
   * then on. Default: whom it names already.
   */
  readonly helper?: string | null;
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
 * Rejects with `CredentialsError`, and leaves what was there, when the credential cannot be sent or would not be found, the
 * config cannot be understood or written, or its helper fails; with a `TypeError` for what is no name of a registry or no
 * credential.
 */
export async function saveCredential(
  registry: string,
  credential: Credential,
  options: SaveCredentialOptions = {},
): Promise<Saved> {
  checkShape(credential);
  const { helper: keeper } = options;
  if (typeof keeper === 'string') checkHelper(keeper);
  const { path, flavor, names } = placeOf(registry, options);
  checkCredential(path, credential);
  return editConfig<Saved>(path, (before) => {
    const config = keeper === undefined ? before : withHelper(path, before, names, flavor, keeper);
    const named = helperIn(path, config, names.registry, flavor, { without: options.withoutHelpers });
    if (named === null) {
      const entry = entryOf(credential, userIn(path, config, names, flavor));
      const saved = { path, key: names.key, helper: null };
      return { config: withEntry(path, config, names.key, entry), work: async () => saved };
    }
    const { helper, server } = named;
    // Podman, too, asks it before it looks at any entry.
    if (names.namespace !== '') {
      throw new CredentialsError(
        path,
        `"credHelpers" has docker-credential-${helper} asked for all of ${names.registry.host}: what is kept for ${shown(names.key)} would not be found`,
      );
    }
    const login = loginOf(path, credential, helper);
    return {
      // Docker marks what is in a helper; Podman does not.
      config: flavor === 'docker' ? withEntry(path, config, names.key, {}) : config,
      work: async () => {
        await helperStore(helper, { serverUrl: server, ...login }, options);
        return { path, key: server, helper };
      },
    };
  });
}

/**
 * Forgets what is kept for a registry, under each of its names, and has its helper forget it. Resolves to whether the config,
 * or its helper by its own list, had anything.
 *
 * @param registry as for `saveCredential`; a namespace is forgotten alone
 *
 * Rejects as `saveCredential` does. When only the helper fails, the file has forgotten already.
 */
export async function eraseCredential(registry: string, options: SaveOptions = {}): Promise<boolean> {
  const { path, flavor, names } = placeOf(registry, options);
  // Nothing to forget is no reason to make a file, or to need the right to.
  const seen = await configAt(path);
  const isThere = keysOf(Object.keys(objectIn(path, seen, 'auths')), names, flavor).length > 0;
  if (!isThere && helperToForget(path, seen, names, flavor, options) === null) return false;
  let isErased = false;
  let fault: unknown = null;
  await editConfig(path, (config) => {
    const auths = objectIn(path, config, 'auths');
    const gone = new Set(keysOf(Object.keys(auths), names, flavor));
    const kept = Object.entries(auths).filter(([key]) => !gone.has(key));
    const named = helperToForget(path, config, names, flavor, options);
    return {
      config: gone.size === 0 ? config : { ...config, auths: Object.fromEntries(kept) },
      work: async () => {
        if (gone.size > 0) isErased = true;
        try {
          const env = { ...(options.env ?? process.env), [lockedConfigVariable]: path };
          const around = { ...options, env };
          if (named !== null && (await eraseFromHelper(named, names, flavor, around))) isErased = true;
          fault = null;
        } catch (error) {
          // The file forgets all the same.
          fault = error;
        }
      },
    };
  });
  if (fault !== null) throw fault;
  return isErased;
}

/** Where a save goes, and what it is called there. */
interface Place {
  readonly path: string;
  readonly flavor: Flavor;
  readonly names: Names;
}

function placeOf(registry: string, options: SaveOptions): Place {
  const { flavor = 'docker' } = options;
  return { names: namesOf(registry, flavor), path: options.path ?? loginPath(flavor, options), flavor };
}

/**
 * The variable that names, to a helper that is to forget something, the config that is locked meanwhile. One that edits configs
 * itself leaves that one alone: else each would wait for the other.
 */
export const lockedConfigVariable = 'REG_LOCKED_CONFIG';

/** The helper that is asked to forget; for a namespace none is. */
function helperToForget(
  path: string,
  config: object,
  names: Names,
  flavor: Flavor,
  { withoutHelpers }: SaveOptions,
): Named | null {
  return names.namespace === ''
    ? helperIn(path, config, names.registry, flavor, { without: withoutHelpers })
    : null;
}

/** Has the helper forget the registry under each of its names. Resolves to whether it knew one. */
async function eraseFromHelper(
  { helper, server }: Named,
  names: Names,
  flavor: Flavor,
  options: SaveOptions,
): Promise<boolean> {
  // Some cannot list, and most say of a name they do not know that it is gone.
  const list = await helperList(helper, options).catch(() => ({ [server]: '' }));
  const listed = keysOf(Object.keys(list), names, flavor);
  let isErased = false;
  // Some list nothing, whatever they keep: the name that a save uses is erased in any case.
  for (const key of new Set([server, ...listed])) {
    try {
      if ((await helperErase(helper, key, options)) && listed.includes(key)) isErased = true;
    } catch (error) {
      // `pass` fails on a name that it does not have.
      if (listed.includes(key) || (await isKept(helper, key, options))) throw error;
    }
  }
  return isErased;
}

/** Whether the helper has something under `key`, or does not say that it has nothing. */
async function isKept(helper: string, key: string, options: SaveOptions): Promise<boolean> {
  return (await helperGet(helper, key, options).catch(() => undefined)) !== null;
}

/** The texts of each kind of credential. */
const texts = {
  password: ['username', 'password'],
  identity: ['token'],
  registry: ['token'],
} as const satisfies Record<Credential['type'], readonly string[]>;

/** A caller without types may hand over anything, which is not shown: it may be a secret in the wrong place. */
function checkShape(credential: Credential): void {
  const type: unknown = isObject(credential) ? credential.type : null;
  const [, names] = Object.entries(texts).find(([name]) => name === type) ?? [];
  if (names === undefined) {
    throw new TypeError(
      "[@reg/node] a credential is an object of the type 'password', 'identity' or 'registry'",
    );
  }
  for (const name of names) {
    if (typeof Reflect.get(credential, name) === 'string') continue;
    throw new TypeError(
      `[@reg/node] a credential of the type '${credential.type}' has a text as its ${name}`,
    );
  }
}

/** As many UTF-16 units as are sent: Node, like most servers, takes 16 KiB of header fields in all. */
const longestText = 16_384;

/** What can be neither sent nor read back is refused before it is written (requirements 100 to 102). */
function checkCredential(path: string, credential: Credential): void {
  const refuse = (fault: string) => {
    throw new CredentialsError(path, `the credential ${fault} and is not kept`);
  };
  const parts =
    credential.type === 'password' ? [credential.username, credential.password] : [credential.token];
  if (parts.some((text) => text === '')) refuse('has an empty part');
  if (parts.some((text) => text.length > longestText)) refuse('has a part of more than 16,384 characters');
  if (parts.some(hasControl)) refuse('has a control character');
  // Half a character has no UTF-8 form: another one would be written.
  if (parts.some((text) => Buffer.from(text).toString() !== text)) refuse('is not well-formed text');
  if (credential.type === 'registry' && !/^[\w.~+/-]+=*$/.test(credential.token)) {
    refuse('has a character that no bearer token has (RFC 6750 §2.1)');
  }
  if (credential.type !== 'password') return;
  // Whoever reads it takes the first colon for the end of the name (RFC 7617 §2).
  if (credential.username.includes(':')) refuse('has a colon in its user name');
  if (credential.username === tokenUser)
    refuse(`has the user name ${tokenUser}, which marks an identity token,`);
}

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

/** @param user whose the entry was, `null` when that is not known */
function entryOf(credential: Credential, user: string | null): Entry {
  switch (credential.type) {
    case 'password':
      return { auth: base64(`${credential.username}:${credential.password}`) };
    case 'identity':
      // Docker keeps the user beside the token, without the password, and does not ask who it is. Podman and skopeo read
      // Docker's file too, and skip an entry without one.
      return { auth: base64(`${user ?? tokenUser}:`), identitytoken: credential.token };
    case 'registry':
      return { registrytoken: credential.token };
  }
}

/** The user of the entry that is found so far, under whichever name; `null` for none that can be read. */
function userIn(path: string, config: object, names: Names, flavor: Flavor): string | null {
  const auths = objectIn(path, config, 'auths');
  for (const key of keysOf(Object.keys(auths), names, flavor)) {
    const entry = member(auths, key);
    if (!isObject(entry)) continue;
    try {
      const login = { auth: member(entry, 'auth'), username: member(entry, 'username') };
      const credential = credentialIn(path, key, login);
      if (credential?.type === 'password') return credential.username;
    } catch {
      // What cannot be read is not kept.
    }
  }
  return null;
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
