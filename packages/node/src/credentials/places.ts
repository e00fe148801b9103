/**
 * Where Docker and Podman keep their files.
 *
 * Rules of this file: an empty variable is none, and one that holds a config in the place of a path is an error, since a path is
 * shown; nothing is looked for relative to the working directory unless a variable of
 * Docker's says so (the XDG specification calls a relative path invalid); a user without a home directory has no files there.
 */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Flavor } from './config-file.ts';
import { CredentialsError } from './error.ts';

/** What the places depend on. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string | null;
  readonly platform: NodeJS.Platform;
  /** `null` where users have no number. */
  readonly uid: number | null;
}

export interface SurroundingsOptions {
  /** Where variables are looked for. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's. */
  readonly home?: string;
}

export function surroundings({ env = process.env, home = userHome() }: SurroundingsOptions): Surroundings {
  const { platform } = process;
  return { env, home: isAbsolute(home) ? home : null, platform, uid: process.getuid?.() ?? null };
}

function userHome(): string {
  try {
    return homedir();
  } catch {
    // A user without a home directory, as clusters assign them.
    return '';
  }
}

/** `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` (requirement 105). Throws `CredentialsError` for what is no path. */
export function dockerPath({ env, home }: Surroundings): string | null {
  const folder = pathIn(env, 'DOCKER_CONFIG');
  if (folder !== null) return join(folder, 'config.json');
  return home === null ? null : join(home, '.docker', 'config.json');
}

/** Where Podman reads, the place it writes to first (requirement 115). */
export function containersPaths({ env, home, platform, uid }: Surroundings): readonly string[] {
  const runtime = absolute(env['XDG_RUNTIME_DIR']);
  const config = absolute(env['XDG_CONFIG_HOME']) ?? (home === null ? null : join(home, '.config'));
  const paths: string[] = [];
  if (platform === 'linux') {
    if (runtime !== null) paths.push(join(runtime, 'containers', 'auth.json'));
    // Root, or a user without a login session.
    else if (uid !== null) paths.push(join('/run/containers', String(uid), 'auth.json'));
  }
  if (config !== null) paths.push(join(config, 'containers', 'auth.json'));
  return paths;
}

/** The file in `REGISTRY_AUTH_FILE`. Throws `CredentialsError` for what is no path. */
export function namedPath({ env }: Surroundings): string | null {
  return pathIn(env, 'REGISTRY_AUTH_FILE');
}

/** Where `docker login` or `podman login` writes. Throws `CredentialsError` for what is no path. */
export function defaultPath(flavor: Flavor, options: SurroundingsOptions): string | null {
  const around = surroundings(options);
  if (flavor === 'docker') return dockerPath(around);
  return namedPath(around) ?? containersPaths(around)[0] ?? null;
}

/** The same. Throws `CredentialsError` for a user without a home directory too. */
export function loginPath(flavor: Flavor, options: SurroundingsOptions): string {
  const path = defaultPath(flavor, options);
  if (path === null) {
    throw new CredentialsError('config.json', 'has no place without a home directory: give its path');
  }
  return path;
}

/** What Docker wrote before 1.7. */
export function flatPath({ home }: Surroundings): string | null {
  return home === null ? null : join(home, '.dockercfg');
}

/** `DOCKER_CONFIG` is easily taken for `DOCKER_AUTH_CONFIG`. */
function pathIn(env: Surroundings['env'], name: string): string | null {
  const path = env[name];
  if (path?.trimStart().startsWith('{')) {
    throw new CredentialsError(name, 'holds a config in the place of a path');
  }
  return path || null;
}

function absolute(folder: string | undefined): string | null {
  return folder !== undefined && isAbsolute(folder) ? folder : null;
}
