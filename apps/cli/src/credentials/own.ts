/**
 * This command as a credential helper: its name, and the file it keeps credentials in.
 *
 * Rules of this file: a helper that this one runs is told so, and what it may run of us in turn answers that there is nothing: two
 * helpers that ask each other would not end.
 */

import { chmod } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { trustFile } from '@reg/node/network';
import { ownerOf } from '../registry/owner.ts';
import type { Surroundings } from '../surroundings.ts';

/** `docker-credential-reg` */
export const ownHelper = 'reg';

/** `$XDG_CONFIG_HOME/reg/credentials.json`, in the form of Docker's config.json; `null` for a user without a home. */
export function ownFile(env: Surroundings['env']): string | null {
  const beside = trustFile(ownerOf(env));
  return beside === null ? null : join(dirname(beside), 'credentials.json');
}

/** Takes from others whatever right they have to that file, as a copy or a backup may have given it: it is this command's alone. */
export async function closeFile(path: string): Promise<void> {
  try {
    await chmod(path, 0o600);
  } catch {
    // There is none yet, or it is not ours: whoever writes it finds out.
  }
}

const variable = 'REG_IS_ASKING';

/** The mark in the environment of what this command runs as a helper. */
export const unasked = {
  isIn: (env: Surroundings['env']): boolean => Boolean(env[variable]),
  in: (env: Surroundings['env']): Surroundings['env'] => ({ ...env, [variable]: '1' }),
};
