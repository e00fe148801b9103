/**
 * What a run tells, event by event, made into the rows of a diagram.
 *
 * Rules of this file: pure, and made anew from all events each time, so that a row is never half changed. Secrets are numbers:
 * the same number is the same secret. Every text of a peer is visible text, and cut.
 */

import { type Policy, parseScopes, readTokenResponse, toVisible } from '@reg/core';
import {
  type BegunStep,
  type ExchangedStep,
  type ObtainedStep,
  type RecordedSend,
  type RetryStep,
  reasonPhrase,
  type SentStep,
  type TranscriptStep,
} from '@reg/core/transcript';
import { type ReadField, readField } from './challenge.ts';
import { duration } from './duration.ts';
import { compareScopes, type ScopeRow } from './scopes.ts';
import type { Secrets } from './secrets.ts';
import { type Decision, decide } from './verdict.ts';

/** What happens in a run. Times are epoch milliseconds of the client's clock. */
export type RunEvent =
  | {
      readonly type: 'sent';
      readonly to: 'registry' | 'authority';
      readonly method: string;
      readonly url: string;
      readonly at: number;
    }
  | { readonly type: 'step'; readonly step: TranscriptStep }
  /** A request of its own follows, whose secrets are named anew. */
  | { readonly type: 'page' }
  /** Nothing more comes. */
  | { readonly type: 'end'; readonly at: number };

/** What a request carries to show who asks. */
export type Carried =
  | { readonly type: 'nothing' }
  | { readonly type: 'untold' }
  | { readonly type: 'basic'; readonly username: string; readonly secret: number }
  | { readonly type: 'bearer'; readonly secret: number }
  | { readonly type: 'form'; readonly username: string | null; readonly secret: number };

export type Reply =
  | {
      readonly type: 'answer';
      readonly status: number;
      readonly phrase: string;
      readonly tone: 'good' | 'asks' | 'bad';
      /** What the server says of it. */
      readonly said: readonly string[];
      /** The token in it. */
      readonly brings: number | null;
      readonly tookMs: number;
    }
  | { readonly type: 'silence'; readonly code: string; readonly tookMs: number };

export interface Message {
  readonly number: number;
  readonly to: 'registry' | 'authority';
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** What a token request asks for. */
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly carried: Carried;
  /** Milliseconds from the first request of the run. */
  readonly sentMs: number;
  /** `null` as long as none came. */
  readonly reply: Reply | null;
}

export type Note =
  | { readonly type: 'challenge'; readonly field: ReadField }
  | { readonly type: 'decisions'; readonly realm: string; readonly decisions: readonly Decision[] }
  | {
      readonly type: 'token';
      readonly secret: number;
      readonly from: number;
      readonly until: number;
      readonly scopes: readonly ScopeRow[];
      /** Whether the token server said what it granted. */
      readonly told: boolean;
    }
  | { readonly type: 'remark'; readonly tone: 'plain' | 'good' | 'bad'; readonly text: string };

/** A request with its answer, and what the page makes of it. */
export interface Row {
  readonly key: string;
  /** What led to the request. */
  readonly before: readonly Note[];
  /** `null` where nothing was sent. */
  readonly message: Message | null;
  /** What is made of the answer. */
  readonly after: readonly Note[];
}

/** Where the page stands, for the names over the lanes. */
export interface Story {
  readonly rows: readonly Row[];
  /** Host of the token server, once it is named. */
  readonly authority: string | null;
}

/** Makes the rows of a run under `policy`. The core hides what is secret in a request and its answer; `secrets` what was before. */
export function tellStory(events: readonly RunEvent[], policy: Policy, secrets: Secrets): Story {
  const teller = new Teller(policy, secrets);
  for (const event of events) teller.hear(event);
  return teller.story();
}

interface Draft {
  readonly before: Note[];
  message: Message | null;
  readonly after: Note[];
}

/** A row with a request in it. */
type Sent = Draft & { message: Message };

class Teller {
  readonly #policy: Policy;
  readonly #secrets: Secrets;
  readonly #rows: Draft[] = [];
  /** Requests that nobody has answered yet, as far as is known: an exchange tells its steps when it is over. */
  readonly #open: Sent[] = [];
  /** Requests of the exchange that were sent again. */
  #again: Sent[] = [];
  #number = 0;
  /** The highest number of a secret, and what it was before the request that is told of. */
  #highest = 0;
  #before = 0;
  #start: number | null = null;
  #authority: string | null = null;
  /** URL of the registry's last challenge, which its realm is judged against. */
  #challenger: string | null = null;

