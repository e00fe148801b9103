/** Answers `/team/app` with the tags of that repository, in the registry that the bindings of `config.capnp` name. */

import { createRegistryFetch, staticKeychain } from '@reg/browser';

interface Env {
  readonly REGISTRY: string;
  readonly REGISTRY_USER: string;
  readonly REGISTRY_PASSWORD: string;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { REGISTRY, REGISTRY_USER: username, REGISTRY_PASSWORD: password } = env;
    const keychain = staticKeychain({ [new URL(REGISTRY).host]: { type: 'password', username, password } });
    const registryFetch = createRegistryFetch({ keychain });
    return registryFetch(`${REGISTRY}/v2${new URL(request.url).pathname}/tags/list`);
  },
};
