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
  /** `mode`: what its owner, its group and others may do with it. 0 for a device, and on Windows, which says nothing true of it. */
  | { readonly kind: 'file'; readonly text: string; readonly mode: number };

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
  const mode = process.platform === 'win32' || !status.isFile() ? 0 : status.mode & 0o777;
  return { kind: 'file', text: decode(path, Buffer.concat(chunks)), mode };
}

/** What is replaced in a password makes another one, so that nothing is. A BOM is left out. */
function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CredentialsError(path, 'is not UTF-8 text');
  }
}
