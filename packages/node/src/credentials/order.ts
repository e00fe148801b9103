/**
 * The places where credentials are looked for, in the order of whoever looks.
 *
 * Rules of this file: an explicit file is the only place; what comes first is asked first; a place that cannot be, since a
 * variable holds no path, fails where its turn is.
 */

import { authVariable } from './auth-variable.ts';
import { configFile, type FileFormat, type Flavor, type readConfig } from './config-file.ts';
import { CredentialsError } from './error.ts';
import type { HelperAsker } from './helpers.ts';
import {
  containersPaths,
  dockerPath,
  flatPath,
  namedPath,
  type SurroundingsOptions,
  surroundings,
} from './places.ts';
import type { Source } from './source.ts';

/**
 * Whose order it is.
 *
 * - `default`: this package's, which finds what any of the others does.
 * - `docker`: `DOCKER_AUTH_CONFIG` and Docker's own file.
 * - `podman`, Skopeo and Buildah: `REGISTRY_AUTH_FILE` alone, else their own files, then those of Docker by their own rules.
 */
export type Reader = 'default' | 'docker' | 'podman';

export type Place =
  | { readonly kind: 'file'; readonly path: string; readonly format: FileFormat }
  /** `DOCKER_AUTH_CONFIG`. */
  | { readonly kind: 'variable'; readonly value: string }
  | { readonly kind: 'fault'; readonly error: CredentialsError };

export interface OrderOptions extends SurroundingsOptions {
  /** The file to read, and no other. */
  readonly path?: string;
  /** Whose rules it follows. Default: `docker`. */
  readonly flavor?: Flavor;
}

export function placesFor(reader: Reader, options: OrderOptions): readonly Place[] {
  const { path, flavor = 'docker' } = options;
  if (path !== undefined) return [{ kind: 'file', path, format: flavor }];
  const around = surroundings(options);
  const named = reader === 'docker' ? [] : filePlace(() => namedPath(around), 'containers');
  if (named.length > 0) return named;
  const value = around.env['DOCKER_AUTH_CONFIG'];
  const variable: readonly Place[] = value ? [{ kind: 'variable', value }] : [];
  const docker = (format: Flavor) => filePlace(() => dockerPath(around), format);
  const containers = containersPaths(around).flatMap((auth) => filePlace(() => auth, 'containers'));
  const flat = filePlace(() => flatPath(around), 'flat');
  switch (reader) {
    case 'default':
      return [...variable, ...docker('docker'), ...containers, ...flat];
    case 'docker':
      return [...variable, ...docker('docker')];
    case 'podman':
      return [...containers, ...docker('containers'), ...flat];
  }
}

/** The file at the path that `find` gives, if it gives one; a fault where it throws `CredentialsError`. */
export function filePlace(find: () => string | null, format: FileFormat): readonly Place[] {
  try {
    const path = find();
    return path === null ? [] : [{ kind: 'file', path, format }];
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    return [{ kind: 'fault', error }];
  }
}

/** @param read in place of reading the file anew at each look-up */
export function sourceAt(place: Place, helpers: HelperAsker, read?: typeof readConfig): Source {
  switch (place.kind) {
    case 'file':
      return configFile(place.path, place.format, helpers, read);
    case 'variable':
      return authVariable(place.value);
    case 'fault':
      return { name: place.error.path, look: () => Promise.reject(place.error) };
  }
}
