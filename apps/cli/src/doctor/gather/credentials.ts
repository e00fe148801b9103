/**
 * What this machine has for the registry: files, entries, helpers, and what comes out of them.
 *
 * Rules of this file: facts, no judgement. A helper is run once, and not waited for longer than a person would. Secrets are
 * compared and decoded here and go nowhere else, but as the keychain of the requests that follow.
 */

import { readFileSync } from 'node:fs';
import { basename, isAbsolute } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Credential } from '@reg/core';
import type { Found, Keychain } from '@reg/core/driver';
import { filesFor } from '../../registry/files.ts';
import type { GivenCredential } from '../../registry/given.ts';
import { keychainAt } from '../../registry/keychain.ts';
import type { FileOptions } from '../../registry/options.ts';
import type { Surroundings } from '../../surroundings.ts';
import {
  chainKeychains,
  defaultKeychain,
  dockerKeychain,
  type ExplainingKeychain,
  expiryOf,
  type TrailStep,
} from './keychains.ts';

/** What is wrong with a place where the credential should be. */
export interface CredentialFault {
  readonly kind: 'file' | 'entry' | 'helper-missing' | 'helper-failing' | 'helper-hanging';
  /** The file or the variable; of a helper, the one that names it. */
  readonly source: string;
  /** `docker-credential-…`, or `null`. */
  readonly helper: string | null;
  /** Where `source` names the helper. */
  readonly named: Named | null;
  /** In words, without a secret. */
  readonly message: string;
}

/** A setting in a file. */
export interface Named {
  /** `"credsStore": "desktop"`. */
  readonly setting: string;
  /** Counted from 1; `null` where it cannot be told. */
  readonly line: number | null;
}

/** Who one of the tools would be, and why. */
export interface View {
  readonly username: string | null;
  /** The file and the entry, or the helper. */
  readonly source: string;
}

export interface CredentialFacts {
  /** `given`: by options. `none`: by `--anonymous`. */
  readonly from: 'stored' | 'given' | 'none';
  /** Every place that was looked at, in order. */
  readonly trail: readonly TrailStep[];
  /** The place that would answer, were nothing wrong with it; `null` where nothing is known of the registry. */
  readonly first: TrailStep | null;
  readonly fault: CredentialFault | null;
  /** Where the answer came from, and whose; `null` without one. `type: null` is an entry that says: nobody. */
  readonly found: {
    readonly type: Credential['type'] | null;
    readonly username: string | null;
    readonly source: string;
  } | null;
  /** When it ends, epoch milliseconds, where it says so itself. */
  readonly end: { readonly kind: 'ecr' | 'token'; readonly at: number } | null;
}

/** What was found, with its secret, for the requests that follow. */
export interface Login {
  readonly facts: CredentialFacts;
  readonly keychain: Keychain;
}

export interface Whose {
  readonly origin: string;
  readonly repository: string | null;
  readonly options: FileOptions & { readonly anonymous?: boolean };
  readonly given: GivenCredential | null;
  readonly surroundings: Pick<Surroundings, 'env' | 'signal'>;
}

/** Longer than any keychain that is unlocked, shorter than what a person waits for an answer. */
const HELPER_PATIENCE_MS = 5_000;

const nothing = { trail: [], first: null, fault: null, found: null, end: null } as const;

export async function lookUp(whose: Whose): Promise<Login> {
  const { options, given, origin } = whose;
  if (options.anonymous === true) {
    return { facts: { ...nothing, from: 'none' }, keychain: { find: async () => nobody } };
  }
  if (given === null) return lookUpStored(whose);
  const { username, password, source } = given;
  const credential = { type: 'password', username, password } as const;
  const found = { credential, source };
  return {
    facts: {
      ...nothing,
      from: 'given',
      found: { type: 'password', username, source },
      end: endOf(credential),
    },
    keychain: { find: async (asked) => (asked === origin ? found : null) },
  };
}

