/**
 * Credentials in memory: one look-up at a time for each registry and repository, kept until it expires or is refused.
 *
 * Rules of this file: five minutes by default, since a helper may be slow and may serialise (Q73); never longer than the
 * keychain says (Q74); a refused credential is forgotten, and the keychain is told which one it was.
 */

import { type Credential, credentialKey } from '../credential.ts';
import { unlessAborted } from './clock.ts';
import { Flights } from './flights.ts';
import { bounded } from './memory.ts';
import type { AbortSignalLike, Found, Keychain, Now } from './port.ts';

const lifeMs = 300_000;
const limit = 10_000;

/** What the keychain knew, and whether it came from memory. */
export interface Known {
  readonly found: Found | null;
  readonly remembered: boolean;
}

/** An answer from memory, and the moment it ends, on the driver's clock. */
export interface Remembered extends Known {
  readonly until: number;
}

interface Entry {
  found: Found | null;
  readonly until: number;
}

export class CredentialMemory {
  readonly #keychain: Keychain;
  readonly #now: Now;
  readonly #entries = new Map<string, Entry>();
  /** What replaced an identity token, by registry and by the one it replaced: a keychain that cannot write goes on giving the old one. */
  readonly #successors = new Map<string, Credential>();
  readonly #lookups = new Flights<Found | null>();
  /** What a registry refused last and the keychain was not told of. */
  readonly #refused = new Map<string, Credential>();
  /** Counts what was found, replaced and forgotten. */
  changes = 0;

  constructor(keychain: Keychain, now: Now) {
    this.#keychain = keychain;
    this.#now = now;
  }

  /** The remembered answer for a registry and repository, or `null` when the keychain must be asked. */
  recall(origin: string, repository: string | null): Remembered | null {
    const key = keyOf(origin, repository);
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (this.#now() < entry.until) return { found: entry.found, remembered: true, until: entry.until };
    this.#entries.delete(key);
    return null;
  }

  /** Asks the keychain, with everyone else who asks for the same. Rejects as the keychain does; a failure is not kept. */
  async find(
    origin: string,
    repository: string | null,
    signal: AbortSignalLike,
    refused?: Credential,
  ): Promise<Known> {
    const known = refused === undefined ? this.recall(origin, repository) : null;
    if (known !== null) return known;
    const rejected = refused ?? this.#refused.get(origin);
    this.#refused.delete(origin);
    const key = keyOf(origin, repository);
    const seat = this.#lookups.board(rejected === undefined ? key : `${key} again`, async (ended) => {
      const about = rejected === undefined ? { signal: ended } : { signal: ended, rejected };
      const found = this.#newest(origin, await this.#keychain.find(origin, repository, about));
      const until = Math.min(found?.expiresAt ?? Number.POSITIVE_INFINITY, this.#now() + lifeMs);
      bounded(this.#entries, key, { found, until }, limit);
      this.changes += 1;
      return found;
    });
    try {
      return { found: await unlessAborted(seat.landing, signal), remembered: false };
    } finally {
      seat.leave();
    }
  }

  /** The registry refused what it was sent: all is looked up anew, and the keychain is told which one `was` it. */
  refuse(origin: string, was: (credential: Credential) => boolean): void {
    for (const [key, { found }] of this.#entries) {
      const credential = key.startsWith(`${origin} `) ? (found?.credential ?? null) : null;
      if (credential === null || !was(credential)) continue;
      bounded(this.#refused, origin, credential, limit);
    }
    this.forget(origin);
  }

  /** Forgets what `credential` was found under. */
  drop(credential: Credential): void {
    this.changes += 1;
    for (const [key, entry] of this.#entries) if (holds(entry, credential)) this.#entries.delete(key);
    // A replacement that does not work must not stand in the way of what the keychain has.
    for (const [key, successor] of this.#successors) {
      if (credentialKey(successor) === credentialKey(credential)) this.#successors.delete(key);
    }
  }

  /** Puts the credential that replaced another in its place, and tells the keychain. */
  async replace(origin: string, old: Credential, replacement: Credential): Promise<void> {
    this.changes += 1;
    bounded(this.#successors, `${origin} ${credentialKey(old)}`, replacement, limit);
    // A server may give an old token again: it is the newest now, and the way to it no circle.
    this.#successors.delete(`${origin} ${credentialKey(replacement)}`);
    for (const entry of this.#entries.values()) {
      if (entry.found !== null && holds(entry, old))
        entry.found = { ...entry.found, credential: replacement };
    }
    await this.#keychain.replaced?.(origin, old, replacement);
  }

  #newest(origin: string, found: Found | null): Found | null {
    if (found === null || found.credential === null) return found;
    let { credential } = found;
    for (;;) {
      const successor = this.#successors.get(`${origin} ${credentialKey(credential)}`);
      if (successor === undefined) return { ...found, credential };
      credential = successor;
    }
  }

  /** Look-ups under way. */
  get lookups(): number {
    return this.#lookups.size;
  }

  /** Ends every look-up. */
  ground(): void {
    this.#lookups.ground();
  }

  /** Forgets everything about one registry, or all. */
  forget(origin?: string): void {
    this.changes += 1;
    for (const map of [this.#entries, this.#successors]) {
      for (const key of map.keys()) {
        if (origin === undefined || key.startsWith(`${origin} `)) map.delete(key);
      }
    }
  }
}

/** By value: a keychain may give equal credentials for several repositories. */
function holds({ found }: Entry, credential: Credential): boolean {
  return found?.credential != null && credentialKey(found.credential) === credentialKey(credential);
}

function keyOf(origin: string, repository: string | null): string {
  return `${origin} ${repository ?? ''}`;
}
