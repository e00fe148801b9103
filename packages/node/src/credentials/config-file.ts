/**
 * One config file as a source: Docker's, Podman's, or the flat one Docker wrote before.
 *
 * Rules of this file: read anew at each look-up, so that a login or logout counts at once. A helper named for the registry
 * answers instead of `auths` (requirement 109, Q71), and where it has nothing, neither have the `auths` beside it: so it is
 * for Docker and for Podman, and an entry left behind from before the helper is not a login.
 */

import { member, objectIn, parseConfig, shown, textIn } from './config.ts';
import { entryIn } from './entries.ts';
import { CredentialsError } from './error.ts';
import { readFileText } from './file.ts';
import { isHelperName, programOf } from './helper.ts';
import type { HelperAsker } from './helpers.ts';
import {
  containersKeys,
  dockerKeys,
  flatKeys,
  helperKeys,
  hubKey,
  partsOf,
  type Registry,
} from './registry.ts';
import type { Match, Query, Source } from './source.ts';
import type { Trail } from './trail.ts';

/**
 * Whose rules a file follows where the two disagree.
 *
 * - `docker`: the path of a key counts for nothing, so that an entry is for all of a registry; `credsStore` keeps the rest.
 * - `containers` (Podman, Skopeo, Buildah): a key may be a namespace, `quay.io/team`, and is for nothing beside it; `credsStore`
 *   is not read.
 */
export type Flavor = 'docker' | 'containers';

/** `flat`: `~/.dockercfg`, entries and nothing else. */
export type FileFormat = Flavor | 'flat';

export function configFile(
  path: string,
  format: FileFormat,
  helpers: HelperAsker,
  read: (path: string, trail: Trail) => Promise<object | null> = readConfig,
): Source {
  return {
    name: path,
    async look(query, trail) {
      const config = await read(path, trail);
      const { registry, repository } = query;
      if (config === null) return null;
      if (format === 'flat')
        return entryIn(path, config, flatKeys(Object.keys(config), registry), registry, trail);
      const login = { path, flavor: format, registry: registry.origin };
      const helper = helperIn(path, config, registry, format, { trail, without: helpers.without });
      if (helper !== null) {
        const match = await askHelper(path, helper, query, trail, helpers);
        return match === null ? null : { ...match, login };
      }
      const auths = objectIn(path, config, 'auths');
      const all = Object.keys(auths);
      const keys =
        format === 'docker' ? dockerKeys(all, registry) : containersKeys(all, registry, repository);
      const empty = format === 'docker' ? 'is passed' : 'ends it';
      const match = entryIn(path, auths, keys, registry, trail, empty);
      if (match === null) return null;
      return isNamespace(match.key, format)
        ? { ...match, login: { ...login, registry: match.key } }
        : { ...match, login };
    },
  };
}

/** An entry that is for a part of its registry only. */
function isNamespace(key: string, flavor: Flavor): boolean {
  const { isUrl, path } = partsOf(key);
  return flavor === 'containers' && !isUrl && path.length > 0;
}

/**
 * The config in the file at `path`; `null`, with a note, when there is none.
 *
 * @param closed the bits of its mode that are noted when they are set
 */
export async function readConfig(path: string, trail: Trail, closed = 0o066): Promise<object | null> {
  const file = await readFileText(path);
  if (file.kind !== 'file') {
    trail.note(path, 'absent', file.kind === 'folder' ? 'is a folder' : 'no such file');
    return null;
  }
  // Who may write to it names the program that is run for a credential. A file that cannot be understood is open all the same.
  const exposure = exposureOf(file.mode, closed);
  if (exposure !== null) trail.note(path, 'exposed', exposure);
  const config = parseConfig(path, file.text);
  if (config === null) trail.note(path, 'empty', 'nothing in it');
  return config;
}

function exposureOf(mode: number, closed: number): string | null {
  const open = mode & closed;
  if (open === 0) return null;
  const may = [(open & 0o044) !== 0 ? 'read' : '', (open & 0o022) !== 0 ? 'write' : ''].filter(Boolean);
  return `others than its owner may ${may.join(' and ')} it (mode ${mode.toString(8).padStart(4, '0')})`;
}

/** A helper, and the registry's name as it is asked for. */
export interface Named {
  readonly helper: string;
  readonly server: string;
  /** The key in `credHelpers`; `null` for `credsStore`. */
  readonly key: string | null;
}

export interface HelperInOptions {
  readonly trail?: Trail;
  /** Helpers that count as not named. */
  readonly without?: readonly string[] | undefined;
}

/** The helper that keeps the credential of `registry`: of `credHelpers`, else `credsStore`. An empty name says: the file does. */
export function helperIn(
  path: string,
  config: object,
  registry: Registry,
  flavor: Flavor,
  { trail, without = [] }: HelperInOptions = {},
): Named | null {
  const counts = (helper: string, key: string | null): boolean => {
    if (!without.includes(helper)) return true;
    const about = { key, helper: programOf(helper) };
    trail?.note(path, 'ignored', 'that is who asks, so what stands beside it counts', about);
    return false;
  };
  const helpers = objectIn(path, config, 'credHelpers');
  const [key] = helperKeys(Object.keys(helpers), registry);
  if (key !== undefined) {
    const helper = helperName(path, helpers, key, ' of "credHelpers"');
    if (helper === '') return null;
    if (counts(helper, key)) return { helper, server: serverOf(key, registry, flavor), key };
  }
  if (flavor === 'containers') {
    if (member(config, 'credsStore')) trail?.note(path, 'ignored', 'Podman does not read "credsStore"');
    return null;
  }
  const helper = helperName(path, config, 'credsStore');
  if (helper === '' || !counts(helper, null)) return null;
  return { helper, server: registry.isHub ? hubKey : registry.host, key: null };
}

/** It is part of a program's name (requirement 128), and anything else may be a secret in the wrong place. */
function helperName(path: string, value: object, name: string, at = ''): string {
  const helper = textIn(path, value, name, at);
  if (helper !== '' && !isHelperName(helper)) {
    throw new CredentialsError(path, `${shown(name)}${at} is not the name of a helper`);
  }
  return helper;
}

/** What the credential was stored under: the key as it stands, but Docker has one name for Docker Hub. */
function serverOf(key: string, registry: Registry, flavor: Flavor): string {
  return registry.isHub && flavor === 'docker' && !partsOf(key).isUrl ? hubKey : key;
}

async function askHelper(
  path: string,
  { helper, server, key }: Named,
  { registry, signal, rejected }: Query,
  trail: Trail,
  helpers: HelperAsker,
): Promise<Match | null> {
  const about = { key, helper: programOf(helper) };
  if (trail.winner !== null) {
    trail.note(path, 'shadowed', `${trail.winner} comes first, so the helper was not run`, about);
    return null;
  }
  const named = key === null ? '"credsStore"' : `"credHelpers" for ${shown(key)}`;
  trail.note(path, 'asked', `${named} names it: asked for ${shown(server)}`, about);
  const answer = await helpers.ask(helper, server, { signal, rejected });
  switch (answer.kind) {
    case 'none':
      trail.note(path, 'none', `it has no credential for ${registry.host}`, about);
      return null;
    case 'failed':
      trail.note(
        path,
        'failed',
        `${answer.fault.message}; nobody is the answer, as onHelperError says`,
        about,
      );
      return { credential: null, source: `nobody, since ${programOf(helper)} failed` };
    case 'credential': {
      const { credential, program, expiresAt } = answer;
      trail.note(path, 'matched', `answered by ${program}`, about);
      return { credential, source: `${program}, named by ${path}`, expiresAt };
    }
  }
}
