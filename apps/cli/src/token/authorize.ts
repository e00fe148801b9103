/**
 * The header that a registry wants to see, as it asks for it itself.
 *
 * Rules of this file: a registry that answers everyone's ping may yet have repositories of its own for some (a proxy that
 * guards `/v2/NAME/` alone): that nothing is asked for is said of what was asked about. Nothing is begun at the registry.
 */

import { endpoint } from '@reg/core';
import type { Authorized } from '@reg/core/driver';
import { complaintAbout, complaintAboutPage, complaintFrom } from '../registry/answer.ts';
import type { Again, AnyTarget } from '../registry/argument.ts';
import type { Asked, Client } from '../registry/client.ts';
import type { Complaint } from '../report/complaint.ts';
import { exitCode } from '../report/exit-code.ts';

export interface Wanted {
  readonly target: AnyTarget;
  /** What to ask for; `null` leaves it to what a GET needs. */
  readonly scopes: string | null;
  /** Whether it is to write. */
  readonly push: boolean;
  readonly again: Again;
}

/** Throws a `Complaint` when there is no registry, or when what is asked about cannot be had. */
export async function authorizedFor(client: Client, wanted: Wanted): Promise<Authorized> {
  const { target, scopes, push, again } = wanted;
  const about = { url: target.url, ...(scopes === null ? {} : { scopes }) };
  try {
    const first = await client.authorize(about);
    if (first.header !== null) return first;
    for (const asked of requestsFor(target, push)) {
      const delivered = await client.request(asked);
      await delivered.raw.discard();
      // Whatever came of it, the challenge is known now.
      const second = await client.authorize(about);
      if (second.header !== null) return second;
      const complaint = complaintAbout(delivered, again) ?? complaintAboutPage(delivered, again);
      if (complaint !== null && !(push && isAboutUpload(complaint))) throw complaint;
    }
    const complaint = complaintAboutPing(first, again);
    if (complaint !== null) throw complaint;
    return first;
  } catch (error) {
    throw complaintFrom(error, again);
  }
}

/** What shows whether a repository asks for anything. */
function requestsFor({ reference, url }: AnyTarget, push: boolean): readonly Asked[] {
  if (reference === null) return [];
  if (!push) return [{ method: 'GET', url }];
  const uploads = endpoint(reference, 'uploads', { insecure: url.protocol === 'http:' });
  // Needs what a push needs, and goes on with an upload that nobody began: it changes nothing.
  return [{ method: 'PATCH', url: new URL('00000000-0000-0000-0000-000000000000', uploads) }];
}

/** A registry that minds nothing but the upload asks for nothing. */
function isAboutUpload(complaint: Complaint): boolean {
  return complaint.exitCode === exitCode.notFound || complaint.exitCode === exitCode.unexpected;
}

function complaintAboutPing({ transcript }: Authorized, again: Again): Complaint | null {
  const ping = transcript().steps.findLast(
    (step) => step.machine === 'handshake' && step.phase !== 'obtaining',
  );
  if (ping === undefined || ping.answer.type !== 'response') return null;
  const answer = { head: ping.answer.head, failure: null, url: ping.effect.url, transcript };
  return complaintAbout(answer, again) ?? complaintAboutPage(answer, again);
}
