/**
 * Grants and challenges in files, for all processes of one user.
 *
 * Rules of this file: the folder is the truth, and nothing of it is kept in memory; whatever is wrong with a file makes it an
 * unknown one; times are the wall clock's on disk and the driver's everywhere else; there is always a bound.
 *
 * A folder holds `key`, 32 random bytes, and files named by digests under it. Each file's time of modification is the time it
 * ends, so that a sweep opens none. Whoever can read the folder has the tokens, and may try passwords against the names: it is
 * 0700, its files 0600.
 */

import { randomBytes } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { monotonicNow, type Now, type StoreEntry, type StoreKey, type TokenStore } from '@reg/core/driver';
import { withLock } from '../files/lock.ts';
import { type Holder, holderOf, type Kept, nameOf, seal, unseal } from './entry.ts';
import { PrivateFolder } from './folder.ts';

export interface FileTokenStoreOptions {
  /**
   * The folder, which is made where it is missing. Default: `reg` in `$XDG_CACHE_HOME`, or in `.cache` in the home directory;
   * on Windows `%LOCALAPPDATA%\reg\cache`.
   */
  readonly path?: string;
  /** Where those variables are looked for. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The home directory; one that is not absolute is none. Default: the user's. */
  readonly home?: string;
  /** The clock of the authorizer, if it was given one. */
  readonly now?: Now;
}

/** What is stored, without what is secret. */
export interface StoredToken {
  /** `grant`: a token. `challenge`: what a registry asked for. */
  readonly kind: 'grant' | 'challenge';
  /** Origin. */
  readonly registry: string;
  /** Scopes that were asked for, as text; `null` for a challenge. */
  readonly scopes: string | null;
  /** By what a token was obtained; `null` for a challenge. */
  readonly holder: Holder | null;
  /** Epoch milliseconds on the wall clock. */
  readonly expiresAt: number;
  /** Size of the file. */
  readonly bytes: number;
}

export interface FileTokenStore extends TokenStore {
  /** The folder; `null` for a user without a home directory, for whom nothing is stored. */
  readonly path: string | null;
  /** Runs `work` in one process at a time for `key`, or after eight seconds all the same. */
  once<T>(key: StoreKey, work: () => Promise<T>): Promise<T>;
  /** What would be found now. */
  list(): Promise<readonly StoredToken[]>;
  /**
   * Removes everything, the key of the names included; or what is for one registry, an origin, and what cannot be read. Of a folder
   * that others may write to everything in either case. Rejects where the folder is another user's, or none.
   */
  clear(registry?: string): Promise<void>;
}

/** Files at most. With a token server's usual 1 to 4 KiB a token this is below 4 MiB. */
const mostFiles = 1_000;

/** Bytes of all files at most. */
const mostBytes = 16_777_216;

/** Bytes of one file: a token of 16 KiB, as much as servers take in all of a request's fields, and its scopes. */
const longestFile = 32_768;

/** A process looks at the whole folder at its first write and at each of these: so far may each overshoot the bounds. */
const writesPerSweep = 64;

/** The longest life the driver gives a grant, and more than it gives a challenge. */
const longestLife = 86_400_000;

/** Wall clocks of machines that share a home directory differ. Less than the ten seconds in which a refusal is blamed on age. */
const skew = 5_000;

/** A killed process's lock is free after six seconds; what is left of the driver's thirty is enough for an exchange. */
const lockWait = 8_000;

/** What a killed process left behind is at least so old. A lock that is held is renewed every few seconds. */
const leftoverAge = 60_000;

const keyFile = 'key';
const keyLength = 32;
const entryName = /^[0-9a-f]{64}$/;
const temporaryName = /^(?:[0-9a-f]{64}|key)\.[0-9a-f]{16}\.tmp$/;
const lockName = /^(?:[0-9a-f]{64}|key)\.once\.lock$/;

/**
 * A store in a folder of the user's own, for all of the user's processes: a second process finds the first one's tokens, and
 * twenty that start at once ask for one. A folder that others may write to, a file that others may read, and whatever belongs
 * to another user or is a symbolic link are as good as not there; a warning of the process says so, once.
 *
 * `read` and `list` do not reject for what they find; `write`, `forget` and `clear` reject with the system's error, which the
 * driver takes for "not stored".
 */
export function fileTokenStore(options: FileTokenStoreOptions = {}): FileTokenStore {
  return new Store(options);
}

/** Where an entry is, and the secret its name was made with. */
interface Place {
  readonly folder: PrivateFolder;
  readonly name: string;
  readonly secret: Buffer;
}

