/**
 * The response that the caller gets: the platform's own.
 *
 * Rules of this file: it is returned as it is, unless there is something that it does not know itself: that redirects were
 * followed, where they were judged one by one, or why it is final. That is laid over it and over its clones.
 */

import type { Failure } from '@reg/core';
import { markFailure } from '@reg/core/driver';

interface About {
  readonly redirected: boolean;
  /** What `failureOf(response)` tells. */
  readonly failure: Failure | null;
}

export function responseOf(response: Response, { redirected, failure }: About): Response {
  if (failure !== null) markFailure(response, failure);
  const about = { redirected: redirected || response.redirected, failure };
  if (failure === null && about.redirected === response.redirected) return response;
  const clone = (): Response => responseOf(Response.prototype.clone.call(response), about);
  return Object.defineProperties(response, {
    redirected: { value: about.redirected },
    clone: { value: clone },
  });
}