  constructor(policy: Policy, secrets: Secrets) {
    this.#policy = policy;
    this.#secrets = secrets;
  }

  hear(event: RunEvent): void {
    if (event.type === 'page') {
      this.#before = this.#highest;
      return;
    }
    if (event.type === 'end') {
      for (const row of this.#open.splice(0)) {
        row.message = { ...row.message, reply: silence('', this.#since(row.message, event.at)) };
      }
      return;
    }
    if (event.type === 'sent') {
      const { to, method, url, at } = event;
      const about = { to, method, url, query: [], carried: { type: 'untold' } } as const;
      this.#open.push(this.#add(this.#message(about, at, null)));
      return;
    }
    const { step } = event;
    switch (step.phase) {
      case 'probing':
      case 'sending':
        this.#answered(step);
        break;
      case 'posting':
      case 'getting':
        this.#exchanged(step);
        break;
      case 'credential':
        // What is decided about it says whether there is one.
        break;
      case 'begin':
        this.#begun(step);
        break;
      case 'obtaining':
        this.#obtained(step);
        break;
      case 'retry':
        this.#retried(step);
    }
  }

  story(): Story {
    return {
      rows: this.#rows.map((row, index) => ({ key: `row-${index}`, ...row })),
      authority: this.#authority,
    };
  }

  #answered(step: SentStep): void {
    const { effect, answer: came, at } = step;
    const tookMs = came.at - at;
    if (came.type === 'no-response') {
      this.#close(effect, at, silence(came.code, tookMs));
      return;
    }
    const said = came.problems.map(({ code, message }) =>
      visible(this.#hide([code, message].filter(Boolean).join(': '))),
    );
    const { status, headers, filtered } = came.head;
    this.#close(effect, at, answer(status, said, null, tookMs));
    const field = headers
      .filter(([name]) => name === 'www-authenticate')
      .map(([, value]) => this.#hide(value));
    if (status === 401 && field.length > 0) {
      this.#challenger = came.head.url ?? effect.url;
      this.#note({ type: 'challenge', field: readField(field) });
    } else if (status === 401 && filtered === true) {
      this.#bad(
        'The browser does not show this page the challenge: the registry exposes no WWW-Authenticate.',
      );
    }
    const { url } = came.head;
    if (url !== undefined && new URL(url).origin !== new URL(effect.url).origin) {
      this.#bad(`The browser followed a redirect to ${hostOf(url)}: this is the answer of that server.`);
      if (status !== 401) return;
    }
    const remark = lastWord(step);
    if (remark !== null) this.#note(remark);
  }

  #exchanged(step: ExchangedStep): void {
    const { effect, answer: came, at, next } = step;
    const tookMs = came.at - at;
    if (came.type === 'no-response') {
      this.#close(effect, at, silence(came.code, tookMs));
      return;
    }
    const text = this.#hide(came.text ?? '');
    const read = next === 'granted' ? readTokenResponse(text, came.sentAt) : null;
    const token = read?.ok === true ? this.#secret(read.token) : null;
    this.#close(
      effect,
      at,
      answer(came.head.status, next === 'granted' ? [] : errorsOf(text), token, tookMs),
    );
    if (read?.ok !== true) return;
    const asked = parseScopes(valuesOf(effect, 'scope').join(' '));
    const { expiresAt, granted } = read;
    this.#note({
      type: 'token',
      secret: token ?? 0,
      from: came.sentAt,
      until: expiresAt,
      scopes: compareScopes(asked, granted),
      told: granted !== null,
    });
  }

  #begun({ need, credential, next }: BegunStep): void {
    const { realm, registry } = need;
    if (realm === null) return;
    this.#authority = hostOf(realm);
    const about = { registry: this.#challenger ?? registry, credential: credential !== null };
    const decisions = decide(realm, about, this.#policy);
    this.#lead('authority', { type: 'decisions', realm: visible(realm), decisions });
    if (next === 'failed')
      this.#lead('authority', { type: 'remark', tone: 'bad', text: 'So nothing is sent there.' });
  }

  #obtained({ answer: came, effect }: ObtainedStep): void {
    if (came.type === 'refused') return;
    const { grant, reuse } = came;
    if (grant.from === 'credential') {
      const basic = grant.authorization.scheme === 'basic';
      const what = basic ? 'user name and password' : 'the ready token';
      this.#lead(
        'registry',
        plain(`Send ${what} to ${hostOf(effect.need.registry)} itself, and nowhere else.`),
      );
    } else if (reuse !== 'fresh') {
      this.#lead('registry', plain('A token for this is at hand.'));
    }
  }

  /** The step that tells of a token request tells of the last of several: of the others only this is known. */
  #retried({ status, waitMs, at }: RetryStep): void {
    const row = this.#take('authority');
    if (row !== null) {
      const tookMs = this.#since(row.message, at);
      const reply = status === null ? silence('', tookMs) : answer(status, [], null, tookMs);
      row.message = { ...row.message, reply };
      this.#again.push(row);
    }
    this.#lead('authority', plain(`Ask again after ${duration(waitMs)}.`));
  }

  /** Gives the request that is under way its answer, and what is known of it now. */
  #close(effect: RecordedSend, at: number, reply: Reply): void {
    const { to, method, url } = effect;
    const query = to === 'authority' ? parametersOf(effect) : [];
    const known = { query, carried: carriedBy(effect, (name) => this.#secret(name)) };
    const row = this.#take(to) ?? this.#add(this.#message({ to, method, url, ...known }, at, null));
    row.message = { ...row.message, ...known, reply };
    if (to === 'authority') {
      for (const again of this.#again) again.message = { ...again.message, ...known };
      this.#again = [];
    }
  }

  /** A number for a secret: no other has it, in this request or another. */
  #secret(name: string): number {
    const number = secretNumber(name);
    if (number === 0) return 0;
    this.#highest = Math.max(this.#highest, this.#before + number);
    return this.#before + number;
  }

  #since({ sentMs }: Message, at: number): number {
    return Math.max(0, at - (this.#start ?? at) - sentMs);
  }

  /** The first request to `to` that has no answer. */
  #take(to: Message['to']): Sent | null {
    const index = this.#open.findIndex(({ message }) => message.to === to);
    return index < 0 ? null : (this.#open.splice(index, 1)[0] ?? null);
  }

  #message(
    about: Pick<Message, 'to' | 'method' | 'query' | 'carried'> & { readonly url: string },
    at: number,
    reply: Reply | null,
  ): Message {
    this.#start ??= at;
    this.#number += 1;
    const { to, method, url, query, carried } = about;
    const { host, pathname } = new URL(url);
    if (to === 'authority') this.#authority = visible(host);
    return {
      number: this.#number,
      to,
      method,
      host: visible(host),
      path: visible(pathname),
      query,
      carried,
      sentMs: Math.max(0, at - this.#start),
      reply,
    };
  }

  #add(message: Message): Sent {
    const last = this.#rows.at(-1);
    // What was decided waits for the request that it leads to.
    const row = last?.message === null ? last : this.#begin();
    return Object.assign(row, { message });
  }

  #begin(): Draft {
    const row: Draft = { before: [], message: null, after: [] };
    this.#rows.push(row);
    return row;
  }

  /** Notes what leads to the request to `to` that is under way, or to the next. */
  #lead(to: Message['to'], note: Note): void {
    const last = this.#rows.at(-1);
    const open = this.#open.find(({ message }) => message.to === to);
    (open ?? (last?.message === null ? last : this.#begin())).before.push(note);
  }

  /** Notes what is made of the last answer. */
  #note(note: Note): void {
    (this.#answeredRow() ?? this.#begin()).after.push(note);
  }

  /** The last row that has an answer. */
  #answeredRow(): Draft | undefined {
    return this.#rows.findLast(({ message }) => message !== null && message.reply !== null);
  }

  /** What is too long to be hidden in is too long to be shown, or to be read as a challenge or a token. */
  #hide(text: string): string {
    return this.#secrets.hide(text, longestHidden) + text.slice(longestHidden);
  }

  #bad(text: string): void {
    this.#note({ type: 'remark', tone: 'bad', text });
  }
}