const nobody: Found = { credential: null, source: 'nobody' };

async function lookUpStored(whose: Whose): Promise<Login> {
  const { origin, repository, options, surroundings } = whose;
  const stored = keychainAt(options, surroundings);
  // Once somebody has answered nothing is run, and what would have been the answer shows as shadowed.
  const { trail: still } = await stored.explain(origin, repository, { winner: 'the doctor' });
  const first = still.find(({ outcome }) => outcome === 'shadowed' || outcome === 'failed') ?? null;
  const patience = AbortSignal.timeout(HELPER_PATIENCE_MS);
  const signal = AbortSignal.any([patience, surroundings.signal]);
  let found: Found | null = null;
  let trail = still;
  let fault: CredentialFault | null = null;
  try {
    const explained = await stored.explain(origin, repository, { signal });
    trail = explained.trail;
    const { error } = explained;
    if (error === null) found = await stored.find(origin, repository, { signal });
    else fault = faultOf(error, trail, still);
  } catch (error) {
    surroundings.signal.throwIfAborted();
    if (!patience.aborted) throw error;
    const asked = still.find(({ helper }) => helper !== null);
    const message = `did not answer within ${HELPER_PATIENCE_MS / 1_000} s`;
    fault = { ...helperIn(asked), kind: 'helper-hanging', message };
  }
  const credential = found?.credential ?? null;
  const keychain: Keychain = {
    find: async (asked) => (asked === origin ? found : null),
    // A token server may end the identity token that it is shown: its successor must be kept.
    replaced: (...login) => stored.replaced?.(...login),
  };
  return {
    facts: {
      from: 'stored',
      trail,
      first,
      fault,
      found:
        found === null
          ? null
          : {
              type: credential?.type ?? null,
              username: credential?.type === 'password' ? credential.username : null,
              source: found.source,
            },
      end: credential === null ? null : endOf(credential),
    },
    keychain,
  };
}

function faultOf(
  error: { readonly path: string; readonly message: string },
  trail: readonly TrailStep[],
  still: readonly TrailStep[],
): CredentialFault {
  const { path, message } = error;
  const asked = trail.findLast(({ outcome }) => outcome === 'asked');
  const isHelpers = asked?.helper != null && basename(path).startsWith('docker-credential-');
  if (!isHelpers) {
    // What is in an entry is read only to answer.
    const isWhole = still.some(({ source, outcome }) => source === path && outcome === 'failed');
    return { kind: isWhole ? 'file' : 'entry', source: path, helper: null, named: null, message };
  }
  // A program that was found is told by its path.
  const kind = isAbsolute(path) ? 'helper-failing' : 'helper-missing';
  return { ...helperIn(asked), kind, message };
}

function helperIn(step: TrailStep | undefined): Pick<CredentialFault, 'source' | 'helper' | 'named'> {
  const { source = '', helper = null, key = null } = step ?? {};
  return { source, helper, named: helper === null ? null : namedIn(source, helper, key) };
}

