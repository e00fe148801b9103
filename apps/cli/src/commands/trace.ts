/**
 * `reg trace`: one request for real, and all that was said on the way to its answer.
 *
 * Rules of this file: the transcript is the result, also of a request that failed: what led to the failure is what was asked
 * for. Rendering is pure, and the core's.
 */

import { isRegistryAuthError } from '@reg/core';
import { type Transcript, toCurl, toHar, toJson, toMermaid, toText } from '@reg/core/transcript';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import { type Again, againFor, traceTarget } from '../registry/argument.ts';
import type { Client } from '../registry/client.ts';
import type { NetworkOptions, ScopeOptions } from '../registry/options.ts';
import { withClient } from '../registry/with-client.ts';
import { Complaint, usage } from '../report/complaint.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Paint } from '../terminal/paint.ts';
import { paintFor, widthOf } from '../terminal/paint.ts';
import type { TraceFormat } from '../tree/trace-format.ts';

export interface TraceOptions extends NetworkOptions, ScopeOptions {
  readonly output: TraceFormat;
  readonly out?: string;
  readonly replay?: string;
  readonly showClaims?: boolean;
}

/** `reg trace` */
export async function trace(
  about: string | undefined,
  options: TraceOptions,
  surroundings: Surroundings,
): Promise<undefined> {
  if (about === undefined) throw usage('what is to be traced?');
  const { stdout, env } = surroundings;
  const target = traceTarget(about, options);
  const again = againFor('trace', target, options);
  await withClient({ target, options, again, bodies: true }, surroundings, async (client) => {
    const { transcript, complaint } = await traceOf(client, target.url, again);
    stdout.write(
      renderTrace(transcript, options.output, { paint: paintFor(stdout, env), width: widthOf(stdout) }),
    );
    if (complaint === null) return;
    // Where both are one screen, what was said and what it means are told apart.
    if (stdout.isTTY === true) stdout.write('\n');
    throw complaint;
  });
}

export interface Trace {
  readonly transcript: Transcript;
  /** Why the answer is not what was asked for, or `null`. */
  readonly complaint: Complaint | null;
}

/** Sends the request and tells what came of it. Rejects only when there is no transcript to show. */
export async function traceOf(client: Client, url: URL, again: Again): Promise<Trace> {
  try {
    const delivered = await client.get(url);
    const complaint = complaintAbout(delivered, again);
    await delivered.raw.discard();
    return { transcript: delivered.transcript(), complaint };
  } catch (error) {
    const complaint = complaintFrom(error, again);
    const transcript = isRegistryAuthError(error) ? error.transcript : null;
    if (transcript === null || !(complaint instanceof Complaint)) throw complaint;
    return { transcript, complaint };
  }
}

interface Page {
  readonly paint: Paint;
  readonly width: number;
}

const renderers = {
  // Why it failed is said on stderr.
  text: (transcript, { paint, width }) => toText({ ...transcript, failure: null }, { paint, width }),
  json: (transcript) => toJson(transcript),
  har: (transcript) => toHar(transcript),
  mermaid: (transcript) => toMermaid(transcript),
  curl: (transcript) => toCurl(transcript),
} as const satisfies Record<TraceFormat, (transcript: Transcript, page: Page) => string>;

export function renderTrace(transcript: Transcript, format: TraceFormat, page: Page): string {
  return `${renderers[format](transcript, page).trimEnd()}\n`;
}
