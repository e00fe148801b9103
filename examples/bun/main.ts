/** Prints the tags of a repository: `main.ts https://registry.example team/app`, with `REGISTRY_USER` and `REGISTRY_PASSWORD` if it has to. */

import { createRegistryFetch, staticKeychain } from '@reg/browser';

const [registry = 'https://registry-1.docker.io', repository = 'library/busybox'] = Bun.argv.slice(2);
const username = Bun.env['REGISTRY_USER'];
const password = Bun.env['REGISTRY_PASSWORD'];
const user =
  username && password ? { [new URL(registry).host]: { type: 'password', username, password } as const } : {};
const registryFetch = createRegistryFetch({ keychain: staticKeychain(user) });
const response = await registryFetch(`${registry}/v2/${repository}/tags/list`);
console.log(response.status, await response.json());
