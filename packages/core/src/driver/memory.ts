/**
 * How origins challenged: what lets the next request skip the 401.
 *
 * Rules of this file: an entry lives ten minutes and is never more than a hint; scopes are not kept (Q15); an origin that
 * showed two token servers is remembered per path prefix from then on; the least recently used origin goes first. Where nothing
 * is remembered, what the caller knows is the hint; once something misled, not before the origin has challenged again: then
 * the next request finds out what is true, and not every one begins with what is not.
 */

import type { Challenged, Hint, Lesson } from '../handshake.ts';
import type { KnownChallenges } from './known.ts';

const lifeMs = 600_000;
const prefixesPerOrigin = 100;

interface Entry {
  readonly hint: Hint;
  readonly until: number;
}

interface Origin {
  /** A Bearer realm at another host, whatever became of the challenge that named it: Basic is not answered after it (Q13). */
  elsewhere: string | null;
  whole: Entry | null;
  /** Once two realms were seen. */
  prefixes: Map<string, Entry> | null;
}

export class ChallengeMemory {
  readonly #origins = new Map<string, Origin>();
  readonly #limit: number;
  readonly #known: KnownChallenges;
  /** Origins where a hint misled, as far as something is known of them. */
  readonly #doubtful = new Set<string>();
  /** Counts what was learned and forgotten. */
  changes = 0;

  constructor(limit: number, known: KnownChallenges = new Map()) {
    this.#limit = limit;
    this.#known = known;
  }

  /** What is remembered for a request to `url` at `at`, or `null`. */
  recall(url: string, at: number): Hint | null {
    const { origin } = new URL(url);
    const entry = this.#entry(origin, url);
    if (entry != null && at < entry.until) return entry.hint;
    return this.#doubtful.has(origin) ? null : (this.#known.get(origin)?.hint ?? null);
  }

  /** The Bearer realm at another host that the origin of `url` ever offered, or `null`. */
  elsewhere(url: string): string | null {
    const { origin } = new URL(url);
    return this.#origins.get(origin)?.elsewhere ?? this.#known.get(origin)?.hint.elsewhere ?? null;
  }

  /** Takes in what a handshake learned at `at`. */
  learn(lesson: Lesson, at: number): void {
    switch (lesson.type) {
      case 'challenged':
        this.#doubtful.delete(new URL(lesson.url).origin);
        this.#keep(lesson.url, lesson.hint, at);
        return;
      case 'open':
        // A public repository says nothing about the others: a challenge once seen stays (Q55).
        if (this.recall(lesson.url, at) === null)
          this.#keep(lesson.url, { scheme: 'none', elsewhere: null }, at);
        return;
      case 'misled':
        this.#drop(lesson.url);
        return;
      case 'refused':
        return;
    }
  }

  /** Forgets how one origin challenged, or all; not that it named a realm elsewhere, which no 401 of its own may undo (Q13). */
  forget(origin?: string): void {
    this.changes += 1;
    const known = origin === undefined ? [...this.#origins.keys()] : [origin];
    if (origin === undefined) this.#doubtful.clear();
    else this.#doubtful.delete(origin);
    for (const one of known) {
      const { elsewhere = null } = this.#origins.get(one) ?? {};
      if (elsewhere === null) this.#origins.delete(one);
      else this.#origins.set(one, { elsewhere, whole: null, prefixes: null });
    }
  }

  /** The entry for `url`, its origin now the most recently used. */
  #entry(origin: string, url: string): Entry | null | undefined {
    const known = this.#origins.get(origin);
    if (known === undefined) return null;
    this.#origins.delete(origin);
    this.#origins.set(origin, known);
    return known.prefixes === null ? known.whole : known.prefixes.get(prefixOf(url));
  }

  #keep(url: string, hint: Hint, at: number): void {
    this.changes += 1;
    const { origin } = new URL(url);
    const known = this.#origins.get(origin) ?? { elsewhere: null, whole: null, prefixes: null };
    known.elsewhere ??= hint.elsewhere;
    const entry: Entry = { hint, until: at + lifeMs };
    const before = known.whole?.hint;
    if (known.prefixes === null && before !== undefined && differs(before, hint)) known.prefixes = new Map();
    if (known.prefixes === null) known.whole = entry;
    else bounded(known.prefixes, prefixOf(url), entry, prefixesPerOrigin);
    bounded(this.#origins, origin, known, this.#limit);
  }

  #drop(url: string): void {
    this.changes += 1;
    const { origin } = new URL(url);
    if (this.#known.has(origin)) this.#doubtful.add(origin);
    const known = this.#origins.get(origin);
    if (known === undefined) return;
    known.whole = null;
    known.prefixes?.delete(prefixOf(url));
  }
}

/** Two token servers, not two schemes: a registry may turn from open to Bearer for good. */
function differs(before: Hint, after: Hint): boolean {
  return (
    isBearer(before) && isBearer(after) && (before.realm !== after.realm || before.service !== after.service)
  );
}

function isBearer(hint: Hint): hint is Challenged {
  return hint.scheme === 'bearer';
}

/** The path as far as the first part of the repository's name. */
function prefixOf(url: string): string {
  const { pathname } = new URL(url);
  const api = pathname.indexOf('/v2/');
  const end = api < 0 ? -1 : pathname.indexOf('/', api + 4);
  return end < 0 ? pathname : pathname.slice(0, end);
}

/** Sets the most recently used entry of a map of at most `limit`. */
export function bounded<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= limit) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
