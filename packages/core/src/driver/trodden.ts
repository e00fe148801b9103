/**
 * Requests that went well, so that the next one like it costs no work before it is sent.
 *
 * Rules of this file: it saves work and decides nothing. A path is the way the machine took, from a hint through one grant to a
 * success; while nothing that it was made of has changed the machine would take it again, so the request is sent first and the
 * machine is run only if the answer is no success. A path lasts ten seconds: then the long way is gone once, which keeps what it
 * uses from being the least recently used, and sees what has expired.
 */

import { type Grant, isDue, type Need } from '../grant.ts';
import type { Hint } from '../handshake.ts';
import type { TokenCache } from './cache.ts';
import type { CredentialMemory, Remembered } from './credentials.ts';
import { bounded, type ChallengeMemory } from './memory.ts';

const lifeMs = 10_000;
const limit = 1_000;

/** From a hint to what is sent. */
export interface Path {
  readonly hint: Hint;
  readonly elsewhere: string | null;
  /** `null` on an origin that asks for nothing. */
  readonly held: Held | null;
}

interface Held {
  readonly need: Need;
  readonly grant: Grant;
  readonly reuse: 'cached' | 'superset';
  readonly known: Remembered;
}

/** How much the memories of challenges and credentials had learned and forgotten. */
export interface Seen {
  readonly challenges: number;
  readonly credentials: number;
}

interface Entry {
  readonly path: Path;
  readonly seen: Seen;
  readonly until: number;
}

export class TroddenPaths {
  readonly #entries = new Map<string, Entry>();
  readonly #challenges: ChallengeMemory;
  readonly #credentials: CredentialMemory;
  readonly #cache: TokenCache;

  constructor(challenges: ChallengeMemory, credentials: CredentialMemory, cache: TokenCache) {
    this.#challenges = challenges;
    this.#credentials = credentials;
    this.#cache = cache;
  }

  /** The path a request would take at `at`, or `null` when the machine must find out. */
  recall(method: string, url: string, at: number): Path | null {
    const key = `${method} ${url}`;
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    if (at < entry.until && this.#stands(entry, at)) return entry.path;
    this.#entries.delete(key);
    return null;
  }

  /** What the memories have seen so far. */
  seen(): Seen {
    return { challenges: this.#challenges.changes, credentials: this.#credentials.changes };
  }

  /** A request that began when the memories had `seen` so much took `path` to a success at `at`. */
  keep(method: string, url: string, path: Path, seen: Seen, at: number): void {
    // Another login may have taken the place of the one it went with.
    if (!this.#isStill(seen)) return;
    const until = Math.min(path.held?.known.until ?? Number.POSITIVE_INFINITY, at + lifeMs);
    bounded(this.#entries, `${method} ${url}`, { path, seen, until }, limit);
  }

  #isStill({ challenges, credentials }: Seen): boolean {
    return challenges === this.#challenges.changes && credentials === this.#credentials.changes;
  }

  #stands({ path, seen }: Entry, at: number): boolean {
    if (!this.#isStill(seen)) return false;
    const grant = path.held?.grant;
    return grant === undefined || (this.#cache.serves(grant) && !isDue(grant, at));
  }
}
