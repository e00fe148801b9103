/**
 * What `reg trace` sends, and what came of it.
 *
 * Rules of this file: a request that failed has a transcript too, and that is the result. Nothing is left behind: an upload that
 * was begun to see whether it may be is taken back at once.
 */

import { isRegistryAuthError } from '@reg/core';
import type { Transcript } from '@reg/core/transcript';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import type { Again } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import { takeBack } from '../registry/upload.ts';
import { Complaint } from '../report/complaint.ts';
import { Stop } from '../surroundings.ts';
import { claimsIn, complaintAboutGrant } from '../token/granted.ts';

export interface Trace {
  readonly transcript: Transcript;
  /** Why the answer is not what was asked for, or `null`. */
  readonly complaint: Complaint | null;
}

/** Sends a GET and tells what came of it. Rejects only when there is no transcript to show. */
export function traceOf(client: Client, url: URL, again: Again): Promise<Trace> {
  return tracing(again, async () => {
    const delivered = await client.get(url);
    const complaint = complaintAbout(delivered, again);
    await delivered.raw.discard();
    return { transcript: delivered.transcript(), complaint };
  });
}

/**
 * Begins an upload, as a push does first, and takes it back. The latter is no part of the transcript.
 *
 * @param url of the uploads of a repository
 * @param warn told when it could not be taken back, and why; or that it may be left, when the command is stopped
 */
export function traceOfPush(
  client: Client,
  url: URL,
  again: Again,
  warn: (message: string) => void,
): Promise<Trace> {
  return tracing(again, async () => {
    try {
      const delivered = await client.request({ method: 'POST', url });
      const complaint = complaintAbout(delivered, again);
      await delivered.raw.discard();
      const why = complaint === null ? await takeBack(client, delivered) : null;
      if (why !== null) {
        warn(`the upload that was begun could not be taken back: ${why.replace(/\.$/, '')}. ${FORGOTTEN}`);
      }
      return { transcript: delivered.transcript(), complaint };
    } catch (error) {
      // Who stops it between the request and its answer does not learn whether it was begun.
      if (error instanceof Stop) warn(`an upload that was begun may be left. ${FORGOTTEN}`);
      throw error;
    }
  });
}

const FORGOTTEN = 'Registries forget it after a while.';

/** Asks for a token for `scopes`, and sends no other request but the ping that finds out where. */
export function traceOfToken(client: Client, url: URL, scopes: string, again: Again): Promise<Trace> {
  return tracing(again, async () => {
    const transcript = (await client.authorize({ url, scopes })).transcript();
    return { transcript, complaint: complaintAboutGrant(transcript, claimsIn(transcript), again) };
  });
}

async function tracing(again: Again, send: () => Promise<Trace>): Promise<Trace> {
  try {
    return await send();
  } catch (error) {
    const complaint = complaintFrom(error, again);
    const transcript = isRegistryAuthError(error) ? error.transcript : null;
    if (transcript === null || !(complaint instanceof Complaint)) throw complaint;
    return { transcript, complaint };
  }
}