const plain = (text: string): Note => ({ type: 'remark', tone: 'plain', text });

/** The last thing that happened, for who listens to the page. */
export function lastOf({ rows }: Story): string {
  const message = rows.findLast((row) => row.message !== null)?.message;
  if (!message) return '';
  const { to, host, reply } = message;
  const whom = to === 'registry' ? `the registry, ${host}` : `the token server, ${host}`;
  if (reply === null) return `Asking ${whom}`;
  return reply.type === 'answer'
    ? `${reply.status} ${reply.phrase} from ${whom}`
    : `No answer that may be read from ${whom}`;
}

/** What an answer comes to, where no more is asked. */
function lastWord({ next, effect, answer: came }: SentStep): Note | null {
  if (came.type !== 'response' || next !== 'answered') return null;
  const { status } = came.head;
  const carried = effect.authorization !== null;
  if (status < 400) {
    const text = carried
      ? 'The registry takes it. This is its answer.'
      : 'The registry asks for nothing. This is its answer.';
    return { type: 'remark', tone: 'good', text };
  }
  const text =
    status === 401 || status === 403
      ? 'This is the registry’s last word.'
      : 'This is the registry’s answer, and not about authorization.';
  return { type: 'remark', tone: 'bad', text };
}

function carriedBy({ authorization, form }: RecordedSend, numberOf: (name: string) => number): Carried {
  if (authorization?.scheme === 'basic') {
    const { username, password } = authorization;
    return { type: 'basic', username: visible(username), secret: numberOf(password) };
  }
  if (authorization?.scheme === 'bearer') return { type: 'bearer', secret: numberOf(authorization.token) };
  const secret = form?.find(([, value]) => isSecret(value));
  if (secret === undefined) return { type: 'nothing' };
  const username = form?.find(([name]) => name === 'username')?.[1];
  return {
    type: 'form',
    username: username === undefined ? null : visible(username),
    secret: numberOf(secret[1]),
  };
}

