/**
 * The requests of a transcript, numbered as they went out.
 *
 * Rules of this file: facts that more than one rendering needs, and no words.
 */

import type {
  ExchangedStep,
  RecordedAuthorization,
  RecordedSend,
  Redacted,
  SentStep,
  TranscriptStep,
} from './transcript.ts';

/** A request and what came of it. */
export type Leg = SentStep | ExchangedStep;

export function isLeg(step: TranscriptStep): step is Leg {
  return 'effect' in step && step.effect.type === 'send';
}

/** The step of `machine` after the one at `index`, if it was recorded. */
export function stepAfter<M extends TranscriptStep['machine']>(
  machine: M,
  steps: readonly TranscriptStep[],
  index: number,
): Extract<TranscriptStep, { readonly machine: M }> | undefined {
  const isOne = (step: TranscriptStep): step is Extract<TranscriptStep, { readonly machine: M }> =>
    step.machine === machine;
  // No part of the list is copied: a made-up transcript may have thousands of steps.
  for (let at = index + 1; at < steps.length; at++) {
    const step = steps[at];
    if (step !== undefined && isOne(step)) return step;
  }
  return undefined;
}

/** What a token request says, from its form or its query, in order. */
export function parametersOf({
  url,
  form,
}: RecordedSend): readonly (readonly [name: string, value: string])[] {
  return form ?? (URL.canParse(url) ? [...new URL(url).searchParams] : []);
}

/** The values of one parameter of a token request. */
export function parameter(effect: RecordedSend, name: string): readonly string[] {
  return parametersOf(effect)
    .filter(([key]) => key === name)
    .map(([, value]) => value);
}

/** The number of the request, from 1, that brought each token. */
export function origins(steps: readonly TranscriptStep[]): ReadonlyMap<Redacted, number> {
  const brought = new Map<Redacted, number>();
  for (const [index, leg] of steps.filter(isLeg).entries()) {
    const text = leg.answer.type === 'token-response' ? leg.answer.text : null;
    for (const name of namesIn(text ?? '')) if (!brought.has(name)) brought.set(name, index + 1);
  }
  return brought;
}

/** Every `redacted-n` that is a whole JSON text in `json`. */
function namesIn(json: string): readonly Redacted[] {
  return json.split('"').filter((part) => part.startsWith('redacted-'));
}

/** The value of an `Authorization` header as it is meant, a Basic pair not encoded. */
export function authorizationText(authorization: RecordedAuthorization): string {
  return authorization.scheme === 'basic'
    ? `Basic ${authorization.username}:${authorization.password}`
    : `Bearer ${authorization.token}`;
}

/** Origin of a URL, or the text itself when it is none. */
export function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}

/** A status with its reason phrase; of 0, which nobody sent, what it stands for. */
export function statusWords(status: number): string {
  return status === 0 ? reasonPhrase(status) : `${status} ${reasonPhrase(status)}`.trim();
}

/** The reason phrase of a status (RFC 9110 §15), which HTTP/2 leaves out, or `''`. */
export function reasonPhrase(status: number): string {
  return phrases.get(status) ?? '';
}

const phrases: ReadonlyMap<number, string> = new Map([
  [0, 'redirect, hidden by the platform'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [204, 'No Content'],
  [206, 'Partial Content'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [413, 'Content Too Large'],
  [416, 'Range Not Satisfiable'],
  [429, 'Too Many Requests'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
]);
