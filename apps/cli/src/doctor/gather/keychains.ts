/** All that the doctor uses of `@reg/node/credentials`, beside what every command does: a bundle keeps the whole of what it loads late. */

export {
  chainKeychains,
  defaultKeychain,
  dockerKeychain,
  type ExplainingKeychain,
  expiryOf,
  type TrailStep,
} from '@reg/node/credentials';
