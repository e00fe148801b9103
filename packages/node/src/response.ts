/**
 * The platform's `Response` made of a leg.
 *
 * Rules of this file: what fetch's callers read is what was received; what a constructed response cannot have (`url`,
 * `redirected`, `type`, a status above 599, headers that nobody changes) is laid over it, and over its clones.
 */

import type { Failure } from '@reg/core';
import { markFailure } from '@reg/core/driver';
import { webStream } from './body.ts';
import type { Leg } from './leg.ts';

export interface About {
  readonly url: string;
  readonly redirected: boolean;
  /** What `failureOf(response)` tells. */
  readonly failure: Failure | null;
}

/**
 * The response of `leg`, its body unread.
 *
 * @param signal ends the body when it aborts, with its reason
 */
export function responseOf(leg: Leg, method: string, signal: AbortSignal | null, about: About): Response {
  const hasBody = method !== 'HEAD' && !withoutBody.includes(leg.status);
  if (!hasBody) void leg.discard();
  const response = new Response(hasBody ? webStream(leg, signal) : null, {
    status: Math.min(leg.status, mostStatus),
    statusText: reasonPhrase(leg.statusText),
  });
  for (const [name, value] of Object.entries(leg.headers)) {
    for (const line of [value ?? []].flat()) response.headers.append(name, line);
  }
  return dressed(response, leg.status, about);
}

/** Null body statuses (Fetch standard, "statuses"). */
const withoutBody: readonly number[] = [204, 205, 304];

/** The highest a response can be constructed with. A server may send any of three digits, and fetch delivers it. */
const mostStatus = 599;

function dressed(response: Response, status: number, about: About): Response {
  if (about.failure !== null) markFailure(response, about.failure);
  // Fetch standard, "headers guard": those of a response that was fetched are immutable.
  Object.defineProperties(response.headers, {
    append: { value: refuse },
    delete: { value: refuse },
    set: { value: refuse },
  });
  return Object.defineProperties(response, {
    ...(status > mostStatus ? { status: { value: status } } : {}),
    type: { value: 'basic' },
    url: { value: about.url },
    redirected: { value: about.redirected },
    clone: { value: () => dressed(Response.prototype.clone.call(response), status, about) },
  });
}

function refuse(): never {
  throw new TypeError('immutable');
}

/** RFC 9112 §4: a `Response` refuses a reason phrase with other characters, and undici reads it as UTF-8. */
function reasonPhrase(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f || unit > 0xff) return '';
  }
  return text;
}
