/**
 * Tokens that outlive a page: kept in `sessionStorage`, for this tab and until it is closed.
 *
 * Rules of this file:
 * 1. A name is a keyed digest of all of a key, the credential included, so that equal names mean equal credentials. No
 *    credential is written, and no digest of one without the key. The key lies beside the names: every script of this origin
 *    can read the tokens, and may try passwords against the names, until they are cleared.
 * 2. What is read may be anybody's writing: each field is checked, and what is wrong in any is not there.
 * 3. The key is made by the first look-up, and says when; `clear` takes it away. What came for a request of before there was this
 *    key came after a logout: it is not written, whichever store or frame of this tab began it.
 * 4. Times are the wall clock's in the storage and the driver's everywhere else. What is not begun or is over is not there.
 */

import { monotonicNow, readHint, type StoreEntry, type StoreKey, type TokenStore } from '@reg/core/driver';

export interface SessionTokenStore extends TokenStore {
  /** Removes everything that any of these stores has written: what a logout does. */
  clear(): void;
}

/** Entries at most: with a token server's usual 1 to 4 KiB a token a tenth of what browsers allow an origin. */
const mostEntries = 100;

/** The longest life the driver gives a grant, and more than it gives a challenge. */
const longestLife = 86_400_000;

/** Another layout of names or entries takes another one. */
const prefix = 'reg-tokens-1:';

const secretName = `${prefix}key`;

/**
 * A store in the tab's `sessionStorage`: a reload finds the tokens of the page before it. Only for an origin all of whose scripts
 * may have them.
 *
 * `write` rejects when there is no room, which the driver takes for "not stored".
 *
 * @throws TypeError where there is no `sessionStorage`, as in workers, or no secure context, without which nothing is digested
 */
export function sessionTokenStore(): SessionTokenStore {
  const storage = sessionStorageOrNull();
  if (storage === null) throw new TypeError('[@reg/browser] there is no sessionStorage here');
  // The types promise it everywhere.
  const subtle: SubtleCrypto | undefined = crypto.subtle;
  if (subtle === undefined) {
    throw new TypeError('[@reg/browser] a token store needs a secure context: https, or a page on localhost');
  }
  return new Store(storage, subtle);
}

/** Where storage is forbidden, asking for it throws. */
function sessionStorageOrNull(): Storage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

class Store implements SessionTokenStore {
  readonly #storage: Storage;
  readonly #subtle: SubtleCrypto;

  constructor(storage: Storage, subtle: SubtleCrypto) {
    this.#storage = storage;
    this.#subtle = subtle;
  }

  async read(key: StoreKey): Promise<StoreEntry | null> {
    const secret = this.#secret() ?? this.#makeSecret();
    const kept = readKept(this.#storage.getItem(await this.#nameOf(key, secret)));
    if (kept === null || kept.entry.kind !== key.kind) return null;
    return onClock(kept, monotonicNow() - Date.now()).entry;
  }

  async write(key: StoreKey, entry: StoreEntry): Promise<void> {
    const secret = this.#secret();
    if (secret === null) return;
    const name = await this.#nameOf(key, secret);
    // Cleared meanwhile: who logged out wants nothing written.
    if (this.#storage.getItem(secretName) !== textOf(secret)) return;
    const begun = { obtainedAt: monotonicNow(), entry };
    const kept = onClock(begun, Date.now() - monotonicNow());
    if (kept.obtainedAt <= secret.madeAt - 1) return;
    const text = JSON.stringify(kept);
    // What cannot be kept still ends what it was to replace.
    this.#storage.removeItem(name);
    this.#makeRoom();
    this.#storage.setItem(name, text);
  }

  async forget(key: StoreKey): Promise<void> {
    const secret = this.#secret();
    if (secret !== null) this.#storage.removeItem(await this.#nameOf(key, secret));
  }

  clear(): void {
    for (const name of [secretName, ...this.#names()]) this.#storage.removeItem(name);
  }

  /** Removes what nobody finds any more, and the oldest while they are too many. */
  #makeRoom(): void {
    const alive: { readonly name: string; readonly obtainedAt: number }[] = [];
    for (const name of this.#names()) {
      const kept = readKept(this.#storage.getItem(name));
      if (kept === null) this.#storage.removeItem(name);
      else alive.push({ name, obtainedAt: kept.obtainedAt });
    }
    alive.sort((a, b) => a.obtainedAt - b.obtainedAt);
    for (const { name } of alive.slice(0, Math.max(0, alive.length + 1 - mostEntries))) {
      this.#storage.removeItem(name);
    }
  }

  #names(): readonly string[] {
    return Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index))
      .filter((name) => name !== null)
      .filter((name) => name.startsWith(prefix) && name !== secretName);
  }

  /** The key of the names, if there is one that can be used. */
  #secret(): NamesKey | null {
    const text = this.#storage.getItem(secretName);
    if (text === null || !/^[0-9a-f]{64}@[0-9]{1,15}$/.test(text)) return null;
    return { bytes: bytesOf(text.slice(0, 64)), madeAt: Number(text.slice(65)) };
  }

