/**
 * Which of several entries answers.
 *
 * Rules of this file: the first that has a credential; what comes after it, or after an answer from elsewhere, is shadowed and
 * not read, so that a fault in it is nobody's. An empty entry is passed where it marks what a helper keeps (requirement 107).
 * Podman leaves no such mark: in its files an empty entry is for its registry or namespace, and the search in the file ends.
 */

import { member, shown } from './config.ts';
import { credentialIn } from './entry.ts';
import type { Registry } from './registry.ts';
import type { Match } from './source.ts';
import type { Trail } from './trail.ts';

/** An entry whose key is the registry's. */
export interface Candidate {
  readonly path: string;
  readonly key: string;
  readonly entry: unknown;
}

export interface EntryMatch extends Match {
  readonly key: string;
}

/** What an empty entry does to the search in its file. */
export type Empty = 'is passed' | 'ends it';

/** The answer of `candidates`, the most specific first. */
export function firstEntry(
  candidates: readonly Candidate[],
  registry: Registry,
  trail: Trail,
  empty: Empty = 'is passed',
): EntryMatch | null {
  let match: EntryMatch | null = null;
  let { winner } = trail;
  for (const { path, key, entry } of candidates) {
    if (winner !== null) {
      trail.note(path, 'shadowed', `${winner} comes first`, { key });
      continue;
    }
    const credential = credentialIn(path, key, entry);
    const source = `${path}, entry ${shown(key)}`;
    if (credential === null && empty === 'ends it') {
      trail.note(path, 'none', 'an empty entry, which ends the search in this file', { key });
      winner = source;
      continue;
    }
    if (credential === null) {
      trail.note(path, 'none', 'an empty entry, as it stands where a helper keeps the credential', { key });
      continue;
    }
    trail.note(path, 'matched', `${shown(key)} is for ${registry.host}`, { key });
    match = { credential, source, key };
    winner = source;
  }
  return match;
}

/** The answer of the entries under `keys` in one file. */
export function entryIn(
  path: string,
  auths: object,
  keys: readonly string[],
  registry: Registry,
  trail: Trail,
  empty?: Empty,
): EntryMatch | null {
  if (keys.length === 0) trail.note(path, 'no-entry', `nothing in it for ${registry.host}`);
  return firstEntry(
    keys.map((key) => ({ path, key, entry: member(auths, key) })),
    registry,
    trail,
    empty,
  );
}