/** Without what is shown as carried. */
function parametersOf({ url, form }: RecordedSend): readonly (readonly [string, string])[] {
  const all = form ?? [...new URL(url).searchParams];
  return all
    .filter(([name, value]) => !isSecret(value) && name !== 'username')
    .slice(0, 12)
    .map(([name, value]) => [visible(name), visible(value)]);
}

function valuesOf({ url, form }: RecordedSend, name: string): readonly string[] {
  const all = form ?? [...new URL(url).searchParams];
  return all.filter(([key]) => key === name).map(([, value]) => value);
}

const mark = 'redacted-';

function isSecret(text: string): boolean {
  return text.startsWith(mark);
}

/** The number of a secret; 0 for one that is not told apart from others. */
function secretNumber(name: string): number {
  const number = isSecret(name) ? Number(name.slice(mark.length)) : 0;
  return Number.isInteger(number) ? number : 0;
}

function answer(
  status: number,
  said: readonly string[],
  brings: number | null,
  tookMs: number,
): Reply & { type: 'answer' } {
  const tone = status === 401 ? 'asks' : status < 400 ? 'good' : 'bad';
  return {
    type: 'answer',
    status,
    phrase: reasonPhrase(status),
    tone,
    said: said.slice(0, 3),
    brings,
    tookMs,
  };
}

function silence(code: string, tookMs: number): Reply {
  return { type: 'silence', code: visible(code), tookMs };
}

/** What a token server says in place of a token, in any of the shapes they have (Q40). What is no JSON is not recorded. */
function errorsOf(text: string): readonly string[] {
  try {
    const body: unknown = JSON.parse(text);
    const errors = isObject(body) && 'errors' in body ? body.errors : [body];
    return Array.isArray(errors)
      ? errors
          .map(wordsOf)
          .filter((words) => words !== '')
          .map(visible)
      : [];
  } catch {
    return [];
  }
}

function wordsOf(error: unknown): string {
  const code = textIn(error, 'code') || textIn(error, 'error');
  const message =
    textIn(error, 'message') ||
    textIn(error, 'error_description') ||
    textIn(error, 'details') ||
    textIn(error, 'detail');
  return [code, message].filter((words) => words !== '').join(': ');
}

function textIn(value: unknown, name: string): string {
  const member: unknown = isObject(value) ? Reflect.get(value, name) : null;
  return typeof member === 'string' ? member : '';
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function hostOf(url: string): string {
  return visible(URL.canParse(url) ? new URL(url).host : url);
}

/** The longest that a policy lets be read of an answer. */
const longestHidden = 65_536;

/** A line or two of anything is enough to recognise it. */
const longest = 300;

function visible(text: string): string {
  const shown = toVisible(text.slice(0, longest));
  return text.length > longest ? `${shown}…` : shown;
}
