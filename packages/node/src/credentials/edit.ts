/**
 * Changing a config.
 *
 * Rules of this file: it is read under its lock and replaced whole, or left as it was; what is not changed stays, with its
 * place and its indentation; what cannot be understood, or not be written as it was read, is not touched; no message shows any
 * of its text.
 */

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Held, LockedError, LockLostError, withLock } from '../files/lock.ts';
import { removeLeftovers, replaceFile } from '../files/replace.ts';
import { UnsafeFileError } from '../files/target.ts';
import { parseConfig } from './config.ts';
import { CredentialsError } from './error.ts';
import { longestFile, readFileText } from './file.ts';

/** Enough for a hundred others whose helper takes half a second. */
const waitMs = 60_000;

/** Tries, when others who take no lock keep writing. */
const mostTries = 5;

/** What becomes of a config. */
export interface Change<T> {
  readonly config: object;
  /** What is to be done elsewhere, in a helper. It begins when the config is known to be fit to be written. */
  readonly work: () => Promise<T>;
}

/**
 * Replaces the config at `path` by what `change` makes of it, unless that is the same; makes it where there is none, in a
 * folder for its owner alone. Resolves to what its `work` resolves to. Another program that takes no lock, Docker among them,
 * may write meanwhile: then `change` is called again, with what is there by now, and its `work` as well.
 *
 * Rejects with `CredentialsError` for what cannot be understood or written, and with what `change` throws and its `work`
 * rejects with.
 */
export async function editConfig<T>(path: string, change: (config: object) => Change<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return await withLock(path, (held) => editOnce(path, held, change), { waitMs });
    } catch (error) {
      if (!(error instanceof LockLostError) || tries === mostTries) throw asCredentialsError(path, error);
    }
  }
}

async function editOnce<T>(path: string, held: Held, change: (config: object) => Change<T>): Promise<T> {
  await removeLeftovers(path);
  const version = await versionOf(path);
  const text = await readText(path);
  const config = parseConfig(path, text) ?? {};
  const { config: changed, work } = change(config);
  if (JSON.stringify(changed) === JSON.stringify(config)) return work();
  const fault = lossIn(text, config);
  if (fault !== null) throw new CredentialsError(path, `${fault}, and is left as it is`);
  const written = formatted(changed, text);
  if (Buffer.byteLength(written) > longestFile) {
    throw new CredentialsError(path, 'would become larger than 4 MiB, more than is read again');
  }
  const result = await work();
  const confirm = async () => {
    await held();
    if ((await versionOf(path)) !== version) throw new LockLostError(path);
  };
  try {
    await replaceFile(path, written, { confirm });
  } catch (error) {
    // What was about to be put in place was removed by who took the lock over, or by one who lost it to us and did not know
    // yet: that is no fault of the disk.
    await held();
    throw isGone(error) ? new LockLostError(path) : error;
  }
  return result;
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** The config at `path`, an empty one where there is none. Rejects with `CredentialsError` for what is none. */
export async function configAt(path: string): Promise<object> {
  return parseConfig(path, await readText(path)) ?? {};
}

async function readText(path: string): Promise<string> {
  const file = await readFileText(path);
  switch (file.kind) {
    case 'absent':
      return '';
    case 'folder':
      throw new CredentialsError(path, 'is a folder');
    case 'file':
      return file.text;
  }
}

/** Tells one content of a file from the next: who replaces it makes another file, who writes into it changes its time. */
async function versionOf(path: string): Promise<string | null> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true });
    return `${ino}:${size}:${mtimeNs}`;
  } catch {
    return null;
  }
}

/** What of `text` would be lost if `config`, as it was read from it, were written in its place; `null` for nothing. */
function lossIn(text: string, config: object): string | null {
  const before = tokensOf(text);
  if (before.numbers.some((number) => String(Number(number)) !== number)) {
    return 'has a number that would be written as another one, such as 1.0 or one of 20 digits';
  }
  if (before.members !== tokensOf(JSON.stringify(config)).members) {
    return 'has a member twice in one object, of which one would be lost';
  }
  return null;
}

/** The numbers in JSON as they stand, and how many members all its objects have. */
function tokensOf(json: string): { readonly numbers: readonly string[]; readonly members: number } {
  const numbers: string[] = [];
  let members = 0;
  let isInString = false;
  for (let at = 0; at < json.length; at++) {
    const char = json.charAt(at);
    if (char === '"') isInString = !isInString;
    else if (isInString && char === '\\') at++;
    else if (isInString) continue;
    else if (char === ':') members++;
    else if (char === '-' || (char >= '0' && char <= '9')) {
      const start = at;
      while (isOfNumber(json.charAt(at + 1))) at++;
      numbers.push(json.slice(start, at + 1));
    }
  }
  return { numbers, members };
}

function isOfNumber(char: string): boolean {
  return (char >= '0' && char <= '9') || ['-', '+', '.', 'e', 'E'].includes(char);
}

/** `config` indented as `text` is, with tabs where that does not say, as Docker does it. */
function formatted(config: object, text: string): string {
  const [, indent] = /^\s*\{\r?\n([\t ]+)"/.exec(text) ?? [];
  const isOneLine = text.trim() !== '{}' && text.trim() !== '' && !text.trim().includes('\n');
  return JSON.stringify(config, null, indent ?? (isOneLine ? '' : '\t')) + (text.endsWith('\n') ? '\n' : '');
}

/** What went wrong as this package says it, of the file at fault: the lock, where it is that. */
function asCredentialsError(path: string, error: unknown): unknown {
  if (error instanceof UnsafeFileError) return new CredentialsError(error.path, error.fault);
  if (error instanceof LockedError) {
    return new CredentialsError(error.lock, 'is held by another process; if none is running, remove it');
  }
  if (error instanceof LockLostError) return new CredentialsError(path, 'is written by others all the time');
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return new CredentialsError(path, `cannot be written (${String(error.code)})`);
  }
  return error;
}
