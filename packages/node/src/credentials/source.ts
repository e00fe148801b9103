/**
 * One place after another: how a keychain looks through its sources.
 *
 * Rules of this file: the first source that knows the registry answers; one that fails ends the look-up, since a broken source
 * must not send the search on to another credential (CVE-2021-41092); `find` and `explain` go the same way.
 */

import type { Credential } from '@reg/core';
import type { AbortSignalLike, Found } from '@reg/core/driver';
import type { Flavor } from './config-file.ts';
import { CredentialsError } from './error.ts';
import { type Registry, registryAt } from './registry.ts';
import { type ExplainedFound, type ExplainingKeychain, Trail } from './trail.ts';

/** What is looked for. */
export interface Query {
  readonly registry: Registry;
  readonly repository: string | null;
  readonly signal: AbortSignalLike | undefined;
  /** A credential that was refused: nothing remembered will do. */
  readonly rejected: Credential | undefined;
}

export interface Match {
  /** `null`: nobody, which is an answer. */
  readonly credential: Credential | null;
  /** For people: the file and the entry, or the helper. */
  readonly source: string;
  /** Epoch milliseconds on the driver's clock. */
  readonly expiresAt?: number;
  /** Where a login keeps it; absent for what no login writes. */
  readonly login?: Login;
}

/** The entry of a config, or what its helper keeps, as `saveCredential` names it. */
export interface Login {
  readonly path: string;
  readonly flavor: Flavor;
  /** The origin, or a namespace. */
  readonly registry: string;
}

/** One place that may hold a credential. */
export interface Source {
  /** A path, or the name of a variable. */
  readonly name: string;
  /**
   * What it has for `query`, `null` for nothing. Always `null` once `trail.winner` is set: then it only writes down what it would
   * have been, and runs nothing. Rejects with `CredentialsError`.
   */
  look(query: Query, trail: Trail): Promise<Match | null>;
}

/**
 * A keychain over `sources`, which are named anew for each look-up.
 *
 * @param keep writes the replacement of an identity token where the login is, since the old one may be dead
 */
export function keychainOver(
  sources: () => readonly Source[],
  keep?: (login: Login, replacement: Credential) => Promise<void>,
): ExplainingKeychain {
  const logins = new WeakMap<Credential, { readonly login: Login; readonly query: Query }>();

  async function first(query: Query): Promise<Match | null> {
    const trail = new Trail();
    for (const source of sources()) {
      throwIfAborted(query.signal);
      const match = await source.look(query, trail);
      if (match !== null) return match;
    }
    return null;
  }

  return {
    async find(origin, repository, about): Promise<Found | null> {
      const query = queryFor(origin, repository, about);
      const match = await first(query);
      if (match === null) return null;
      const { credential, source, expiresAt, login } = match;
      if (credential !== null && login !== undefined) logins.set(credential, { login, query });
      return { credential, source, ...(expiresAt === undefined ? {} : { expiresAt }) };
    },
    async replaced(_, old, replacement) {
      const known = logins.get(old);
      if (known === undefined || keep === undefined) return;
      logins.set(replacement, known);
      // Whoever logged in meanwhile must not be logged out by it.
      const { registry, repository } = known.query;
      const now = await first({ registry, repository, signal: undefined, rejected: old });
      if (isSame(now?.credential ?? null, old)) await keep(known.login, replacement);
    },
    async explain(origin, repository, about) {
      const query = queryFor(origin, repository, about);
      const trail = new Trail();
      let found: ExplainedFound | null = null;
      let error: CredentialsError | null = null;
      for (const source of sources()) {
        throwIfAborted(query.signal);
        try {
          const match = await source.look(query, trail);
          if (match === null) continue;
          found = withoutSecret(match);
          trail.decide(match.source);
        } catch (fault) {
          if (!(fault instanceof CredentialsError)) throw fault;
          trail.note(source.name, 'failed', fault.message);
          if (trail.winner === null) error = fault;
          trail.decide(`the fault of ${source.name}`);
        }
      }
      return { found, error, trail: trail.steps };
    },
  };
}

function queryFor(
  origin: string,
  repository: string | null | undefined,
  about: { readonly signal?: AbortSignalLike; readonly rejected?: Credential } = {},
): Query {
  const { signal, rejected } = about;
  return { registry: registryAt(origin), repository: repository ?? null, signal, rejected };
}

/** Two identity tokens; others are never replaced. */
function isSame(a: Credential | null, b: Credential): boolean {
  return a?.type === 'identity' && b.type === 'identity' && a.token === b.token;
}

function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted === true) throw signal.reason;
}

function withoutSecret({ credential, source, expiresAt }: Match): ExplainedFound {
  const username = credential?.type === 'password' ? credential.username : null;
  return { type: credential?.type ?? null, username, source, expiresAt: expiresAt ?? null };
}
