/**
 * What to run next, for each way a handshake fails.
 *
 * Rules of this file: a hint is a command that can be run as it stands, but for NAME and FILE; what it does is said behind
 * a `#`, as a shell takes it. It never suggests to send a secret where the policy would not, without saying so.
 */

import type { Failure } from '@reg/core';
import { isMendedByTrust } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import type { Again } from './argument.ts';

const signIn = '-u NAME --password-stdin < FILE';

export function hintFor(failure: Failure, again: Again): string {
  const { command } = again;
  switch (failure.kind) {
    case 'credential-missing':
      return `${command} ${signIn}`;
    case 'credential-rejected':
      return failure.anonymousPull
        ? `${command} --anonymous   # what is public needs no credential`
        : `${command} ${signIn}`;
    case 'credential-unusable':
      return `${command} ${signIn}`;
    case 'credential-unavailable':
      return `${command} --anonymous   # what is public needs no credential`;
    case 'denied':
    case 'token-refused':
      return failure.anonymous ? `${command} ${signIn}` : onward(again);
    case 'realm-untrusted':
      return trusting(failure.pair.realm, again);
    case 'realm-forbidden':
      return isMendedByTrust(failure) ? trusting(new URL(failure.realm).origin, again) : onward(again);
    case 'insecure-transport':
      return `${again.plainHttp}   # sends the credential for everyone on the way to read`;
    case 'rate-limited':
      return failure.retryAfterMs === null
        ? `${command} ${signIn}`
        : `sleep ${Math.ceil(failure.retryAfterMs / 1_000)}; ${command}`;
    case 'network':
      return networkHint(failure, again);
    case 'deadline':
      return command;
    case 'challenge-unusable':
    case 'scheme-downgrade':
    case 'token-invalid':
    case 'token-redirected':
    case 'body-spent':
    case 'redirect-refused':
    case 'limit':
      return onward(again);
  }
}

function trusting(realm: string, { command }: Again): string {
  return `${command} --trust-realm ${quote(realm)}   # if that server may see your credential`;
}

/** The whole handshake; whoever has seen it gets a file to show to others. */
export function onward({ command, trace }: Again): string {
  return command === trace
    ? `${trace} -o json > trace.json   # to show to its operator`
    : `${trace}   # the whole handshake`;
}

function networkHint(failure: Failure & { readonly kind: 'network' }, { command, plainHttp }: Again): string {
  const { phase, code } = failure;
  const { origin, hostname, port } = new URL(failure.url);
  switch (phase) {
    case 'lookup':
      return `getent hosts ${quote(hostname)}`;
    case 'tls':
      if (speaksHttp(failure)) return `${plainHttp}   # the port does not speak TLS`;
      if (isUntrusted(code)) return `${command} --ca-file FILE   # the certificate of its authority`;
      return `openssl s_client -connect ${quote(`${hostname}:${port || '443'}`)}`;
    default:
      return `curl -v ${quote(`${origin}/`)}`;
  }
}

/** The registry answered a TLS hello with something that is no TLS record. */
function speaksHttp({ to, code, message }: Failure & { readonly kind: 'network' }): boolean {
  const noRecord =
    code === 'EPROTO' ||
    code === 'ERR_SSL_WRONG_VERSION_NUMBER' ||
    message.includes('wrong version number') ||
    message.includes('packet length too long');
  return to === 'registry' && noRecord;
}

/** The chain does not end in an authority that is trusted (codes of Node's `tls`). */
function isUntrusted(code: string): boolean {
  return (
    code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' ||
    code === 'UNABLE_TO_GET_ISSUER_CERT' ||
    code === 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' ||
    code === 'SELF_SIGNED_CERT_IN_CHAIN' ||
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT'
  );
}
