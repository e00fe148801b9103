/**
 * A file with credentials in it, as text.
 *
 * Rules of this file: never more than 4 MiB; no file, and a folder in its place, are no error; everything else that cannot be
 * read is one, and shows nothing of the text; what can be read once only, and a pipe that nobody writes to, are not waited for.
 */

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CredentialsError } from './error.ts';

export type FileText =
  | { readonly kind: 'absent' }
  /** A mounted secret, or what Docker makes of a bind mount of nothing. */
  | { readonly kind: 'folder' }
  /** `exposed`: the mode, where others than its owner may read it; `null` where not. */
  | { readonly kind: 'file'; readonly text: string; readonly exposed: string | null };

/** 4 MiB: a config with ten thousand entries is below 2. */
export const longestFile = 4_194_304;

const absent: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** Rejects with `CredentialsError` for what is there and cannot be read: its type, its size, its bytes, the system's code. */
export async function readFileText(path: string): Promise<FileText> {
  try {
    // Without O_NONBLOCK a pipe would be waited for, in a thread of the pool that all files share. Windows has no such flag.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return await readAll(path, file);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof CredentialsError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    if (absent.includes(code)) return { kind: 'absent' };
    if (code === 'EISDIR') return { kind: 'folder' };
    throw new CredentialsError(path, `cannot be read (${code})`);
  }
}

async function readAll(path: string, file: FileHandle): Promise<FileText> {
  const status = await file.stat();
  if (status.isFIFO() || status.isSocket()) throw new CredentialsError(path, 'is a pipe, not a file');
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(65_536));
    if (bytesRead === 0) break;
    length += bytesRead;
    if (length > longestFile) throw new CredentialsError(path, 'is larger than 4 MiB');
    chunks.push(buffer.subarray(0, bytesRead));
  }
  return { kind: 'file', text: decode(path, Buffer.concat(chunks)), exposed: exposedMode(status.mode) };
}

/** What is replaced in a password makes another one, so that nothing is. A BOM is left out. */
function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CredentialsError(path, 'is not UTF-8 text');
  }
}

/** The mode where group or others may read, in octal. Windows says nothing true about them. */
function exposedMode(mode: number): string | null {
  const bits = mode & 0o777;
  return process.platform !== 'win32' && (bits & 0o044) !== 0
    ? `0${bits.toString(8).padStart(3, '0')}`
    : null;
}
