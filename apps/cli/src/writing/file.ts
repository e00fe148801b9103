/**
 * A file that is there whole or not at all, however large.
 *
 * Rules of this file: what is under way has another name, beside the one it will have, and is gone when it comes to nothing. A
 * device or pipe is written to as it is: to put a file in its place would take it away.
 */

import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Complaint, usage } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';

/**
 * Writes `chunks` to `path`, which can be written before the first of them is asked for. Throws a `Complaint` when it cannot, or
 * what `chunks` throws, and leaves what was there.
 *
 * @param mode of a file that was not there, less what the umask takes
 */
export async function writeFileWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  mode = 0o666,
): Promise<void> {
  const target = await targetAt(path);
  const { file, name } = await opened(path, target, mode);
  try {
    try {
      for await (const chunk of chunks) await telling(path, () => writeAll(file, chunk));
      const { mode } = target;
      if (mode !== null) await telling(path, () => file.chmod(mode));
    } finally {
      await file.close();
    }
    if (name !== target.path) await telling(path, () => rename(name, target.path));
  } catch (error) {
    if (name !== target.path) await rm(name, { force: true });
    throw error;
  }
}

interface Target {
  /** Where a link leads, if it is one. */
  readonly path: string;
  readonly kind: 'file' | 'device';
  /** Of the file that is replaced, or `null`. */
  readonly mode: number | null;
}

async function targetAt(path: string): Promise<Target> {
  const real = await realpath(path).catch(() => null);
  if (real === null) return { path, kind: 'file', mode: null };
  const stats = await stat(real);
  if (stats.isDirectory()) throw usage(`--out: ${path} is a folder`);
  return stats.isFile()
    ? { path: real, kind: 'file', mode: stats.mode & 0o777 }
    : { path: real, kind: 'device', mode: null };
}

async function opened(
  path: string,
  target: Target,
  mode: number,
): Promise<{ file: FileHandle; name: string }> {
  const isNew = target.kind === 'file';
  const name = isNew ? join(dirname(target.path), `.reg-${randomBytes(12).toString('hex')}`) : target.path;
  try {
    return { file: await open(name, isNew ? 'wx' : 'w', mode), name };
  } catch (error) {
    throw usage(`--out: ${path} cannot be written (${codeOf(error)})`);
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

async function telling<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Complaint(exitCode.unexpected, `${path} cannot be written (${codeOf(error)})`, {
      hint: 'df -h',
    });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
