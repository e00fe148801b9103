/**
 * Where a request without a response ended, read off the error that undici or Node gives for it.
 *
 * Rules of this file: by code, never by message.
 */

import type { NetworkPhase } from '@reg/core';

const phases: Readonly<Record<string, NetworkPhase>> = {
  ENOTFOUND: 'lookup',
  EAI_AGAIN: 'lookup',
  EAI_NODATA: 'lookup',
  ECONNREFUSED: 'connect',
  EHOSTUNREACH: 'connect',
  ENETUNREACH: 'connect',
  EADDRNOTAVAIL: 'connect',
  ETIMEDOUT: 'connect',
  UND_ERR_CONNECT_TIMEOUT: 'connect',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  UNABLE_TO_GET_ISSUER_CERT: 'tls',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'tls',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls',
  UND_ERR_HEADERS_TIMEOUT: 'head',
  UND_ERR_HEADERS_OVERFLOW: 'head',
  ECONNRESET: 'head',
  EPIPE: 'head',
  UND_ERR_SOCKET: 'head',
  UND_ERR_BODY_TIMEOUT: 'body',
};

/** An error for a `Send` to reject with: the platform's own as its cause. */
export class SendError extends Error {
  override readonly name = 'SendError';
  readonly phase: NetworkPhase;
  readonly code: string;

  constructor(error: unknown) {
    const innermost = innermostOf(error);
    const code = codeOf(innermost);
    super(innermost instanceof Error && innermost.message !== '' ? innermost.message : code, {
      cause: error,
    });
    this.code = code;
    this.phase =
      phases[code] ??
      (code.startsWith('ERR_TLS') || code.startsWith('CERT_') || code.startsWith('ERR_SSL')
        ? 'tls'
        : 'unknown');
  }
}

/** `fetch failed` wraps what happened; a host with several addresses wraps one error for each. */
function innermostOf(error: unknown): unknown {
  let inner = error;
  for (let depth = 0; depth < 4; depth++) {
    if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
    else if (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
    else break;
  }
  return inner;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}
