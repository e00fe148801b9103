export { createRegistryFetch } from './fetch.ts';
export type { RegistryFetchOptions } from './options.ts';
export { type SessionTokenStore, sessionTokenStore } from './session.ts';
