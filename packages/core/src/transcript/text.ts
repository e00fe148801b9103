/**
 * A transcript to read: what was sent, what came back, and what it means.
 *
 * Rules of this file: lines of plain text; every word of a peer is made visible, every secret is `•••`; colours are the
 * caller's, who is told what each piece of text is.
 */

import { describe } from '../error.ts';
import type { HeaderList } from '../message.ts';
import { toVisible } from '../visible.ts';
import { explain } from './explain.ts';
import { authorizationText, isLeg, type Leg, origins, parametersOf, reasonPhrase } from './legs.ts';
import { masked, maskNames } from './secrets.ts';
import type { RecordedAuthorization, RecordedSend, Redacted, Transcript } from './transcript.ts';

/** What a piece of text is, for a caller that colours it. */
export type TextRole = 'number' | 'request' | 'good' | 'bad' | 'name' | 'meaning' | 'faint';

export interface TextOptions {
  /** Print bodies that were recorded, and the shape of token responses. Default true. */
  readonly bodies?: boolean;
  /** Columns to break lines at; without it none is broken. */
  readonly width?: number;
  /** Called with each piece of text, made safe, and gives back what to print, of the same width on the screen. */
  readonly paint?: (role: TextRole, text: string) => string;
}

/** `transcript` as an engineer explains it: each request with its headers, the reply, and a line on what the step means. */
export function toText(transcript: Transcript, options: TextOptions = {}): string {
  const { steps, failure } = transcript;
  const page = new Page(options);
  const brought = origins(steps);
  let requests = 0;
  for (const [index, step] of steps.entries()) {
    if (isLeg(step)) {
      requests += 1;
      if (index > 0) page.blank();
      page.request(requests, step.effect, brought);
      page.reply(step);
    }
    page.line('  → ', 'meaning', explain(step, index, steps));
  }
  if (steps.length > 0) page.blank();
  page.line('', 'faint', duration(steps.filter(isLeg)));
  if (failure !== null) page.line('', 'bad', describe(failure));
  return page.text();
}

/** Lines as they are put together. */
class Page {
  readonly #bodies: boolean;
  readonly #width: number;
  readonly #paint: (role: TextRole, text: string) => string;
  readonly #lines: string[] = [];

  constructor({ bodies = true, width = Number.POSITIVE_INFINITY, paint = (_, text) => text }: TextOptions) {
    this.#bodies = bodies;
    this.#width = width;
    this.#paint = paint;
  }

  text(): string {
    return this.#lines.join('\n');
  }

  blank(): void {
    this.#lines.push('');
  }

  request(number: number, effect: RecordedSend, brought: ReadonlyMap<Redacted, number>): void {
    const { method, url, headers, authorization, to } = effect;
    // What a token request asks for is listed below it, one parameter a line.
    const shown = to === 'authority' ? withoutQuery(url) : url;
    const label = this.#paint('number', `#${number}`);
    this.#lines.push(`${label}  ${this.#paint('request', safe(`${method} ${shown}`))}`);
    if (to === 'authority') for (const [name, value] of parametersOf(effect)) this.#field(name, value);
    this.#fields(headers);
    if (authorization !== null) this.#field('authorization', credentials(authorization, brought));
    else if (!headers.some(([name]) => name === 'authorization'))
      this.line('    ', 'faint', 'no authorization');
  }

  reply({ at, answer }: Leg): void {
    const took = `${Math.round(answer.at - at)} ms`;
    if (answer.type === 'no-response') {
      const { phase, code, message } = answer;
      this.line('  ← ', 'bad', `no response (${phase}, ${code}: ${message}) after ${took}`);
      return;
    }
    const { status, headers } = answer.head;
    const line = this.#paint(status < 400 ? 'good' : 'bad', `${status} ${reasonPhrase(status)}`.trim());
    this.#lines.push(`  ← ${line}${this.#paint('faint', `, ${took}`)}`);
    if (answer.address === 'unchecked') this.line('    ', 'faint', 'from an address that nobody checked');
    this.#fields(headers);
    const body = answer.type === 'response' ? answer.body : answer.text;
    if (this.#bodies && body !== null) for (const text of bodyLines(body)) this.line('    ', 'faint', text);
  }

  /** One piece of text, broken and indented. An empty one is no line. */
  line(indent: string, role: TextRole, text: string): void {
    if (text === '') return;
    const room = this.#width - indent.length;
    for (const [index, part] of wrap(safe(text), room, room).entries()) {
      this.#lines.push((index === 0 ? indent : ' '.repeat(indent.length)) + this.#paint(role, part));
    }
  }

  #fields(headers: HeaderList): void {
    for (const [name, value] of headers) if (value !== masked) this.#field(name, value);
    const hidden = headers.filter(([, value]) => value === masked).map(([name]) => name);
    if (hidden.length > 0) this.line('    ', 'faint', `not shown: ${hidden.join(', ')}`);
  }

  #field(name: string, value: string): void {
    const label = `${safe(name)}:`;
    const [first, ...rest] = wrap(safe(value), this.#width - 5 - label.length, this.#width - 6);
    this.#lines.push(`    ${this.#paint('name', label)} ${first}`);
    for (const part of rest) this.#lines.push(`      ${part}`);
  }
}

/** Who the request says it is from, and where the token came from if it came in this operation. */
function credentials(authorization: RecordedAuthorization, brought: ReadonlyMap<Redacted, number>): string {
  const number = authorization.scheme === 'bearer' ? brought.get(authorization.token) : undefined;
  return authorizationText(authorization) + (number === undefined ? '' : ` (the token of #${number})`);
}

function duration(legs: readonly Leg[]): string {
  const first = legs[0];
  const last = legs.at(-1);
  if (first === undefined || last === undefined) return 'no request was sent';
  const count = legs.length === 1 ? '1 request' : `${legs.length} requests`;
  return `${count}, ${Math.round(last.answer.at - first.at)} ms`;
}

/** A JSON body one member a line, another as it is. */
function bodyLines(body: string): readonly string[] {
  try {
    return JSON.stringify(JSON.parse(body), null, 2).split('\n');
  } catch {
    return body.split('\n');
  }
}

function withoutQuery(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

function safe(text: string): string {
  return maskNames(toVisible(text));
}

/** Breaks `text` behind spaces and commas. What has neither is left too long. */
function wrap(text: string, first: number, others: number): readonly string[] {
  const lines: string[] = [];
  let from = 0;
  let space = -1;
  for (let at = 0; at < text.length; at++) {
    const room = lines.length === 0 ? first : others;
    if (at - from >= room && space > from) {
      lines.push(text.slice(from, space).trimEnd());
      from = space;
    }
    if (text.charAt(at) === ' ' || text.charAt(at) === ',') space = at + 1;
  }
  return [...lines, text.slice(from)];
}
