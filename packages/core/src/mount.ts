/**
 * A mount that is denied becomes the upload it would have saved (requirement 139).
 *
 * Rules of this file: a mount is a wish. A registry that cannot grant it answers 202 and an upload begins; but CNCF Distribution
 * asks for a token that reads the source as well, and answers 401 to whoever cannot have one, though they may push.
 */

import type { Failure } from './failure.ts';
import type { RegistryRequest } from './message.ts';

/** The URL at which the upload begins, when `failure` is why `request` may not mount a blob; else `null`. */
export function uploadInstead({ method, url, body }: RegistryRequest, failure: Failure): string | null {
  if (failure.kind !== 'denied' || failure.reason === 'caller-authorization') return null;
  if (method !== 'POST' || body === 'once') return null;
  const upload = new URL(url);
  const query = upload.searchParams;
  if (!query.has('mount') || !query.has('from')) return null;
  query.delete('mount');
  query.delete('from');
  return upload.href;
}
