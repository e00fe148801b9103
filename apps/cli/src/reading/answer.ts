/**
 * One answer that is what was asked for, or a complaint.
 *
 * Rules of this file: what fails on the way to an answer, in its head or in its body is told alike.
 */

import type { Delivered } from '@reg/core/driver';
import { complaintAbout, complaintFrom } from '../registry/answer.ts';
import type { Again } from '../registry/argument.ts';
import type { Asked, Client } from '../registry/client.ts';
import type { Body } from '../transport/body.ts';

/** The registry's answer, whatever it is. Throws a `Complaint` when there is none. */
export async function answerTo(client: Client, asked: Asked, again: Again): Promise<Delivered<Body>> {
  try {
    return await client.request(asked);
  } catch (error) {
    throw complaintFrom(error, again);
  }
}

/** The answer if it is a success. Throws a `Complaint` when it is none. */
export async function goodAnswer(client: Client, asked: Asked, again: Again): Promise<Delivered<Body>> {
  return good(await answerTo(client, asked, again), again);
}

/** `answer` if it is a success. Throws a `Complaint` when it is none, and drops its body. */
export async function good(answer: Delivered<Body>, again: Again): Promise<Delivered<Body>> {
  const complaint = complaintAbout(answer, again);
  if (complaint === null) return answer;
  await answer.raw.discard();
  throw complaint;
}

/** The bytes of a body as they come. Throws a `Complaint` when they break off. */
export async function* chunksOf({ raw }: Delivered<Body>, again: Again): AsyncGenerator<Uint8Array> {
  try {
    yield* raw;
  } catch (error) {
    throw complaintFrom(error, again);
  }
}

/** `Content-Length`, or `null` where there is none that a number can hold. */
export function lengthOf(answer: Pick<Delivered<unknown>, 'head'>): number | null {
  const length = headerOf(answer, 'content-length') ?? '';
  return /^\d{1,15}$/.test(length) ? Number(length) : null;
}

/** The first value of the header field `name` (lower case), or `null`. */
export function headerOf({ head }: Pick<Delivered<unknown>, 'head'>, name: string): string | null {
  for (const [field, value] of head.headers) if (field === name) return value;
  return null;
}
