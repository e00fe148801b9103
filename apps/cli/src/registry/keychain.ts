/**
 * The credentials that the user has stored.
 *
 * Rules of this file: it is loaded late, and all that the command uses of `@reg/node/credentials` to find one: a bundle keeps
 * the whole of what it loads late.
 */

import { defaultKeychain, type ExplainingKeychain } from '@reg/node/credentials';
import type { Surroundings } from '../surroundings.ts';
import { filesFor } from './files.ts';
import type { FileOptions } from './options.ts';

/** What is stored where `--authfile` or `--config` say, else where Docker and Podman have it. Throws a `Complaint` for no such file. */
export function keychainAt(options: FileOptions, { env }: Pick<Surroundings, 'env'>): ExplainingKeychain {
  return defaultKeychain(filesFor(options, env));
}
