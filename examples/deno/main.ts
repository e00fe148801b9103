/** Prints the tags of a repository: `main.ts https://registry.example team/app`, with `REGISTRY_USER` and `REGISTRY_PASSWORD` if it has to. */

import { createRegistryFetch, staticKeychain } from '@reg/browser';

const [registry = 'https://registry-1.docker.io', repository = 'library/busybox'] = Deno.args;
const username = Deno.env.get('REGISTRY_USER');
const password = Deno.env.get('REGISTRY_PASSWORD');
const user =
  username && password ? { [new URL(registry).host]: { type: 'password', username, password } as const } : {};
const registryFetch = createRegistryFetch({ keychain: staticKeychain(user) });
const response = await registryFetch(`${registry}/v2/${repository}/tags/list`);
console.log(response.status, await response.json());
