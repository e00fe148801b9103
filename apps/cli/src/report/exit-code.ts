/**
 * Exit codes: what a script can tell from how the command ended.
 *
 * Rules of this file: codes are stable and each means one thing to do next. A failure kind without a code does not compile.
 */

import type { Failure } from '@reg/core';

export const exitCode = {
  ok: 0,
  /** A fault of this program, or an answer nothing else fits. */
  unexpected: 1,
  /** The command line: a flag, an argument, a missing input. */
  usage: 2,
  /** The registry does not have it. */
  notFound: 3,
  /** No credential where one is needed, or a refused one. */
  unauthenticated: 4,
  /** The credential is good and not enough. */
  denied: 5,
  /** Name resolution, network, TLS, a time limit, or a server that is down. */
  unreachable: 6,
  rateLimited: 7,
  /** A credential file or helper, or what it gave. */
  credentials: 8,
  /** The registry or its token server does not keep to the protocol. */
  protocol: 9,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

const words = {
  [exitCode.ok]: 'ok',
  [exitCode.unexpected]: 'unexpected',
  [exitCode.usage]: 'usage',
  [exitCode.notFound]: 'not-found',
  [exitCode.unauthenticated]: 'unauthenticated',
  [exitCode.denied]: 'denied',
  [exitCode.unreachable]: 'unreachable',
  [exitCode.rateLimited]: 'rate-limited',
  [exitCode.credentials]: 'credentials',
  [exitCode.protocol]: 'protocol',
} as const satisfies Record<ExitCode, string>;

/** A code in a word, for JSON. */
export function wordOf(code: ExitCode): string {
  return words[code];
}

/** The code for a handshake that failed. */
export function codeOfFailure(failure: Failure): ExitCode {
  switch (failure.kind) {
    case 'credential-missing':
    case 'credential-rejected':
    case 'realm-untrusted':
    case 'insecure-transport':
      return exitCode.unauthenticated;
    case 'credential-unusable':
    case 'credential-unavailable':
      return exitCode.credentials;
    case 'denied':
      return codeOfDenial(failure);
    case 'token-refused':
      return codeOfTokenStatus(failure.status);
    case 'rate-limited':
      return exitCode.rateLimited;
    case 'network':
    case 'deadline':
      return exitCode.unreachable;
    case 'challenge-unusable':
      // Negotiate and the like are no fault of the registry's: there is a credential, and not for this client.
      return failure.reason === 'unsupported-scheme' ? exitCode.unauthenticated : exitCode.protocol;
    case 'realm-forbidden':
      return isMendedByTrust(failure) ? exitCode.unauthenticated : exitCode.protocol;
    case 'challenge-hidden':
    case 'scheme-downgrade':
    case 'token-invalid':
    case 'token-redirected':
    case 'redirect-refused':
    case 'limit':
      return exitCode.protocol;
    case 'body-spent':
      return exitCode.unexpected;
  }
}

/**
 * Whether the user may want to let the realm be asked: a token server on the user's own machine is a development set-up. That a
 * registry points at link-local or cloud metadata addresses is never meant well, though a pair would allow it.
 */
export function isMendedByTrust({ reason }: Failure & { readonly kind: 'realm-forbidden' }): boolean {
  return reason === 'loopback' || reason === 'host-alias';
}

function codeOfDenial(failure: Failure & { readonly kind: 'denied' }): ExitCode {
  // Nobody was asked who they are yet: a credential may be all that is missing.
  return failure.status === 401 && failure.anonymous ? exitCode.unauthenticated : exitCode.denied;
}

/** A token server's 404 or 405 says that it is none; its 400 and 403 are about who asks for what. */
function codeOfTokenStatus(status: number): ExitCode {
  if (status >= 500) return exitCode.unreachable;
  return status === 404 || status === 405 ? exitCode.protocol : exitCode.denied;
}

/** The code for a registry's own answer, when nothing is known to have failed before it. */
export function codeOfStatus(status: number): ExitCode {
  if (status >= 200 && status < 300) return exitCode.ok;
  if (status >= 500) return exitCode.unreachable;
  switch (status) {
    case 401:
      return exitCode.unauthenticated;
    case 403:
      return exitCode.denied;
    case 404:
      return exitCode.notFound;
    case 429:
      return exitCode.rateLimited;
    default:
      return exitCode.unexpected;
  }
}
