/**
 * How origins challenged: what lets the next request skip the 401.
 *
 * Rules of this file: an entry lives ten minutes and is never more than a hint; scopes are not kept (Q15); an origin that
 * showed two token servers is remembered per path prefix from then on; the least recently used origin goes first.
 */

import type { Challenged, Hint, Lesson } from '../handshake.ts';

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
  /** Counts what was learned and forgotten. */
  changes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** What is remembered for a request to `url` at `at`, or `null`. */
  recall(url: string, at: number): Hint | null {
    const { origin } = new URL(url);
    const known = this.#origins.get(origin);
    if (known === undefined) return null;
    this.#origins.delete(origin);
    this.#origins.set(origin, known);
    const entry = known.prefixes === null ? known.whole : known.prefixes.get(prefixOf(url));
    return entry != null && at < entry.until ? entry.hint : null;
  }

  /** The Bearer realm at another host that the origin of `url` ever offered, or `null`. */
  elsewhere(url: string): string | null {
    return this.#origins.get(new URL(url).origin)?.elsewhere ?? null;
  }

  /** Takes in what a handshake learned at `at`. */
  learn(lesson: Lesson, at: number): void {
    switch (lesson.type) {
      case 'challenged':
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
    for (const one of known) {
      const { elsewhere = null } = this.#origins.get(one) ?? {};
      if (elsewhere === null) this.#origins.delete(one);
      else this.#origins.set(one, { elsewhere, whole: null, prefixes: null });
    }
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
    const known = this.#origins.get(new URL(url).origin);
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
