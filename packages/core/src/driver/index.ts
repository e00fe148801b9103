export { markFailure } from '../error.ts';
export type { Authorized, Authorizer, AuthorizerOptions, Delivered } from './authorizer.ts';
export { createAuthorizer } from './authorizer.ts';
export { TokenCache } from './cache.ts';
export { monotonicNow } from './clock.ts';
export { drive, isWaiting } from './drive.ts';
export { readHint } from './hint.ts';
export { anonymousKeychain, chainKeychains, staticKeychain } from './keychain.ts';
export type {
  AbortSignalLike,
  Found,
  Keychain,
  Now,
  Outgoing,
  Reply,
  Send,
  SendFault,
  Sleep,
  StoreEntry,
  StoreKey,
  TokenStore,
} from './port.ts';
export type {
  CacheMessage,
  Channel,
  Channels,
  ExchangeMessage,
  HandshakeMessage,
  WatchedExchange,
  WatchedOperation,
} from './watch.ts';
