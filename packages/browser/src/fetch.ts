/** `fetch` for registries, over the platform's own. */

import type { RegistryFetchOptions } from './options.ts';

/** A `fetch` that answers the challenges of registries. */
export function createRegistryFetch(options: RegistryFetchOptions = {}): typeof fetch {
  return options.fetch ?? globalThis.fetch;
}
