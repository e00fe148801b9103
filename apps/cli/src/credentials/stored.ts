/**
 * All that is stored: where Docker, Podman and this command look, and what this command keeps as a credential helper.
 *
 * Rules of this file: a file or folder that is named is looked into alone; what the helper keeps is for whoever asks the helper,
 * and no config need name it to be found there.
 */

import { filesFor } from '../registry/files.ts';
import type { FileOptions } from '../registry/options.ts';
import type { Surroundings } from '../surroundings.ts';
import { listCredentials } from './keep.ts';
import { ownFile, ownHelper } from './own.ts';

type Listed = Awaited<ReturnType<typeof listCredentials>>;

/** Who would use a credential: programs by themselves, or whoever asks `docker-credential-reg`. */
export type User = Listed['credentials'][number]['usedBy'][number] | typeof ownProgram;

export type StoredEntry = Omit<Listed['credentials'][number], 'usedBy'> & {
  readonly usedBy: readonly User[];
};

export interface Stored {
  readonly credentials: readonly StoredEntry[];
  readonly problems: Listed['problems'];
}

export const ownProgram = `docker-credential-${ownHelper}`;

/** As `listCredentials`, registry by registry. */
export async function storedCredentials(
  options: FileOptions,
  { env, signal }: Pick<Surroundings, 'env' | 'signal'>,
): Promise<Stored> {
  const { credentials, problems } = await listCredentials({ ...filesFor(options, env), signal });
  const path = ownFileFor(options, env);
  if (path === null) return { credentials, problems };
  const own = await listCredentials({ path, env, signal });
  const kept = own.credentials.map((entry): StoredEntry => {
    const isFound = entry.usedBy.length > 0;
    return { ...entry, usedBy: isFound ? [ownProgram] : [] };
  });
  return {
    credentials: [...credentials, ...kept].toSorted((a, b) =>
      a.registry === b.registry ? 0 : a.registry < b.registry ? -1 : 1,
    ),
    problems: [...problems, ...own.problems],
  };
}

/** The file that the helper keeps, as far as it is one of those that `options` are about. */
export function ownFileFor({ config, authfile }: FileOptions, env: Surroundings['env']): string | null {
  return config === undefined && authfile === undefined ? ownFile(env) : null;
}
