export type { DockerKeychainOptions } from './docker.ts';
export { dockerKeychain } from './docker.ts';
export { CredentialsError } from './error.ts';
