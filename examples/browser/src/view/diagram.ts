/**
 * The diagram: a row for each request with its answer on the side of whom it goes to, and what the page makes of it on the other.
 *
 * Rules of this file: a row is drawn anew when it changed and left alone otherwise. Requests that took no time are played one
 * after another, by delays that the style sheet reads; who wants no motion sees all of it at once.
 */

import { duration } from '../duration.ts';
import type { Carried, Message, Note, Reply, Row } from '../story.ts';
import { drawDecisions } from './decisions.ts';
import { element, unseen } from './element.ts';
import { drawField } from './field.ts';
import { secretChip } from './secret.ts';
import { drawToken } from './token.ts';
import { wire } from './wire.ts';

/** Milliseconds that a line takes to be drawn, and that what it leads to is looked at before the next begins. */
const lineMs = 320;
const lookMs = 640;

interface Drawn {
  readonly row: Row;
  readonly item: HTMLLIElement;
  /** When its request is played, on the page's clock. */
  readonly out: number;
  readonly back: number | null;
}

export class Diagram {
  readonly #list: HTMLOListElement;
  readonly #drawn = new Map<string, Drawn>();
  /** When what is being played ends. */
  #playhead = 0;

  constructor(list: HTMLOListElement) {
    this.#list = list;
  }

  clear(): void {
    this.#drawn.clear();
    this.#list.replaceChildren();
    this.#playhead = 0;
  }

  draw(rows: readonly Row[]): void {
    const now = performance.now();
    for (const row of rows) {
      const before = this.#drawn.get(row.key);
      if (before !== undefined && JSON.stringify(before.row) === JSON.stringify(row)) continue;
      const item = element('li', {
        class: 'row',
        'data-to': row.message?.to ?? 'none',
        'data-open': row.message !== null && row.message.reply === null,
      });
      const out = before?.out ?? Math.max(now, this.#playhead);
      const back = row.message?.reply === null ? null : (before?.back ?? Math.max(now, out + lineMs));
      this.#playhead = back === null ? out + lineMs : back + lineMs + lookMs;
      item.style.setProperty('--out', `${Math.round(out - now)}ms`);
      item.style.setProperty('--back', `${Math.round((back ?? out) - now)}ms`);
      item.append(...drawRow(row));
      if (before === undefined) this.#list.append(item);
      else before.item.replaceWith(item);
      this.#drawn.set(row.key, { row, item, out, back });
    }
  }

  /** Milliseconds until all of it has been played. */
  get left(): number {
    return Math.max(0, this.#playhead - performance.now());
  }
}

function drawRow({ before, message, after }: Row): readonly HTMLElement[] {
  return [
    ...drawNotes('before', before),
    ...(message === null ? [] : [drawMessage(message)]),
    ...drawNotes('after', after),
  ];
}

function drawNotes(when: 'before' | 'after', notes: readonly Note[]): readonly HTMLElement[] {
  return notes.length === 0 ? [] : [element('div', { class: `notes ${when}` }, ...notes.flatMap(drawNote))];
}

const names = { registry: 'registry', authority: 'token server' } as const;

function drawMessage(message: Message): HTMLElement {
  const { number, to, method, path, query, carried, sentMs, reply } = message;
  return element(
    'div',
    { class: 'message' },
    element('span', { class: 'node', 'aria-hidden': 'true' }, String(number)),
    element(
      'div',
      { class: 'sent' },
      element(
        'p',
        { class: 'way' },
        unseen(`Request ${number}: `),
        `page to ${names[to]}`,
        element('span', { class: 'when' }, ` at ${duration(sentMs)}`),
      ),
      element(
        'p',
        { class: 'line' },
        element('b', {}, method),
        ' ',
        element('span', { class: 'path' }, path),
      ),
      query.length === 0
        ? null
        : element(
            'ul',
            { class: 'query' },
            ...query.map(([name, value]) =>
              element('li', {}, element('span', { class: 'faint' }, `${name}=`), value),
            ),
          ),
      drawCarried(carried),
    ),
    wire('out'),
    reply === null
      ? element('p', { class: 'waiting' }, `waiting for the ${names[to]}`)
      : drawReply(reply, to),
    reply === null || reply.type === 'silence' ? null : wire('back'),
  );
}

function drawCarried(carried: Carried): HTMLElement | null {
  const line = (...parts: (Node | string)[]): HTMLElement => element('p', { class: 'carried' }, ...parts);
  switch (carried.type) {
    case 'untold':
      return null;
    case 'nothing':
      return line('with no credential');
    case 'basic':
      return line(`as ${carried.username} with `, secretChip('password', carried.secret));
    case 'bearer':
      return line('with ', secretChip('token', carried.secret));
    case 'form':
      return carried.username === null
        ? line('with ', secretChip('identity token', carried.secret))
        : line(`as ${carried.username} with `, secretChip('password', carried.secret));
  }
}

function drawReply(reply: Reply, to: Message['to']): HTMLElement {
  const took = element('span', { class: 'when' }, ` after ${duration(reply.tookMs)}`);
  const way = element('p', { class: 'way' }, `${names[to]} to page`, took);
  if (reply.type === 'silence') {
    const code = reply.code === '' ? null : element('span', { class: 'faint' }, ` ${reply.code}`);
    const line = element('p', { class: 'line' }, element('b', {}, 'No answer that may be read'), code);
    return element('div', { class: 'reply', 'data-tone': 'bad' }, way, line);
  }
  const { status, phrase, tone, said, brings } = reply;
  const line = element(
    'p',
    { class: 'line' },
    element('b', { class: 'status' }, String(status)),
    ` ${phrase}`,
  );
  if (brings !== null) line.append(' with ', secretChip('token', brings));
  return element(
    'div',
    { class: 'reply', 'data-tone': tone },
    way,
    line,
    ...said.map((text) => element('p', { class: 'said' }, text)),
  );
}

function drawNote(note: Note): readonly HTMLElement[] {
  const titled = (
    title: string,
    kind: string,
    ...children: readonly HTMLElement[]
  ): readonly HTMLElement[] => [
    element('div', { class: `note ${kind}` }, element('h4', {}, title), ...children),
  ];
  switch (note.type) {
    case 'challenge':
      return titled('What the challenge says', 'challenge', ...drawField(note.field));
    case 'decisions':
      return titled('What the page decides', 'decided', drawDecisions(note.decisions));
    case 'token':
      return titled('What came', 'token', ...drawToken(note));
    case 'remark':
      return [element('p', { class: 'note remark', 'data-tone': note.tone }, note.text)];
  }
}
