/**
 * Several keychains as one that can say how it came to its answer.
 *
 * Rules of this file: what is found is what the core's chain finds; once a part has answered, or failed, the parts that follow
 * are looked at for the trail alone, and one that cannot explain itself is not asked.
 */

import { chainKeychains as chained, type Keychain } from '@reg/core/driver';
import { CredentialsError } from './error.ts';
import { registryAt } from './registry.ts';
import { withoutSecret } from './source.ts';
import {
  type ExplainAbout,
  type ExplainedFound,
  type ExplainingKeychain,
  type Explanation,
  Trail,
  type TrailStep,
} from './trail.ts';

/**
 * The first of several keychains that knows the registry, `null` credentials included. One that fails ends the search.
 *
 * `explain` gives the trails of all of them, one after another. A keychain without one, such as `staticKeychain`, is a step.
 */
export function chainKeychains(...keychains: readonly Keychain[]): ExplainingKeychain {
  return {
    ...chained(...keychains),
    async explain(origin, repository, about = {}) {
      let found: ExplainedFound | null = null;
      let error: CredentialsError | null = null;
      let { winner } = about;
      const trail: TrailStep[] = [];
      for (const keychain of keychains) {
        const part = await explainPart(
          keychain,
          origin,
          repository,
          winner === undefined ? about : { ...about, winner },
        );
        trail.push(...part.trail);
        if (winner !== undefined) continue;
        ({ found, error } = part);
        winner = found?.source ?? (error === null ? undefined : `the fault of ${error.path}`);
      }
      return { found, error, trail };
    },
  };
}

async function explainPart(
  keychain: Keychain,
  origin: string,
  repository: string | null | undefined,
  about: ExplainAbout,
): Promise<Explanation> {
  if (isExplaining(keychain)) return keychain.explain(origin, repository, about);
  const { signal, winner } = about;
  const { host } = registryAt(origin);
  const trail = new Trail();
  const name = 'a keychain given in code';
  let found: ExplainedFound | null = null;
  let error: CredentialsError | null = null;
  if (winner !== undefined) {
    trail.note(name, 'shadowed', `${winner} comes first, so it was not asked`);
    return { found, error, trail: trail.steps };
  }
  if (signal?.aborted === true) throw signal.reason;
  try {
    const match = await keychain.find(origin, repository, signal === undefined ? {} : { signal });
    if (match === null) trail.note(name, 'no-entry', `knows nothing of ${host}`);
    else {
      found = withoutSecret(match);
      trail.note(match.source, 'matched', `is for ${host}`);
    }
  } catch (fault) {
    if (!(fault instanceof CredentialsError)) throw fault;
    error = fault;
    trail.note(name, 'failed', fault.message);
  }
  return { found, error, trail: trail.steps };
}

function isExplaining(keychain: Keychain): keychain is ExplainingKeychain {
  return 'explain' in keychain && typeof keychain.explain === 'function';
}
