/**
 * Small files that an administrator or the user wrote: where the user's are, and their bytes.
 *
 * Rules of this file: what is not there is `null`, what is there and cannot be read is said in words that name no content; at
 * most 4 MiB; a pipe is not waited for.
 */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Environment } from './proxy.ts';

/** Whose files. */
export interface Owner {
  /** Where `XDG_CONFIG_HOME` is looked for. Default: the process's. */
  readonly env?: Environment;
  /** Default: the user's. */
  readonly home?: string;
}

/** `$XDG_CONFIG_HOME` or `~/.config`; `null` for a user without a home, as clusters assign them. */
export function configFolder({ env = process.env, home }: Owner): string | null {
  const folder = env['XDG_CONFIG_HOME'];
  // A relative one counts for nothing (XDG Base Directory Specification).
  if (folder && isAbsolute(folder)) return folder;
  const own = homeFolder(home);
  return own === null ? null : join(own, '.config');
}

export function homeFolder(home?: string): string | null {
  try {
    return home ?? homedir();
  } catch {
    return null;
  }
}

/** 4 MiB: every authority that browsers trust, as PEM, is a quarter of one. */
const longestFile = 4_194_304;

export type ConfigFile =
  | { readonly bytes: Buffer; readonly mode: number; readonly fault: null }
  /** Completes "the file …". */
  | { readonly bytes: null; readonly fault: string };

/** The file at `path`, or why it cannot be read, or `null` when there is none. */
export async function readConfigFile(path: string): Promise<ConfigFile | null> {
  try {
    // Without O_NONBLOCK a pipe would be waited for. Windows has no such flag.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const status = await file.stat();
      if (!status.isFile()) return { bytes: null, fault: 'is no file' };
      if (status.size > longestFile) return { bytes: null, fault: 'is larger than 4 MiB' };
      return { bytes: await file.readFile(), mode: status.mode, fault: null };
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    return { bytes: null, fault: code === 'EISDIR' ? 'is no file' : `cannot be read (${code})` };
  }
}

/** The system's code of an error of a file. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
}
