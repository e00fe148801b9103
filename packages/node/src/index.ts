export { anonymousKeychain, chainKeychains, staticKeychain } from '@reg/core/driver';
export type { DockerKeychainOptions } from './credentials/index.ts';
export { CredentialsError, dockerKeychain } from './credentials/index.ts';
export type { RegistryFetchOptions } from './fetch.ts';
export { createRegistryFetch } from './fetch.ts';
export type { RegistryAuthOptions } from './interceptor.ts';
export { ComposedBelowDnsError, registryAuth } from './interceptor.ts';
export type { RegistryOptions } from './options.ts';
