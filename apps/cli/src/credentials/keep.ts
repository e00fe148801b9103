/** All that the command uses of `@reg/node` to keep credentials, list and forget them: a bundle keeps the whole of what it loads late. */

export {
  assignHelper,
  CredentialsError,
  defaultKeychain,
  dockerKeychain,
  eraseCredential,
  helperIsNamed,
  listCredentials,
  lockedConfigVariable,
  saveCredential,
} from '@reg/node/credentials';
