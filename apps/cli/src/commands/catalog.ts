/**
 * `reg catalog`: the repositories of a registry.
 *
 * Rules of this file: that a registry has no catalog is told from one that failed (Q62).
 */

import { limitIn } from '../reading/names.ts';
import { againFor, registryTarget } from '../registry/argument.ts';
import type { NetworkOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';
import type { Surroundings } from '../surroundings.ts';
import { type PrintOptions, printNames } from '../writing/names.ts';

export interface CatalogOptions extends NetworkOptions, PrintOptions {}

/** `reg catalog` */
export async function catalog(
  registry: string,
  options: CatalogOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  const target = registryTarget(registry, options);
  const limit = limitIn(options);
  const again = againFor('catalog', target, options);
  await withClient({ target, options, again, bodies: false }, surroundings, async (client) => {
    const list = {
      member: 'repositories',
      url: new URL('_catalog', target.url),
      again,
      limit,
      keep: null,
      document: (names: readonly string[]) => ({ registry: target.registry, repositories: names }),
      line: (repository: string) => ({ repository }),
    } as const;
    try {
      await printNames(client, list, options, surroundings);
    } catch (error) {
      throw explained(error);
    }
  });
}

/** What may be no fault at all: there is no catalog, or not for this user, or not for anybody. */
function explained(error: unknown): unknown {
  const { notFound, unauthenticated, denied } = exitCode;
  const refused: readonly unknown[] = [notFound, unauthenticated, denied];
  if (!(error instanceof Complaint && refused.includes(error.exitCode))) return error;
  const sentence = error.message.endsWith('.') ? error.message : `${error.message}.`;
  return new Complaint(
    error.exitCode,
    `${sentence} Most public registries have no catalog, or none that users may read.`,
    error.details,
  );
}
