/**
 * Where a login is written, and how places are shown.
 *
 * Rules of this file: what is written is what is found next, so a file that is looked into alone is the one that is written. A
 * path is shown with `~` for the home directory, and made visible: a folder may have any name.
 */

import { stat } from 'node:fs/promises';
import { platform } from 'node:os';
import { toVisible } from '@reg/core';
import type { FileOptions } from '../registry/options.ts';
import { type Owner, ownerOf } from '../registry/owner.ts';
import { usage } from '../report/complaint.ts';
import { quote } from '../report/shell.ts';
import type { Surroundings } from '../surroundings.ts';

/** The file that login and logout are about, as `saveCredential` of `@reg/node/credentials` takes it. */
export type Place = Owner & { readonly flavor: 'docker' | 'containers'; readonly path?: string };

/** What `--authfile`, `--config` and the environment say; the file need not be there yet. */
export function placeFor({ authfile, config }: FileOptions, env: Surroundings['env']): Place {
  if (authfile === '' || authfile?.includes('\0')) throw usage('--authfile names no file');
  if (config === '' || config?.includes('\0')) throw usage('--config names no folder');
  const named = config === undefined ? (authfile ?? (env['REGISTRY_AUTH_FILE'] || undefined)) : undefined;
  if (named !== undefined) return { ...ownerOf(env), flavor: 'containers', path: named };
  const around = config === undefined ? env : { ...env, DOCKER_CONFIG: config };
  return { ...ownerOf(around), flavor: 'docker' };
}

/** A path, or the name of a variable, for people. */
export function shownPlace(place: string, env: Surroundings['env']): string {
  const { home } = ownerOf(env);
  if (place === 'DOCKER_AUTH_CONFIG') return `$${place}`;
  const short = home && place.startsWith(`${home}/`) ? `~${place.slice(home.length)}` : place;
  return toVisible(short);
}

/** What to say of a file with a secret in it that others may read, as its mode has it, which is the user's; `null` for no such file. */
export async function exposureOf(path: string, env: Surroundings['env']): Promise<string | null> {
  // Windows says nothing true of it.
  if (platform() === 'win32') return null;
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o044) === 0) return null;
  const shown = `(mode ${mode.toString(8).padStart(4, '0')})`;
  return `others than its owner may read ${shownPlace(path, env)} ${shown}: chmod 600 ${quote(toVisible(path))}`;
}
