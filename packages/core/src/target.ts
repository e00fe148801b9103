/**
 * A URL that a peer chose: the realm of a challenge, the `Location` of a redirect.
 *
 * Rules of this file: the text is looked at before it is parsed, the address after. `new URL()` mends what it is given
 * (backslashes, missing slashes, percent-encoded hosts, line ends in the middle), and every mend is a way to show one
 * host to a reader and another to the network, so a text that needs mending in its authority is refused. Nothing is
 * decided here about whether a target is liked: `realm.ts` and `redirect.ts` do that.
 */

import { type BlockedAddress, classifyHost, isBlocked } from './address.ts';

/** Why a text is no URL that anyone may use. */
export type TargetFault =
  /** Not a URL, empty, or with a control character in it. */
  | 'unparsable'
  | 'too-long'
  /** Neither https nor http, or something before a colon that can be no scheme. */
  | 'scheme'
  /**
   * `%`, `\` or a space in the authority, no authority after a scheme, another origin without a scheme, or a host that
   * ends in a dot: trust, TLS name and connection could each mean another host.
   */
  | 'bad-authority'
  /** `user@` or `user:password@`. */
  | 'userinfo';

export type Target =
  | { readonly url: URL; readonly fault: null }
  | { readonly url: null; readonly fault: TargetFault };

/**
 * Reads what a peer sent as a URL.
 *
 * @param text as it came. A reference without a scheme is resolved against `base` (requirement 33, RFC 3986 §5) and must
 *   stay on its origin.
 * @param maxChars UTF-16 units, of the text and of the URL made of it
 * @returns the URL without its fragment, path and query otherwise as `new URL()` leaves them (Q16, Q49); or why not
 */
export function readTarget(text: string, base: URL, maxChars: number): Target {
  if (text.length > maxChars) return refuse('too-long');
  if (text.trim() === '' || hasControl(text)) return refuse('unparsable');
  const absolute = parse(text);
  const url = absolute ?? parse(text, base.origin + base.pathname);
  if (url === null) return refuse('unparsable');
  if (absolute === null && forgotScheme(text)) return refuse('scheme');
  if (absolute !== null) {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('scheme');
    const fault = authorityFault(text, url.protocol);
    if (fault !== null) return refuse(fault);
  } else if (url.origin !== base.origin || url.username !== '' || url.password !== '') {
    // `//host/`, `\\host\` and ` //host/`: without a scheme the text has no say in the authority.
    return refuse('bad-authority');
  }
  if (url.hostname.endsWith('.')) return refuse('bad-authority');
  url.hash = '';
  return url.href.length > maxChars ? refuse('too-long') : { url, fault: null };
}

/** Why a peer at `from` may not send us to the address of `url`, or `null`. Its own host and port are no news to it. */
export function blockedAddress(url: URL, from: URL): BlockedAddress | null {
  const address = classifyHost(url.hostname);
  return !isBlocked(address) || isSameHostAndPort(url, from) ? null : address;
}

/** Whether both are the same service by name, whatever the scheme. */
export function isSameHostAndPort(a: URL, b: URL): boolean {
  return a.hostname === b.hostname && portOf(a) === portOf(b);
}

function portOf(url: URL): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' ? '443' : '80';
}

function refuse(fault: TargetFault): Target {
  return { url: null, fault };
}

function parse(text: string, base?: string): URL | null {
  return URL.canParse(text, base) ? new URL(text, base) : null;
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit === 0x7f) return true;
  }
  return false;
}

/** A relative reference has no colon in its first segment (RFC 3986 §4.2): `127.0.0.1:8080/token` was meant as a host. */
function forgotScheme(text: string): boolean {
  for (const char of text) {
    if (char === ':') return true;
    if (char === '/' || char === '?' || char === '#') return false;
  }
  return false;
}

function authorityFault(text: string, scheme: string): TargetFault | null {
  const start = scheme.length + 2;
  if (text.slice(0, start).toLowerCase() !== `${scheme}//`) return 'bad-authority';
  let at = start;
  for (; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '@') return 'userinfo';
    if (char === '%' || char === '\\' || char === ' ') return 'bad-authority';
    if (char === '/' || char === '?' || char === '#') break;
  }
  return at === start ? 'bad-authority' : null;
}
