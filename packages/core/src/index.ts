export type { AddressClass, BlockedAddress } from './address.ts';
export { blockedAddressCode, classifyAddress, isBlocked } from './address.ts';
export type { Challenge, ChallengeLimits, ChallengeProblem, ParsedChallenges } from './challenge.ts';
export { parseChallenges } from './challenge.ts';
export type { Credential, CredentialFault } from './credential.ts';
export type {
  Addresses,
  Answer,
  Effect,
  ExchangeAnswer,
  HandshakeAnswer,
  NoResponse,
  Obtain,
  RegistryResponse,
  RegistrySend,
  TokenAnswer,
  TokenSend,
} from './effect.ts';
export { blame, describe, failureOf, isRegistryAuthError, RegistryAuthError } from './error.ts';
export type { ExchangeState, Requester } from './exchange.ts';
export { beginExchange, stepExchange } from './exchange.ts';
export type { Failure, FailureKind, NetworkPhase } from './failure.ts';
export type { Authorization, Grant, Need, Principal, TokenFault, TokenResponse } from './grant.ts';
export { readTokenResponse } from './grant.ts';
export type { Challenged, HandshakeState, Hint, Lesson, Open } from './handshake.ts';
export { start, step } from './handshake.ts';
export type { Head, HeaderList, Problem, RegistryRequest, Timing } from './message.ts';
export { builtInPairs } from './pairs.ts';
export type { PartialPolicy, Policy, RealmPair, Scheme } from './policy.ts';
export { completePolicy, defaultPolicy } from './policy.ts';
export type { ContactReason, RealmVerdict, ReleaseReason, Verdict } from './realm.ts';
export { judgeRealm } from './realm.ts';
export type { RedirectReason, RedirectVerdict } from './redirect.ts';
export { judgeRedirect } from './redirect.ts';
export type { Reference } from './reference.ts';
export { endpoint, formatReference, nextPage, parseReference } from './reference.ts';
export type { Scope } from './scope.ts';
export {
  coversScopes,
  formatScopes,
  missingScopes,
  parseScopes,
  scopesForRequest,
  unionScopes,
} from './scope.ts';
export { Secret } from './secret.ts';
export { toVisible } from './visible.ts';
