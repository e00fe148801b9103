/**
 * A transcript to read: what was sent (→), what came back (←), and what it means (»).
 *
 * Rules of this file: lines of plain text; every word of a peer is made visible, every secret is `•••`; colours are the
 * caller's, who is told what each piece of text is. Brief leaves out what decides nothing, and never a request.
 */

import { describe } from '../error.ts';
import type { Failure } from '../failure.ts';
import type { HeaderList, Timing } from '../message.ts';
import { toVisible } from '../visible.ts';
import { explain, explainClaims, missingFrom } from './explain.ts';
import { authorizationText, isLeg, type Leg, origins, parametersOf, statusWords } from './legs.ts';
import { masked, maskNames } from './secrets.ts';
import type {
  RecordedAuthorization,
  RecordedResponse,
  RecordedSend,
  RecordedTokenAnswer,
  Redacted,
  Transcript,
  TranscriptStep,
} from './transcript.ts';

/** What a piece of text is, for a caller that colours it. */
export type TextRole = 'number' | 'request' | 'good' | 'bad' | 'name' | 'meaning' | 'faint';

export interface TextOptions {
  /**
   * Of headers and bodies only what bears on authorization: challenges, redirects, limits, errors, and what a token response is
   * made of. Default false: all that was recorded.
   */
  readonly brief?: boolean;
  /** Print bodies that were recorded, and the shape of token responses. Default true. */
  readonly bodies?: boolean;
  /** What to say at the end of why it failed, or `''`. Default: `describe`. */
  readonly reason?: (failure: Failure) => string;
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
    page.line(MEANING, 'meaning', explain(step, index, transcript));
    page.line(MEANING, 'meaning', explainClaims(step));
  }
  if (steps.length > 0) page.blank();
  page.end(duration(steps), resultOf(transcript));
  const { reason = describe } = options;
  if (failure !== null) page.line('', 'bad', reason(failure));
  return page.text();
}

const REPLY = '   ← ';
const MEANING = '   » ';
const FIELD = '     ';

/** Names of headers that a brief page shows: what is wanted, where to go, when to come back, and what came. */
const telling = new Set([
  'docker-content-digest',
  'location',
  'proxy-authenticate',
  'ratelimit-limit',
  'ratelimit-remaining',
  'retry-after',
  'warning',
  'www-authenticate',
  'x-ratelimit-limit',
  'x-ratelimit-remaining',
]);

/** More of a body that is no list of errors than says what it is: a proxy's page begins with its title. */
const longestBody = 240;

/** Lines as they are put together. */
class Page {
  readonly #brief: boolean;
  readonly #bodies: boolean;
  readonly #width: number;
  readonly #paint: (role: TextRole, text: string) => string;
  readonly #lines: string[] = [];

  constructor(options: TextOptions) {
    const { brief = false, bodies = true, width = Number.POSITIVE_INFINITY } = options;
    const { paint = (_, text) => text } = options;
    this.#brief = brief;
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
    this.#lines.push(`${label} → ${this.#paint('request', safe(`${method} ${shown}`))}`);
    if (to === 'authority') for (const [name, value] of parametersOf(effect)) this.#field(name, value);
    if (!this.#brief) this.#fields(headers);
    if (authorization !== null) this.#field('authorization', credentials(authorization, brought));
    else if (!headers.some(([name]) => name === 'authorization'))
      this.line(FIELD, 'faint', 'no authorization');
  }

  reply({ at, answer }: Leg): void {
    const took = `${Math.round(answer.at - at)} ms`;
    if (answer.type === 'no-response') {
      const { phase, code, message } = answer;
      this.line(REPLY, 'bad', `no response (${phase}, ${code}: ${message}) after ${took}`);
      return;
    }
    const { status, headers, known } = answer.head;
    const line = this.#paint(status < 400 ? 'good' : 'bad', statusWords(status));
    const split = splitOf(answer.timing === undefined ? [] : [answer.timing]);
    this.#lines.push(`${REPLY}${line}${this.#paint('faint', `  ${took}${split}`)}`);
    if (answer.address === 'unchecked') this.line(FIELD, 'faint', 'from an address that nobody checked');
    if (known !== undefined) this.#field('known, for a hidden www-authenticate', known);
    if (this.#brief) {
      this.#fields(headers.filter(([name, value]) => isTelling(name, value)));
      this.#gist(answer);
      return;
    }
    this.#fields(headers);
    const body = answer.type === 'response' ? answer.body : answer.text;
    if (this.#bodies && body !== null) for (const text of bodyLines(body)) this.line(FIELD, 'faint', text);
  }

  /** What an answer says, as far as it is about the request: errors, or of what a token response is made. */
  #gist(answer: RecordedResponse | RecordedTokenAnswer): void {
    if (answer.type === 'token-response') {
      this.line(FIELD, 'faint', beginning(answer.text ?? ''));
      return;
    }
    for (const { code, message } of answer.problems) {
      this.line(FIELD, 'bad', [code, message].filter((text) => text !== '').join(': '));
    }
    if (answer.head.status < 400 || answer.problems.length > 0) return;
    this.line(FIELD, 'faint', beginning(answer.body ?? ''));
  }

  /** How long it took and how it ended, on one line where there is room. */
  end(took: string, { role, text }: Result): void {
    const GAP = '   ';
    const fits = took.length + GAP.length + text.length <= this.#width;
    const result = text === '' ? '' : (fits ? GAP : '\n') + this.#paint(role, safe(text));
    this.#lines.push(this.#paint('faint', took) + result);
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
    if (hidden.length > 0) this.line(FIELD, 'faint', `not shown: ${hidden.join(', ')}`);
  }

  #field(name: string, value: string): void {
    const label = `${safe(name)}:`;
    const others = this.#width - FIELD.length - 2;
    const room = others + 1 - label.length;
    const [first = '', ...rest] = wrap(safe(value), room, others);
    // A digest has no place to break it at, and fits on a line of its own.
    const isApart = first.length > room;
    this.#lines.push(FIELD + this.#paint('name', label) + (isApart ? '' : ` ${first}`));
    for (const part of isApart ? wrap(safe(value), others, others) : rest)
      this.#lines.push(`${FIELD}  ${part}`);
  }
}

