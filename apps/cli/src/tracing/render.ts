/**
 * A trace in each of its forms.
 *
 * Rules of this file: pure; the forms are the core's. What is added is a head for people: with what and when it was recorded,
 * and as whom.
 */

import { describe, type Failure, toVisible } from '@reg/core';
import { type Transcript, toCurl, toHar, toJson, toMermaid, toText } from '@reg/core/transcript';
import type { Paint } from '../terminal/paint.ts';
import type { TraceFormat } from '../tree/names.ts';
import { version } from '../version.ts';

/** How text is laid out. */
export interface Page {
  readonly paint: Paint;
  readonly width: number;
  /** Only what bears on authorization, of headers and bodies. */
  readonly brief?: boolean;
  /** Say at the end why it failed, as where nobody else does. */
  readonly reason?: boolean;
  /** Lines that come first. */
  readonly head?: string;
}

const renderers = {
  text: (transcript, { paint, width, brief = false, reason = false, head }) => {
    const why = (failure: Failure): string => (reason ? describe(failure, { policy: false }) : '');
    const text = toText(transcript, { paint, width, brief, reason: why });
    return head === undefined ? text : `${head}\n\n${text}`;
  },
  json: (transcript) => toJson(transcript),
  har: (transcript) => toHar(transcript),
  mermaid: (transcript) => toMermaid(transcript),
  curl: (transcript) => toCurl(transcript),
} as const satisfies Record<TraceFormat, (transcript: Transcript, page: Page) => string>;

export function renderTrace(transcript: Transcript, format: TraceFormat, page: Page): string {
  return `${renderers[format](transcript, page).trimEnd()}\n`;
}

/**
 * What sent the requests, when, and as whom.
 *
 * @param runtime of the surroundings
 */
export function headOf(
  transcript: Transcript,
  runtime: string | undefined,
  page: Pick<Page, 'paint' | 'width'>,
): string {
  const what = [`reg ${version}`, ...(runtime === undefined ? [] : [runtime])].join('  ');
  return head(what, transcript, page);
}

/** The same of a trace that was read from `file`: what sent it is not in it. */
export function headOfReplay(
  transcript: Transcript,
  file: string,
  page: Pick<Page, 'paint' | 'width'>,
): string {
  return head(`replay of ${toVisible(file)}, nothing was sent`, transcript, page);
}

function head(what: string, transcript: Transcript, { paint, width }: Pick<Page, 'paint' | 'width'>): string {
  const at = transcript.steps[0]?.at;
  const first = at === undefined ? what : `${what}  ${isoTime(at)}`;
  const second = `credential: ${credentialIn(transcript)}`;
  const gap = '   ';
  const lines = first.length + gap.length + second.length <= width ? [first + gap + second] : [first, second];
  return lines.map((line) => paint('faint', line)).join('\n');
}

/** A time that a file made up may be none. */
function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'at no time' : date.toISOString();
}

/** Who asked, and where that comes from. */
function credentialIn({ steps }: Transcript): string {
  const step = steps.findLast((one) => one.phase === 'credential');
  if (step === undefined) return 'none was asked for';
  const { found } = step;
  if (found === null) return 'none found';
  const source = toVisible(found.source);
  switch (found.type) {
    case 'anonymous':
      return `none, by ${source}`;
    case 'password':
      return `${toVisible(userIn(steps) ?? 'a password')}, from ${source}`;
    case 'identity':
      return `an identity token, from ${source}`;
    case 'registry':
      return `a ready token, from ${source}`;
  }
}

function userIn(steps: Transcript['steps']): string | null {
  for (const step of steps) {
    if (step.phase === 'begin' && step.credential?.type === 'password') return step.credential.username;
    if (step.phase !== 'obtaining' || step.answer.type !== 'granted') continue;
    const { authorization } = step.answer.grant;
    if (authorization.scheme === 'basic') return authorization.username;
  }
  return null;
}
