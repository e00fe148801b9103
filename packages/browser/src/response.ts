/**
 * The response that the caller gets: the platform's own.
 *
 * Rules of this file: where the platform followed redirects it knows `url` and `redirected`, and its response is returned as it
 * is; where they were judged one by one, `redirected` is laid over the last one, and over its clones.
 */

import type { Failure } from '@reg/core';
import { markFailure } from '@reg/core/driver';

interface About {
  readonly redirected: boolean;
  /** What `failureOf(response)` tells. */
  readonly failure: Failure | null;
}

export function responseOf(
  response: Response,
  mode: 'judge' | 'platform',
  { redirected, failure }: About,
): Response {
  if (failure !== null) markFailure(response, failure);
  if (mode === 'platform') return response;
  const about = { redirected, failure };
  const clone = (): Response => responseOf(Response.prototype.clone.call(response), mode, about);
  return Object.defineProperties(response, { redirected: { value: redirected }, clone: { value: clone } });
}
