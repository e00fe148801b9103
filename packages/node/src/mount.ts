/**
 * A mount that is refused becomes the upload it saves (requirement 139).
 *
 * Rules of this file: a mount is a wish. A registry that cannot grant it answers 202 and an upload begins; but CNCF Distribution
 * asks for a token that reads the source as well, and answers 401 to whoever cannot have one, though they may push.
 */

import type { Failure } from '@reg/core';

/** The URL at which the upload begins, where `url` asked to mount a blob and was denied it; else `null`. */
export function uploadInstead(method: string, url: string, failure: Failure | null): string | null {
  if (failure?.kind !== 'denied' || failure.reason === 'caller-authorization' || method !== 'POST')
    return null;
  const upload = new URL(url);
  const query = upload.searchParams;
  if (!query.has('mount') || !query.has('from')) return null;
  query.delete('mount');
  query.delete('from');
  return upload.href;
}
