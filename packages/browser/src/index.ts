export { createRegistryFetch } from './fetch.ts';
export type { RegistryFetchOptions } from './options.ts';
