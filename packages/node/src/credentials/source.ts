/**
 * One place after another: how a keychain looks through its sources.
 *
 * Rules of this file: the first source that knows the registry answers; one that fails ends the look-up, since a broken source
 * must not send the search on to another credential (CVE-2021-41092); `find` and `explain` go the same way. An identity token
 * that was replaced is written once it can be, over those it took the place of and over no other login.
 */

import type { Credential } from '@reg/core';
import type { AbortSignalLike, Found } from '@reg/core/driver';
import type { Flavor } from './config-file.ts';
import { CredentialsError } from './error.ts';
import { type Registry, registryAt } from './registry.ts';
import { type ExplainedFound, type ExplainingKeychain, Trail } from './trail.ts';
import { warnOnce } from './warning.ts';

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

/** The identity tokens of one login, each in the place of the one before. */
interface Lineage {
  readonly login: Login;
  readonly query: Query;
  /** From what the login was last seen to hold up to the newest: one of them is there, unless it is another login by now. */
  tokens: readonly string[];
}

/** A file that is never writable, a mounted secret, stays at the first; what is between counts only if a write went wrong late. */
const mostTokens = 100;

/**
 * A keychain over `sources`, which are named anew for each look-up.
 *
 * @param keep writes the replacement of an identity token where the login is, since the old one may be dead
 */
export function keychainOver(
  sources: () => readonly Source[],
  keep?: (login: Login, replacement: Credential) => Promise<void>,
): ExplainingKeychain {
  const lineages = new WeakMap<Credential, Lineage>();
  /** Writes go one after another, so that the newest is the last. */
  let written: Promise<void> = Promise.resolve();

  async function first(query: Query, trail: Trail): Promise<Match | null> {
    for (const source of sources()) {
      throwIfAborted(query.signal);
      const match = await source.look(query, trail);
      if (match !== null) return match;
    }
    return null;
  }

  async function write(lineage: Lineage): Promise<void> {
    const { login, query, tokens } = lineage;
    const token = tokens.at(-1);
    if (token === undefined || keep === undefined) return;
    const newest: Credential = { type: 'identity', token };
    try {
      const { registry, repository } = query;
      const anew = { registry, repository, signal: undefined, rejected: newest };
      const now = (await first(anew, new Trail()))?.credential;
      // Whoever logged in meanwhile must not be logged out by it.
      if (now?.type !== 'identity' || !tokens.includes(now.token)) return;
      if (now.token !== token) await keep(login, newest);
    } catch (error) {
      const why = error instanceof CredentialsError ? error.message : `${login.path}: cannot be written`;
      const consequence = 'is not kept, and whoever reads the old one may have to log in again';
      warnOnce(
        'REG_CREDENTIAL_NOT_KEPT',
        login.path,
        `an identity token that was replaced ${consequence}: ${why}`,
      );
      throw error;
    }
    lineage.tokens = lineage.tokens.slice(lineage.tokens.lastIndexOf(token));
  }

  return {
    async find(origin, repository, about): Promise<Found | null> {
      const query = queryFor(origin, repository, about);
      const trail = new Trail();
      const match = await first(query, trail).finally(() => warnOfExposed(trail));
      if (match === null) return null;
      const { credential, source, expiresAt, login } = match;
      if (credential?.type === 'identity' && login !== undefined) {
        lineages.set(credential, { login, query, tokens: [credential.token] });
      }
      return { credential, source, ...(expiresAt === undefined ? {} : { expiresAt }) };
    },
    async replaced(_, old, replacement) {
      const lineage = lineages.get(old);
      if (lineage === undefined || keep === undefined || replacement.type !== 'identity') return;
      lineages.set(replacement, lineage);
      const [oldest = replacement.token, ...others] = lineage.tokens;
      lineage.tokens = [oldest, ...others.slice(-mostTokens), replacement.token];
      const turn = written.then(() => write(lineage));
      written = turn.catch(() => {});
      await turn;
    },
    async explain(origin, repository, { signal, winner } = {}) {
      const query = queryFor(origin, repository, signal === undefined ? {} : { signal });
      const trail = new Trail();
      if (winner !== undefined) trail.decide(winner);
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

function warnOfExposed(trail: Trail): void {
  for (const { source, outcome, why } of trail.steps) {
    if (outcome !== 'exposed') continue;
    warnOnce('REG_CREDENTIALS_EXPOSED', source, `credentials are looked for in ${source}, and ${why}`);
  }
}

function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted === true) throw signal.reason;
}

export function withoutSecret({ credential, source, expiresAt }: Found): ExplainedFound {
  const username = credential?.type === 'password' ? credential.username : null;
  return { type: credential?.type ?? null, username, source, expiresAt: expiresAt ?? null };
}