/** Where a file names a helper. Its own text is not shown: all of it may be one line, passwords included. */
function namedIn(path: string, program: string, key: string | null): Named {
  const name = program.slice('docker-credential-'.length);
  const member = JSON.stringify(key ?? 'credsStore');
  const setting = `${member}: ${JSON.stringify(name)}`;
  const text = isAbsolute(path) ? (textOf(path) ?? '') : '';
  const from = key === null ? 0 : text.indexOf('"credHelpers"');
  const at = from < 0 ? -1 : text.indexOf(member, from);
  return { setting, line: at < 0 ? null : text.slice(0, at).split('\n').length };
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** When a credential ends, by what it says itself. */
function endOf(credential: Credential): CredentialFacts['end'] {
  const at = expiryOf(credential);
  if (at === null) return null;
  return { kind: credential.type === 'password' && credential.username === 'AWS' ? 'ecr' : 'token', at };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

/** Whom Docker and whom Podman would be, where they differ. */
export interface Conflict {
  readonly docker: View;
  readonly podman: View;
}

export interface Entries {
  readonly conflict: Conflict | null;
  /** Keys of one file that say different things, and none of which comes first. */
  readonly ambiguous: { readonly path: string; readonly keys: readonly string[] } | null;
}

/**
 * What Docker and Podman make of the entries for the registry. A helper that fails leaves that unsaid: it is told elsewhere.
 *
 * @param trail of a look-up, for the files that there are
 */
export async function compareEntries(
  { origin, repository, options, surroundings }: Whose,
  trail: readonly TrailStep[],
): Promise<Entries> {
  const { path: _, flavor: __, ...owner } = filesFor(options, surroundings.env);
  const ambiguous = ambiguityIn(trail);
  const alone = options.authfile !== undefined || options.config !== undefined;
  if (alone) return { conflict: null, ambiguous };
  const files = [...new Set(trail.map(({ source }) => source))].filter(isAbsolute);
  const named = owner.env['REGISTRY_AUTH_FILE'] || null;
  const containers = files.filter((path) => basename(path) === 'auth.json');
  // Podman falls back on what Docker has, and reads it in its own way.
  const inOrder =
    named === null ? [...containers, ...files.filter((path) => basename(path) === 'config.json')] : [named];
  const podman = chainKeychains(
    ...inOrder.map((path) => dockerKeychain({ path, flavor: 'containers', ...owner })),
  );
  const signal = AbortSignal.any([AbortSignal.timeout(HELPER_PATIENCE_MS), surroundings.signal]);
  const find = async (
    keychain: ExplainingKeychain,
    counts: (file: string) => boolean,
  ): Promise<Found | null> => {
    try {
      const { trail } = await keychain.explain(origin, repository, { signal });
      const answering = trail.find(({ outcome }) => outcome === 'matched');
      return answering !== undefined && counts(answering.source)
        ? await keychain.find(origin, repository, { signal })
        : null;
    } catch {
      surroundings.signal.throwIfAborted();
      return null;
    }
  };
  const { REGISTRY_AUTH_FILE: ___, ...env } = owner.env;
  // Docker looks into a variable and its own file, before the places that only others look into.
  const docker = defaultKeychain({ ...owner, env });
  const dockers = await find(docker, (file) => !isAbsolute(file) || basename(file) === 'config.json');
  const podmans = await find(podman, () => true);
  if (dockers === null || podmans === null) return { conflict: null, ambiguous };
  if (isDeepStrictEqual(dockers.credential, podmans.credential)) return { conflict: null, ambiguous };
  return { conflict: { docker: viewOf(dockers), podman: viewOf(podmans) }, ambiguous };
}

function viewOf({ credential, source }: Found): View {
  return { username: credential?.type === 'password' ? credential.username : null, source };
}

/** Two addresses of one registry without its plain name: which of them is taken is up to the order of a hash table. */
function ambiguityIn(trail: readonly TrailStep[]): Entries['ambiguous'] {
  const byFile = new Map<string, string[]>();
  for (const { source, key, helper } of trail) {
    if (key === null || helper !== null) continue;
    byFile.set(source, [...(byFile.get(source) ?? []), key]);
  }
  for (const [path, keys] of byFile) {
    const isPlain = keys.some((key) => !key.includes('/'));
    if (isPlain || keys.length < 2 || !keys.every((key) => key.includes('://'))) continue;
    const auths = isAbsolute(path) ? objectIn(textOf(path) ?? '')?.['auths'] : null;
    if (typeof auths !== 'object' || auths === null) continue;
    const entries = keys.map((key) => JSON.stringify(Object.getOwnPropertyDescriptor(auths, key)?.value));
    if (new Set(entries).size > 1) return { path, keys };
  }
  return null;
}
