export {
  describe,
  type Failure,
  failureOf,
  isRegistryAuthError,
  type PartialPolicy,
  type RegistryAuthError,
} from '@reg/core';
export {
  type Authorized,
  anonymousKeychain,
  type CacheMessage,
  type ExchangeMessage,
  type HandshakeMessage,
  type Keychain,
  staticKeychain,
  TokenCache,
  type WatchedExchange,
  type WatchedOperation,
} from '@reg/core/driver';
export type { ExchangedStep, SentStep, TranscriptStep } from '@reg/core/transcript';
export { type RegistryAgentOptions, registryAgent } from './agent.ts';
export { type AuthorizeRequest, createRegistryAuthorizer, type RegistryAuthorizer } from './authorize.ts';
export {
  CredentialsError,
  chainKeychains,
  type DefaultKeychainOptions,
  type DockerKeychainOptions,
  defaultKeychain,
  dockerKeychain,
  type EnvironmentKeychainOptions,
  type ExplainAbout,
  type ExplainedFound,
  type ExplainingKeychain,
  type Explanation,
  environmentKeychain,
  eraseCredential,
  type Flavor,
  type PullSecretKeychainOptions,
  pullSecretKeychain,
  type SaveCredentialOptions,
  type Saved,
  type SaveOptions,
  saveCredential,
  type TrailOutcome,
  type TrailStep,
} from './credentials/index.ts';
export { createRegistryFetch, type RegistryFetchOptions } from './fetch.ts';
export { type RegistryAuthOptions, registryAuth } from './interceptor.ts';
export { loadTrust, TrustError } from './network/index.ts';
export type { RegistryOptions } from './options.ts';
export { type FileTokenStore, type FileTokenStoreOptions, fileTokenStore } from './stores/index.ts';
