/**
 * Grants in memory, for one authorizer or for all that share it.
 *
 * Rules of this file: a grant is found only under its own key, or, within one repository and under the same registry, realm,
 * service and principal, when it covers what is needed; the least recently used goes first.
 */

import { type Credential, credentialKey } from '../credential.ts';
import type { Failure } from '../failure.ts';
import {
  anonymous,
  type Grant,
  grantCovers,
  grantKey,
  type Need,
  type Principal,
  timeLeft,
} from '../grant.ts';
import { defaultPolicy } from '../policy.ts';
import { repositoriesOf } from '../scope.ts';
import { Flights } from './flights.ts';
import { bounded } from './memory.ts';
import type { Recorder } from './recorder.ts';

/** How an exchange ended, and its story for the record of each who waited. */
export interface Outcome {
  readonly result: Grant | { readonly failure: Failure; readonly cause: unknown };
  /** Whether the grant was made just now, or by another process. */
  readonly reuse: 'fresh' | 'cached';
  readonly tell: (recorder: Recorder) => void;
}

interface Entry {
  readonly grant: Grant;
  readonly key: string;
  /** Where supersets for one repository are found; `null` for grants that never serve as one. */
  readonly group: string | null;
  /** Epoch milliseconds before which no early refresh is tried again. */
  refreshAfter: number;
}

/**
 * Holds grants for any number of authorizers, which then share them.
 *
 * @param options.limit grants held at most; `policy.limits.cachedGrants` by default
 */
export class TokenCache {
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Set<Entry>>();
  readonly #holders = new WeakMap<Grant, Entry>();
  readonly #principals = new Map<string, Principal>();
  readonly #limit: number;
  #lastPrincipal: Principal = anonymous;

  constructor(options: { readonly limit?: number } = {}) {
    this.#limit = options.limit ?? defaultPolicy.limits.cachedGrants;
  }

  /** Grants held. */
  get size(): number {
    return this.#entries.size;
  }

  /** The exchanges under way; whoever shares this cache shares them. */
  readonly flights = new Flights<Outcome>();

  /** The number that stands for a credential: the same kind, user and secret give the same number. */
  principal(credential: Credential | null): Principal {
    if (credential === null) return anonymous;
    const key = credentialKey(credential);
    const known = this.#principals.get(key);
    if (known !== undefined) return known;
    this.#lastPrincipal += 1;
    bounded(this.#principals, key, this.#lastPrincipal, this.#limit);
    return this.#lastPrincipal;
  }

  /** Lets a credential that replaced another keep its number, so that grants survive the rotation. */
  rename(credential: Credential, principal: Principal): void {
    bounded(this.#principals, credentialKey(credential), principal, this.#limit);
  }

  /** A live grant for `need`, `superset` when it was obtained for more; or `null`. */
  find(need: Need, principal: Principal, at: number): { grant: Grant; reuse: 'cached' | 'superset' } | null {
    const key = grantKey(need, principal);
    const exact = this.#entries.get(key);
    if (exact !== undefined) {
      if (timeLeft(exact.grant, at) > 0) {
        this.#entries.delete(key);
        this.#entries.set(key, exact);
        return { grant: exact.grant, reuse: 'cached' };
      }
      this.#remove(exact);
    }
    const group = groupOf(need, principal);
    if (group === null || need.scopes.length === 0) return null;
    for (const entry of this.#groups.get(group) ?? []) {
      if (timeLeft(entry.grant, at) === 0) this.#remove(entry);
      else if (grantCovers(entry.grant, need.scopes)) return { grant: entry.grant, reuse: 'superset' };
    }
    return null;
  }

  /** Holds `grant` for `need`. */
  keep(need: Need, principal: Principal, grant: Grant): void {
    const key = grantKey(need, principal);
    const before = this.#entries.get(key);
    if (before !== undefined) this.#remove(before);
    const entry: Entry = { grant, key, group: groupOf(need, principal), refreshAfter: 0 };
    this.#entries.set(key, entry);
    this.#holders.set(grant, entry);
    if (entry.group !== null) {
      const group = this.#groups.get(entry.group) ?? new Set();
      group.add(entry);
      this.#groups.set(entry.group, group);
    }
    if (this.#entries.size <= this.#limit) return;
    for (const oldest of this.#entries.values()) {
      this.#remove(oldest);
      return;
    }
  }

  /** Whether `grant` may be used without being looked for: it is held here, or is a credential that is not kept here. */
  serves(grant: Grant): boolean {
    if (grant.from === 'credential') return true;
    const entry = this.#holders.get(grant);
    return entry !== undefined && this.#entries.get(entry.key) === entry;
  }

  /** Forgets this very grant, if it is still held. */
  drop(grant: Grant): void {
    const entry = this.#holders.get(grant);
    if (entry !== undefined) this.#remove(entry);
  }

  /** Forgets all grants for `registry`, or all there are. */
  forget(registry?: string): void {
    for (const entry of this.#entries.values()) {
      if (registry === undefined || entry.grant.registry === registry) this.#remove(entry);
    }
  }

  /** Whether an early refresh of `grant` may be tried at `at`; if so none is again for a quarter of what is left. */
  claimRefresh(grant: Grant, need: Need, principal: Principal, at: number): boolean {
    const entry = this.#entries.get(grantKey(need, principal));
    if (entry === undefined || entry.grant !== grant || at < entry.refreshAfter) return false;
    entry.refreshAfter = at + timeLeft(grant, at) / 4;
    return true;
  }

  #remove(entry: Entry): void {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
    if (entry.group === null) return;
    const group = this.#groups.get(entry.group);
    group?.delete(entry);
    if (group?.size === 0) this.#groups.delete(entry.group);
  }
}

/** Supersets are looked for within one repository only: some registries refuse a token of two (Q44). */
function groupOf(need: Need, principal: Principal): string | null {
  const repositories = repositoriesOf(need.scopes);
  if (repositories.length !== 1) return null;
  return JSON.stringify([need.registry, need.scheme, need.realm, need.service, principal, ...repositories]);
}
