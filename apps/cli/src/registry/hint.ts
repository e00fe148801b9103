/**
 * What to run next, for each way a handshake fails.
 *
 * Rules of this file: a hint is a command that can be run as it stands; what it does is said behind a `#`, as a shell takes it.
 * It never suggests to send a secret where the policy would not, without saying so. Where the cause is not known from the
 * failure alone, `reg doctor` finds it.
 */

import type { Failure, RealmPair } from '@reg/core';
import { isMendedByTrust } from '../report/exit-code.ts';
import { quote } from '../report/shell.ts';
import { type Again, registryIn } from './argument.ts';

export function hintFor(failure: Failure, again: Again): string {
  const { command } = again;
  switch (failure.kind) {
    case 'credential-missing':
    case 'credential-unusable':
      return again.login;
    case 'credential-rejected':
      return failure.anonymousPull
        ? `${command} --anonymous   # what is public needs no credential`
        : again.login;
    case 'denied':
    case 'token-refused':
      return failure.anonymous ? again.login : onward(again);
    case 'realm-untrusted':
      return trusting(failure.pair);
    case 'realm-forbidden': {
      const { registry, realm } = failure;
      return isMendedByTrust(failure) ? trusting({ registry, realm: new URL(realm).origin }) : onward(again);
    }
    case 'insecure-transport':
      return `${again.plainHttp}   # sends the credential for everyone on the way to read`;
    case 'rate-limited': {
      const seconds = secondsToWait(failure.retryAfterMs);
      return seconds === null ? onward(again) : `sleep ${seconds}; ${command}`;
    }
    case 'network':
      return speaksHttp(failure) ? `${again.plainHttp}   # the port does not speak TLS` : onward(again);
    case 'challenge-unusable': {
      const target = loginBehindRedirect(failure);
      return target === null ? onward(again) : `reg doctor ${quote(target)}   # the registry itself`;
    }
    case 'challenge-hidden':
    case 'credential-unavailable':
    case 'deadline':
    case 'scheme-downgrade':
    case 'token-invalid':
    case 'token-redirected':
    case 'body-spent':
    case 'redirect-refused':
    case 'limit':
      return onward(again);
  }
}

/** What is asked for in whole seconds; `null` for what is over already, and for more than a year, which nobody waits. */
export function secondsToWait(retryAfterMs: number | null): number | null {
  const seconds = Math.ceil((retryAfterMs ?? 0) / 1_000);
  return seconds > 0 && seconds <= 31_536_000 ? seconds : null;
}

function trusting({ registry, realm }: RealmPair): string {
  const url = new URL(registry);
  const name = registryIn({ url, registry: url.host }, {});
  return `reg trust add ${quote(name)} ${quote(realm)}   # if that server may see your credential`;
}

/**
 * The registry that was redirected to and asks for a password, which a redirect target does not get, as a command names it; else
 * `null`. This client answers Basic everywhere else.
 */
export function loginBehindRedirect(
  failure: Failure & { readonly kind: 'challenge-unusable' },
): string | null {
  if (failure.reason !== 'unsupported-scheme' || !failure.offered.includes('basic')) return null;
  const url = new URL(failure.url);
  return registryIn({ url, registry: url.host }, {});
}

/** What finds the cause. Whoever has asked for that already is shown the whole handshake. */
export function onward({ command, doctor, trace }: Again): string {
  return command === doctor ? `${trace}   # the whole handshake` : `${doctor}   # finds out why`;
}

/** The registry answered a TLS hello with something that is no TLS record. `EPROTO` alone is any fault of a handshake. */
function speaksHttp({ to, phase, code, message }: Failure & { readonly kind: 'network' }): boolean {
  const noRecord =
    code === 'ERR_SSL_WRONG_VERSION_NUMBER' ||
    message.includes('wrong version number') ||
    message.includes('packet length too long');
  return to === 'registry' && phase === 'tls' && noRecord;
}
