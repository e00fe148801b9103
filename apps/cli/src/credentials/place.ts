/**
 * Where a login is written, and how places are shown.
 *
 * Rules of this file: what is written is what is found next, so a file that is looked into alone is the one that is written. A
 * path is shown with `~` for the home directory, and made visible: a folder may have any name.
 */

import { toVisible } from '@reg/core';
import type { FileOptions } from '../registry/options.ts';
import { type Owner, ownerOf } from '../registry/owner.ts';
import { usage } from '../report/complaint.ts';
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
