/** Answers `/team/app` with the tags of that repository, in the registry that the bindings of `config.capnp` name. */

import { createRegistryFetch, staticKeychain } from '@reg/browser';

interface Env {
  readonly REGISTRY: string;
  // A variable that is not set is null.
  readonly REGISTRY_USER: string | null;
  readonly REGISTRY_PASSWORD: string | null;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { REGISTRY, REGISTRY_USER: username, REGISTRY_PASSWORD: password } = env;
    const user =
      username && password
        ? { [new URL(REGISTRY).host]: { type: 'password', username, password } as const }
        : {};
    const registryFetch = createRegistryFetch({ keychain: staticKeychain(user) });
    return registryFetch(`${REGISTRY}/v2${new URL(request.url).pathname}/tags/list`);
  },
};
