/**
 * The files that options name.
 *
 * Rules of this file: one that is not there is a slip of the pen, and a complaint.
 */

import { accessSync, constants, statSync } from 'node:fs';
import { usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import type { FileOptions } from './options.ts';
import { type Owner, ownerOf } from './owner.ts';

/** Where to look for stored credentials, as `defaultKeychain` of `@reg/node/credentials` and its like take it. */
export interface Files extends Owner {
  readonly path?: string;
  readonly flavor?: 'docker' | 'containers';
}

/**
 * `--authfile` in place of everything else; `--config` before what the environment names. A file or folder that is not there is
 * a complaint: it is a slip of the pen, and nobody would be asked for a password for it.
 */
export function filesFor({ authfile, config }: FileOptions, env: Surroundings['env']): Files {
  if (authfile !== undefined) {
    checkReadable('--authfile', authfile, 'file');
    return { path: authfile, flavor: 'containers', ...ownerOf(env) };
  }
  if (config === undefined) return ownerOf(env);
  checkReadable('--config', config, 'folder');
  const { REGISTRY_AUTH_FILE: _, DOCKER_AUTH_CONFIG: __, ...rest } = env;
  return ownerOf({ ...rest, DOCKER_CONFIG: config });
}

function checkReadable(option: string, path: string, kind: 'file' | 'folder'): void {
  if (path === '') throw usage(`${option} names no ${kind}`);
  let isRight: boolean;
  try {
    const status = statSync(path);
    isRight = kind === 'file' ? status.isFile() : status.isDirectory();
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw usage(`${option}: ${faultOf(path, error)}`);
  }
  if (!isRight) throw usage(`${option}: ${path} is no ${kind}`);
}

/** Why a file cannot be read. The system's message without the name of its call. */
export function faultOf(path: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  return code === 'ENOENT' ? `${path} does not exist` : `${path} cannot be read (${code})`;
}
