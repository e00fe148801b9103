export {
  type Credential,
  defaultPolicy,
  describe,
  type Failure,
  failureOf,
  isRegistryAuthError,
  type PartialPolicy,
  type Policy,
  RegistryAuthError,
} from '@reg/core';
export {
  anonymousKeychain,
  chainKeychains,
  type Found,
  type Keychain,
  staticKeychain,
  TokenCache,
  type TokenStore,
} from '@reg/core/driver';
export type { TranscriptStep } from '@reg/core/transcript';
export { type DiagnoseCorsOptions, diagnoseCors } from './cors/diagnose.ts';
export type {
  CorsAsk,
  CorsDiagnosis,
  CorsFix,
  CorsFixes,
  CorsProbe,
  CorsServer,
  CorsVerdict,
} from './cors/diagnosis.ts';
export { createRegistryFetch } from './fetch.ts';
export type { RegistryFetchOptions } from './options.ts';
export { type SessionTokenStore, sessionTokenStore } from './session.ts';
