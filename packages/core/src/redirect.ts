/**
 * Which redirects of a registry request are followed.
 *
 * Rules of this file: one hop at a time, judged before it is taken, against the URL that answered with it. A verdict says
 * where a request may go, never what it may carry: across origins that is nothing (rule 7, Q47), and `handshake.ts` builds
 * the headers of each hop anew. A redirect that is not ours to follow is the caller's, untouched; one that nobody should
 * follow is a failure. Token requests follow none, so nothing here is about them.
 */

import { type BlockedAddress, classifyHost } from './address.ts';
import type { Policy } from './policy.ts';
import type { Verdict } from './realm.ts';
import { blockedAddress, readTarget, type TargetFault } from './target.ts';

/** A redirect that is the caller's to follow or not. */
export type CallersReason =
  /** A status that does not promise to repeat the method and body (RFC 9110 §15.4). */
  | 'status'
  /** A body that cannot be sent again. */
  | 'body'
  /** Another origin, for a request that is more than a plain GET or HEAD. */
  | 'method';

export type RedirectReason =
  /** Followed, as the same party. */
  | 'same-origin'
  /** Followed, as a stranger. */
  | 'other-origin'
  /** Refused: from https to http (Q53). */
  | 'downgrade'
  /** Refused by `redirects.crossOrigin`. */
  | 'cross-origin'
  /** Refused: `redirects.max` or `limits.hops`, the smaller, were followed already. */
  | 'hops'
  /** Refused: the platform hides where it leads, so that it cannot be judged. */
  | 'hidden'
  | CallersReason
  | TargetFault
  | BlockedAddress;

export interface RedirectVerdict {
  /** The target, without its fragment; `null` when `Location` is no URL that anyone may use. */
  readonly url: URL | null;
  readonly verdict: Verdict<RedirectReason>;
  /** Whether the target has scheme, host and port of `from`, so that what was for `from` is for it. */
  readonly sameOrigin: boolean;
}

/** What of a request may not go to a place that nobody judges. */
export interface Bound {
  /** Of a request that is more than a GET or HEAD without a body. */
  readonly method: string | null;
  /** Names of header fields that may hold a secret of the origin's. */
  readonly headers: readonly string[];
}

/** 16 KiB: what Node's HTTP parser allows a whole response head by default. */
const locationChars = 16_384;

/**
 * Judges one redirect of a registry request.
 *
 * @param location the field's value as it came; relative ones are resolved against `from` (RFC 9110 §10.2.2)
 * @param about `from`: the URL that answered; `method` in upper case; `status` of the answer, 0 if the platform hides it and
 *   the location, left out if it is known to be one to follow; `hops` followed before; `body` of the request, as the caller gave it
 * @throws TypeError when `from` is no absolute URL; never for anything in `location`
 */
export function judgeRedirect(
  location: string,
  about: {
    readonly from: string | URL;
    readonly method: string;
    readonly status?: number;
    readonly hops: number;
    readonly body: 'none' | 'replayable' | 'once';
  },
  policy: Policy,
): RedirectVerdict {
  const from = new URL(String(about.from));
  if (about.status === 0)
    return { url: null, verdict: { allow: false, reason: 'hidden' }, sameOrigin: false };
  // A storage host is often named without its scheme; its authority is still read as strictly as any.
  const text = escapedBytes(location.startsWith('//') ? from.protocol + location : location);
  const { url, fault } = readTarget(text, from, locationChars);
  const sameOrigin = url !== null && url.origin === from.origin;
  const answer = (allow: boolean, reason: RedirectReason): RedirectVerdict => {
    return { url, verdict: { allow, reason }, sameOrigin };
  };

  const callers = callersReason(about, sameOrigin);
  if (callers !== null) return answer(false, callers);
  if (url === null) return answer(false, fault);
  if (from.protocol === 'https:' && url.protocol === 'http:') return answer(false, 'downgrade');
  const blocked = blockedAddress(url, from);
  // A registry on loopback may keep its blobs in a storage server beside it: it gets no credential and no token.
  if (blocked !== null && !(blocked === 'loopback' && classifyHost(from.hostname) === 'loopback')) {
    return answer(false, blocked);
  }
  if (!sameOrigin && policy.redirects.crossOrigin === 'refuse') return answer(false, 'cross-origin');
  if (about.hops >= Math.min(policy.redirects.max, policy.limits.hops)) return answer(false, 'hops');
  return answer(true, sameOrigin ? 'same-origin' : 'other-origin');
}

/**
 * A field's value is bytes, one to a code unit (RFC 9110 §5.5). Those that are not ASCII are meant as they are, and a URL would
 * take them for the characters of that number and encode those.
 */
function escapedBytes(location: string): string {
  let text = '';
  let from = 0;
  for (let i = 0; i < location.length; i++) {
    const unit = location.charCodeAt(i);
    if (unit < 0x80 || unit > 0xff) continue;
    text += `${location.slice(from, i)}%${unit.toString(16).toUpperCase()}`;
    from = i + 1;
  }
  return from === 0 ? location : text + location.slice(from);
}

/** RFC 9110 §15.4. */
const redirects: readonly number[] = [301, 302, 303, 307, 308];

/** Whether an answer with this status sends its client elsewhere; 0 is one that the platform hides. */
export function isRedirect(status: number): boolean {
  return status === 0 || redirects.includes(status);
}

/** Whether a refusal for this reason means that the 3xx goes to the caller as it came; else it is a failure. */
export function isCallers(reason: RedirectReason): reason is CallersReason {
  return reason === 'status' || reason === 'body' || reason === 'method';
}

function callersReason(
  { method, status, body }: Parameters<typeof judgeRedirect>[1],
  sameOrigin: boolean,
): CallersReason | null {
  const isPlain = (method === 'GET' || method === 'HEAD') && body === 'none';
  const followed = isPlain ? redirects : [307, 308];
  if (status !== undefined && !followed.includes(status)) return 'status';
  if (isPlain) return null;
  if (body === 'once') return 'body';
  return sameOrigin ? null : 'method';
}
