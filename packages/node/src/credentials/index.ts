export type { DockerKeychainOptions } from './docker.ts';
export { CredentialsError, dockerKeychain } from './docker.ts';