class Store implements FileTokenStore {
  readonly path: string | null;
  readonly #folder: PrivateFolder | null;
  readonly #now: Now;
  #writes = 0;

  constructor({ path, now = monotonicNow, ...owner }: FileTokenStoreOptions) {
    this.path = path === undefined ? defaultPath(owner) : resolve(path);
    this.#folder = this.path === null ? null : new PrivateFolder(this.path);
    this.#now = now;
  }

  async read(key: StoreKey): Promise<StoreEntry | null> {
    const folder = this.#folder;
    if (folder === null || !(await folder.isTrusted())) return null;
    const secret = await readSecret(folder);
    if (secret === null) return null;
    const name = nameOf(key, secret);
    const content = await folder.read(name, longestFile);
    const kept = content === null ? null : unseal(name, content, secret);
    return kept === null ? null : this.#entryOf(kept);
  }

  async write(key: StoreKey, entry: StoreEntry): Promise<void> {
    const place = await this.#place(key);
    if (place === null) return;
    const { folder, name, secret } = place;
    const kept = this.#keptOf(key, entry);
    const content = seal(name, kept, secret);
    // What is too large to be kept still ends what it was to replace.
    if (content.length > longestFile) await folder.remove(name);
    else await folder.write(name, content, kept.expiresAt);
    if (this.#writes++ % writesPerSweep === 0) await sweep(folder);
  }

  async forget(key: StoreKey): Promise<void> {
    const folder = this.#folder;
    if (folder === null || !(await folder.isTrusted())) return;
    const secret = await readSecret(folder);
    if (secret !== null) await folder.remove(nameOf(key, secret));
  }

  async once<T>(key: StoreKey, work: () => Promise<T>): Promise<T> {
    let working: Promise<T> | null = null;
    const run = (): Promise<T> => {
      working ??= work();
      return working;
    };
    try {
      const place = await this.#place(key);
      if (place !== null) {
        await withLock(join(place.folder.path, `${place.name}.once`), run, { waitMs: lockWait });
      }
    } catch {
      // Without a lock it is work all the same, and what it rejects with is told below.
    }
    return run();
  }

  async list(): Promise<readonly StoredToken[]> {
    const folder = this.#folder;
    if (folder === null || !(await folder.isTrusted())) return [];
    const stored: StoredToken[] = [];
    for await (const { kept, bytes } of entriesIn(folder)) {
      if (!isAlive(kept, Date.now())) continue;
      const { kind, registry, expiresAt } = kept;
      const [scopes, holder] = kind === 'grant' ? [kept.asked, kept.holder] : [null, null];
      stored.push({ kind, registry, scopes, holder, expiresAt, bytes });
    }
    return stored;
  }

  async clear(registry?: string): Promise<void> {
    const folder = this.#folder;
    if (folder === null) return;
    const names = await folder.ownNames();
    if (!(await folder.isTrusted())) {
      // Of use to nobody, and perhaps known to others already: all of it goes.
      const removals = names.filter(isOurs).map((name) => folder.unlink(name));
      const failed = (await Promise.allSettled(removals)).find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') throw failed.reason;
      return;
    }
    const secret = registry === undefined ? null : await readSecret(folder);
    for (const name of names) {
      if (registry !== undefined) {
        if (!entryName.test(name)) continue;
        // What cannot be read may be for this registry, and is found by nobody.
        const entry = secret === null ? null : await entryIn(folder, name, secret);
        if (entry !== null && entry.kept.registry !== registry) continue;
        await folder.remove(name);
      } else if (isOurs(name)) await folder.remove(name);
    }
  }

  async #place(key: StoreKey): Promise<Place | null> {
    const folder = this.#folder;
    if (folder === null || !(await folder.make())) return null;
    const secret = await makeSecret(folder);
    return secret === null ? null : { folder, name: nameOf(key, secret), secret };
  }

  #keptOf(key: StoreKey, entry: StoreEntry): Kept {
    const ahead = Date.now() - this.#now();
    const registry = key.kind === 'challenge' ? key.origin : key.registry;
    const expiresAt = entry.expiresAt + ahead;
    if (entry.kind === 'challenge') {
      return { kind: entry.kind, registry, obtainedAt: Date.now(), expiresAt, hint: entry.hint };
    }
    const { kind, token, asked, granted } = entry;
    const obtainedAt = entry.obtainedAt + ahead;
    const holder = holderOf(key.kind === 'grant' ? key.credential : null);
    return { kind, registry, obtainedAt, expiresAt, token, asked, granted, holder };
  }

  #entryOf(kept: Kept): StoreEntry | null {
    const wall = Date.now();
    if (!isAlive(kept, wall)) return null;
    const ahead = wall - this.#now();
    // Within the skew of two clocks the future is now, and the life no longer than it was given.
    const late = Math.max(0, kept.obtainedAt - wall);
    const expiresAt = kept.expiresAt - late - ahead;
    if (kept.kind === 'challenge') return { kind: kept.kind, hint: kept.hint, expiresAt };
    const { kind, token, asked, granted } = kept;
    return { kind, token, asked, granted, obtainedAt: kept.obtainedAt - late - ahead, expiresAt };
  }
}

