/**
 * Whose files are read and written.
 *
 * Rules of this file: the home directory is what the environment says.
 */

import type { Surroundings } from '../surroundings.ts';

/** Whose files, as `@reg/node` takes it. Without a home in the environment the system is asked for it. */
export interface Owner {
  readonly env: Surroundings['env'];
  readonly home?: string;
}

export function ownerOf(env: Surroundings['env']): Owner {
  const home = env['HOME'] || env['USERPROFILE'];
  return home ? { env, home } : { env };
}