/** Who the request says it is from, and where the token came from if it came in this operation. */
function credentials(authorization: RecordedAuthorization, brought: ReadonlyMap<Redacted, number>): string {
  const number = authorization.scheme === 'bearer' ? brought.get(authorization.token) : undefined;
  return authorizationText(authorization) + (number === undefined ? '' : ` (the token of #${number})`);
}

function duration(steps: readonly TranscriptStep[]): string {
  const legs = steps.filter(isLeg);
  const first = legs[0];
  const last = legs.at(-1);
  if (first === undefined || last === undefined) return 'no request was sent';
  const count = legs.length === 1 ? '1 request' : `${legs.length} requests`;
  const timings = legs.flatMap(({ answer }) => (answer.type === 'no-response' ? [] : (answer.timing ?? [])));
  // The machine saw the last answer alone, and so does who reads this.
  const again = steps.filter((step) => step.phase === 'retry').length;
  const sent = again === 0 ? count : `${count}, ${again} sent again`;
  return `${sent}  ${Math.round(last.answer.at - first.at)} ms${splitOf(timings)}`;
}

const spent: readonly (readonly [name: string, of: (timing: Timing) => number | null])[] = [
  ['dns', ({ lookupMs }) => lookupMs],
  ['tcp', ({ connectMs }) => connectMs],
  ['tls', ({ tlsMs }) => tlsMs],
  ['server', ({ waitMs }) => waitMs],
];

/** Where the time went, summed up: `  (dns 4 · tcp 9 · tls 21 · server 109)`; what was never done is left out. */
function splitOf(timings: readonly Timing[]): string {
  const parts = spent.flatMap(([name, of]) => {
    const done = timings.map(of).filter((ms) => ms !== null);
    return done.length === 0 ? [] : [`${name} ${Math.round(done.reduce((sum, ms) => sum + ms, 0))}`];
  });
  return parts.length === 0 ? '' : `  (${parts.join(' · ')})`;
}

interface Result {
  readonly role: TextRole;
  readonly text: string;
}

/** How it ended, in a word or two. */
function resultOf({ steps, failure }: Transcript): Result {
  if (failure !== null) return { role: 'bad', text: `result: ${failure.kind}` };
  const last = steps.findLast((step) => step.machine === 'handshake');
  if (last === undefined) return { role: 'faint', text: '' };
  // A token was all that was asked for.
  if (last.phase === 'obtaining') {
    const leg = steps.findLast(isLeg);
    const isLess = leg?.answer.type === 'token-response' && missingFrom(leg.effect, leg.answer).length > 0;
    return isLess
      ? { role: 'bad', text: 'result: not all granted' }
      : { role: 'good', text: 'result: authorized' };
  }
  const { effect, answer } = last;
  if (answer.type === 'no-response') return { role: 'bad', text: 'result: no response' };
  const { status } = answer.head;
  if (status >= 400) return { role: 'bad', text: `result: ${statusWords(status)}` };
  const asked = steps.some((step) => step.phase === 'obtaining') || effect.authorization !== null;
  return { role: 'good', text: asked ? 'result: authorized' : 'result: open' };
}

/** Nearly all is JSON; a page of HTML in its place says that a proxy has answered. */
function isTelling(name: string, value: string): boolean {
  return name === 'content-type' ? !value.startsWith('application/json') : telling.has(name);
}

/** The beginning of a body, on one line. */
function beginning(body: string): string {
  const line = body.trim();
  return line.length > longestBody ? `${line.slice(0, longestBody)}…` : line;
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
