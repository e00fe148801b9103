export { type Assigned, type AssignOptions, assignHelper, helperIsNamed } from './assign.ts';
export { chainKeychains } from './chain.ts';
export type { Flavor } from './config-file.ts';
export type { DefaultKeychainOptions } from './default.ts';
export { defaultKeychain } from './default.ts';
export type { DockerKeychainOptions } from './docker.ts';
export { dockerKeychain } from './docker.ts';
export type { EnvironmentKeychainOptions } from './environment.ts';
export { environmentKeychain } from './environment.ts';
export { CredentialsError } from './error.ts';
export { expiryOf } from './expiry.ts';
export {
  type Listing,
  type ListOptions,
  type ListProblem,
  listCredentials,
  type StoredCredential,
} from './list.ts';
export type { Reader } from './order.ts';
export type { PullSecretKeychainOptions } from './pull-secret.ts';
export { pullSecretKeychain } from './pull-secret.ts';
export type { SaveCredentialOptions, Saved, SaveOptions } from './save.ts';
export { eraseCredential, lockedConfigVariable, saveCredential } from './save.ts';
export type {
  ExplainAbout,
  ExplainedFound,
  ExplainingKeychain,
  Explanation,
  TrailOutcome,
  TrailStep,
} from './trail.ts';