/** Locks end by themselves, and one that is held must not be taken from its holder. */
function isOurs(name: string): boolean {
  return name === keyFile || entryName.test(name) || temporaryName.test(name);
}

interface Entry {
  readonly kept: Kept;
  /** Size of the file. */
  readonly bytes: number;
}

/** What can be read of a folder, as it is listed. */
async function* entriesIn(folder: PrivateFolder): AsyncGenerator<Entry, void, void> {
  const secret = await readSecret(folder);
  if (secret === null) return;
  for (const name of await folder.names()) {
    const entry = entryName.test(name) ? await entryIn(folder, name, secret) : null;
    if (entry !== null) yield entry;
  }
}

/** What a file holds; `null` when it cannot be read. */
async function entryIn(folder: PrivateFolder, name: string, secret: Buffer): Promise<Entry | null> {
  const content = await folder.read(name, longestFile);
  const kept = content === null ? null : unseal(name, content, secret);
  return content === null || kept === null ? null : { kept, bytes: content.length };
}

/** Not ended, not from the future, and of a life that the driver gives. */
function isAlive({ obtainedAt, expiresAt }: Kept, wall: number): boolean {
  return obtainedAt <= wall + skew && wall < expiresAt && expiresAt - obtainedAt <= longestLife;
}

async function readSecret(folder: PrivateFolder): Promise<Buffer | null> {
  const secret = await folder.read(keyFile, keyLength);
  return secret?.length === keyLength ? secret : null;
}

/** The secret of the folder, made where there is none that can be trusted. */
async function makeSecret(folder: PrivateFolder): Promise<Buffer | null> {
  const known = await readSecret(folder);
  if (known !== null) return known;
  await folder.create(keyFile, randomBytes(keyLength));
  const made = await readSecret(folder);
  if (made !== null) return made;
  // One at a time: whoever comes second would remove what the first has made.
  return withLock(
    join(folder.path, `${keyFile}.once`),
    async () => {
      const repaired = await readSecret(folder);
      if (repaired !== null) return repaired;
      await folder.remove(keyFile);
      await folder.create(keyFile, randomBytes(keyLength));
      return readSecret(folder);
    },
    { waitMs: lockWait },
  );
}

/** Removes what has ended and what killed processes left, and of the rest the oldest while it is too much. */
async function sweep(folder: PrivateFolder): Promise<void> {
  const wall = Date.now();
  const rest: { readonly name: string; readonly size: number; readonly since: number }[] = [];
  for (const name of await folder.names()) {
    const isEntry = entryName.test(name);
    if (!isEntry && !temporaryName.test(name) && !lockName.test(name)) continue;
    const stats = await folder.look(name);
    if (stats === null) continue;
    const { mtimeMs, ctimeMs, size } = stats;
    const isOver = isEntry
      ? mtimeMs <= wall || mtimeMs > wall + longestLife + skew
      : Math.abs(wall - ctimeMs) > leftoverAge;
    if (isOver) await folder.remove(name);
    else if (isEntry) rest.push({ name, size, since: ctimeMs });
  }
  let [files, bytes] = [0, 0];
  for (const { name, size } of rest.sort((a, b) => b.since - a.since)) {
    files += 1;
    bytes += size;
    if (files > mostFiles || bytes > mostBytes) await folder.remove(name);
  }
}

/** Where caches are kept; a relative `XDG_CACHE_HOME` counts for nothing (XDG Base Directory Specification). */
function defaultPath({
  env = process.env,
  home,
}: Pick<FileTokenStoreOptions, 'env' | 'home'>): string | null {
  if (process.platform === 'win32') {
    const local = env['LOCALAPPDATA'];
    if (local) return join(local, 'reg', 'cache');
  }
  const caches = env['XDG_CACHE_HOME'];
  if (caches && isAbsolute(caches)) return join(caches, 'reg');
  const own = home ?? userHome();
  return isAbsolute(own) ? join(own, '.cache', 'reg') : null;
}

function userHome(): string {
  try {
    return homedir();
  } catch {
    // A user without a home directory, as clusters assign them.
    return '';
  }
}
