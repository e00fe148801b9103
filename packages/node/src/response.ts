/**
 * The platform's `Response` made of a leg.
 *
 * Rules of this file: what fetch's callers read is what was received; `url` and `redirected`, which a constructed response
 * cannot have, are laid over it, and over its clones.
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
 * @param failed what reading the body ends with when the connection broke with the given error
 * @throws TypeError when the status is none that a `Response` can have (above 599)
 */
export function responseOf(
  leg: Leg,
  method: string,
  failed: (error: Error) => unknown,
  about: About,
): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(leg.headers)) {
    if (typeof value === 'string') headers.append(name, value);
    else for (const line of value ?? []) headers.append(name, line);
  }
  const hasBody = method !== 'HEAD' && !withoutBody.includes(leg.status);
  const init = { status: leg.status, statusText: reasonPhrase(leg.statusText), headers };
  if (leg.status > 599) {
    void leg.discard();
    throw new TypeError('fetch failed', { cause: new Error(`status ${leg.status}`) });
  }
  if (!hasBody) void leg.discard();
  return dressed(new Response(hasBody ? webStream(leg, failed) : null, init), about);
}

/** Null body statuses (Fetch standard, "statuses"). */
const withoutBody: readonly number[] = [204, 205, 304];

function dressed(response: Response, about: About): Response {
  if (about.failure !== null) markFailure(response, about.failure);
  return Object.defineProperties(response, {
    url: { value: about.url },
    redirected: { value: about.redirected },
    clone: { value: () => dressed(Response.prototype.clone.call(response), about) },
  });
}

/** RFC 9112 §4: a `Response` refuses a reason phrase with other characters, and undici reads it as UTF-8. */
function reasonPhrase(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if ((unit < 0x20 && unit !== 0x09) || unit === 0x7f || unit > 0xff) return '';
  }
  return text;
}
