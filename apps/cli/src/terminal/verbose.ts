/**
 * `-v`: each request as it happens.
 *
 * Rules of this file: lines for people, on stderr. Steps come without secrets; what a peer wrote is made visible. Twice shows
 * headers too. `reg trace` is there for all the rest.
 */

import { STATUS_CODES } from 'node:http';
import { toVisible } from '@reg/core';
import type { RecordedAuthorization, RecordedSend, TranscriptStep } from '@reg/core/transcript';
import type { CommonOptions } from '../registry/options.ts';
import { masked } from '../report/masked.ts';
import type { Surroundings } from '../surroundings.ts';
import { type Paint, paintFor } from './paint.ts';

/** Tells each step on stderr, as `-v` asks for; `undefined` without it, and with `-q`. */
export function verboseFor(
  { stderr, env }: Pick<Surroundings, 'stderr' | 'env'>,
  { verbose = 0, quiet = false, color }: CommonOptions,
): ((step: TranscriptStep) => void) | undefined {
  if (verbose === 0 || quiet) return undefined;
  const paint = paintFor(stderr, env, color);
  return (step) => {
    const lines = renderStep(step, verbose > 1, paint);
    if (lines.length > 0) stderr.write(`${lines.join('\n')}\n`);
  };
}

/** The lines of one step; steps in which nothing goes in or out have none. */
export function renderStep(step: TranscriptStep, headers: boolean, paint: Paint): readonly string[] {
  switch (step.phase) {
    case 'credential': {
      const { registry, found } = step;
      const what = found === null ? 'none' : `${found.type}, from ${found.source}`;
      return [paint('faint', shown(`· credential for ${registry}: ${what}`))];
    }
    case 'retry':
      return [paint('faint', `· once more in ${step.waitMs} ms`)];
    case 'probing':
    case 'sending':
    case 'posting':
    case 'getting':
      return [...sentLines(step.effect, headers, paint), ...answerLines(step, headers, paint)];
    case 'obtaining':
    case 'begin':
      return [];
  }
}

function sentLines(effect: RecordedSend, headers: boolean, paint: Paint): readonly string[] {
  const { method, url, authorization } = effect;
  const line = `→ ${paint('request', shown(`${method} ${url}`))}  ${paint('faint', who(authorization))}`;
  if (!headers) return [line];
  const form = (effect.form ?? []).map(([name, value]) => shown(`  ${name}=${value}`));
  return [line, ...headerLines(effect.headers, paint), ...form];
}

function who(authorization: RecordedAuthorization | null): string {
  if (authorization === null) return '(no credential)';
  return authorization.scheme === 'basic' ? shown(`(Basic ${authorization.username})`) : '(Bearer)';
}

type Sent = Extract<TranscriptStep, { readonly effect: RecordedSend }>;

function answerLines({ at, answer }: Sent, headers: boolean, paint: Paint): readonly string[] {
  const took = paint('faint', `, ${Math.round(answer.at - at)} ms`);
  if (answer.type === 'no-response') {
    const { phase, code, message } = answer;
    return [`← ${paint('bad', shown(`no response (${phase}, ${code}: ${message})`))}${took}`];
  }
  const { status } = answer.head;
  const words = `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  const line = `← ${paint(status < 400 ? 'good' : 'bad', words)}${took}`;
  return headers ? [line, ...headerLines(answer.head.headers, paint)] : [line];
}

function headerLines(
  headers: readonly (readonly [name: string, value: string])[],
  paint: Paint,
): readonly string[] {
  return headers.map(([name, value]) => `  ${paint('name', shown(`${name}:`))} ${shown(value)}`);
}

function shown(text: string): string {
  return masked(toVisible(text));
}