  #makeSecret(): NamesKey {
    const secret = { bytes: crypto.getRandomValues(new Uint8Array(32)), madeAt: Date.now() };
    this.#storage.setItem(secretName, textOf(secret));
    return secret;
  }

  async #nameOf(key: StoreKey, secret: NamesKey): Promise<string> {
    const hmac = { name: 'HMAC', hash: 'SHA-256' };
    const signer = await this.#subtle.importKey('raw', secret.bytes, hmac, false, ['sign']);
    const text = new TextEncoder().encode(JSON.stringify(partsOf(key)));
    return prefix + hexOf(new Uint8Array(await this.#subtle.sign(hmac, signer, text)));
  }
}

/** What the names are made with. */
interface NamesKey {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Epoch milliseconds, whole ones. */
  readonly madeAt: number;
}

function textOf({ bytes, madeAt }: NamesKey): string {
  return `${hexOf(bytes)}@${madeAt}`;
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: hex.length / 2 }, (_, index) =>
    Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16),
  );
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** All of a key, in an order that does not hang on how the object was made. */
function partsOf(key: StoreKey): readonly unknown[] {
  if (key.kind === 'challenge') return [key.kind, key.origin];
  const { kind, registry, realm, service, scopes, credential } = key;
  return [kind, registry, realm, service, scopes, credential && secretsOf(credential)];
}

function secretsOf(credential: NonNullable<Extract<StoreKey, { kind: 'grant' }>['credential']>): unknown {
  switch (credential.type) {
    case 'password':
      return [credential.type, credential.username, credential.password];
    case 'identity':
    case 'registry':
      return [credential.type, credential.token];
  }
}

/** An entry, and since when there is one like it: a challenge does not say itself. */
interface Kept {
  readonly obtainedAt: number;
  readonly entry: StoreEntry;
}

/** The same, on a clock that is `ahead` milliseconds ahead. */
function onClock({ obtainedAt, entry }: Kept, ahead: number): Kept {
  const expiresAt = entry.expiresAt + ahead;
  if (entry.kind === 'challenge')
    return { obtainedAt: obtainedAt + ahead, entry: { kind: entry.kind, hint: entry.hint, expiresAt } };
  const begun = entry.obtainedAt + ahead;
  return { obtainedAt: begun, entry: { ...entry, obtainedAt: begun, expiresAt } };
}

/** What `text` says, on the wall clock; `null` when it is no entry, is over, or was not yet. */
function readKept(text: string | null): Kept | null {
  const kept = parseObject(text);
  const entry = objectOrNull(kept === null ? null : member(kept, 'entry'));
  if (kept === null || entry === null) return null;
  const [obtainedAt, expiresAt] = [member(kept, 'obtainedAt'), member(entry, 'expiresAt')];
  if (typeof obtainedAt !== 'number' || typeof expiresAt !== 'number') return null;
  const wall = Date.now();
  // A part of a millisecond is what the two clocks differ by.
  if (!(obtainedAt < wall + 1 && wall < expiresAt && expiresAt - obtainedAt <= longestLife)) return null;
  if (member(entry, 'kind') === 'challenge') {
    const hint = readHint(member(entry, 'hint'));
    return hint === null ? null : { obtainedAt, entry: { kind: 'challenge', hint, expiresAt } };
  }
  const [token, asked, granted] = [member(entry, 'token'), member(entry, 'asked'), member(entry, 'granted')];
  if (member(entry, 'kind') !== 'grant' || typeof token !== 'string' || !isVisibleAscii(token)) return null;
  if (typeof asked !== 'string' || !isTextOrNull(granted)) return null;
  return { obtainedAt, entry: { kind: 'grant', token, asked, granted, obtainedAt, expiresAt } };
}

function parseObject(text: string | null): object | null {
  try {
    return objectOrNull(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}

function objectOrNull(value: unknown): object | null {
  return typeof value === 'object' ? value : null;
}

/** An own member: a polluted `Object.prototype` must not become a token. */
function member(body: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(body, name)?.value;
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** A token with a line break or a space in it would be a header of its writer's. */
function isVisibleAscii(text: string): boolean {
  return /^[!-~]+$/.test(text);
}
