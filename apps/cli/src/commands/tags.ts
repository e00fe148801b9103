/**
 * `reg tags`: the tags of a repository.
 *
 * Rules of this file: it says what the list is; reading it is in `reading/`, printing it in `writing/`.
 */

import { formatReference } from '@reg/core';
import { limitIn } from '../reading/names.ts';
import { filterFor, type PatternOptions } from '../reading/pattern.ts';
import { againFor, tagsTarget } from '../registry/argument.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import type { Surroundings } from '../surroundings.ts';
import { type PrintOptions, printNames } from '../writing/names.ts';

export interface TagsOptions extends NetworkOptions, PrintOptions, PatternOptions {}

/** `reg tags` */
export async function tags(
  repository: string,
  options: TagsOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = tagsTarget(repository, options);
  const limit = limitIn(options);
  const keep = filterFor(options);
  const again = againFor('tags', target, options);
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    const list = {
      member: 'tags',
      url: target.url,
      again,
      limit,
      keep,
      document: (names: readonly string[]) => ({
        repository: formatReference(target.reference),
        tags: names,
      }),
      line: (tag: string) => ({ tag }),
    } as const;
    await printNames(client, list, options, surroundings);
  });
}
