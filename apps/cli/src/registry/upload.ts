/**
 * An upload that is begun only to see whether it may be, and taken back at once.
 *
 * Rules of this file: what is taken back is what a 202 begins (distribution API, "Initiate Blob Upload"), and it is asked for at
 * its own origin alone. A Location says where to go on, to nobody but who asked: another host, port or scheme has nothing to do
 * with it.
 */

import { describe, isRegistryAuthError } from '@reg/core';
import type { Delivered } from '@reg/core/driver';
import { SendError } from '../transport/send-error.ts';
import type { Client } from './client.ts';

/** The answer to a POST that may begin one, and what was asked. */
type Begun = Pick<Delivered<unknown>, 'head' | 'url'>;

/** Where the upload goes on that `begun` begins, wherever that is; `null` where it begins none that can be found. */
export function uploadAt({ head, url }: Begun): URL | null {
  const location = head.headers.find(([name]) => name === 'location')?.[1];
  if (head.status !== 202 || location === undefined || !URL.canParse(location, url)) return null;
  return new URL(location, url);
}

/** Ends the upload that `begun` begins. Resolves to why that did not work, or to `null`. */
export async function takeBack(client: Client, begun: Begun): Promise<string | null> {
  const upload = uploadAt(begun);
  if (upload === null) {
    const { status } = begun.head;
    return status === 202 ? 'it has no Location' : `POST was answered with ${status}, and not with 202`;
  }
  if (upload.origin !== new URL(begun.url).origin) {
    return `its Location is at another origin, ${upload.origin}`;
  }
  try {
    const { head, raw, failure } = await client.request({ method: 'DELETE', url: upload });
    // The head says it all: nobody waits for a body that drips.
    void raw.discard();
    if (head.status < 300 || head.status === 404) return null;
    return failure === null
      ? `DELETE was answered with ${head.status}`
      : describe(failure, { policy: false });
  } catch (error) {
    if (isRegistryAuthError(error)) return describe(error.failure, { policy: false });
    if (error instanceof SendError) return error.message;
    throw error;
  }
}
